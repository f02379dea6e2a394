"""The stages from raw text to token shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact
from hunmin.core.errors import MissingInputError
from hunmin.core.hashing import sha256_file
from hunmin.data.spec import DataSpec
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stage import TEXT_LAYERS, Stage, StageContext, require_section


def _run_corpus(context: StageContext) -> Artifact:
    from hunmin.corpus.build import build_corpus

    spec = require_section(context.recipe.corpus, "corpus")
    name = context.recipe.name
    return build_corpus(spec, context.output, recipe=context.record, title=f"Corpus {name}")


def _describe_sources(recipe: Recipe) -> Any:
    from hunmin.corpus.sources.describe import describe_sources

    return describe_sources(require_section(recipe.corpus, "corpus"))


def _run_tokenizer(context: StageContext) -> Artifact:
    from hunmin.tokenizer.train import train_tokenizer

    spec = require_section(context.recipe.tokenizer, "tokenizer")
    return train_tokenizer(spec, context.inputs["corpus"], context.output, recipe=context.record)


def _describe_tables(recipe: Recipe) -> Any:
    """Return a hash of each segmentation table: another table makes another tokenizer."""
    spec = require_section(recipe.tokenizer, "tokenizer")
    paths = {each.path for each in spec.morphemes.analysers.values() if each.path is not None}
    return {str(path): _hash_table(path) for path in sorted(paths)}


def _hash_table(path: Path) -> str:
    if not path.is_file():
        raise MissingInputError(
            "there is no such segmentation table",
            where=path,
            hint="check the path in tokenizer.morphemes.analysers",
        )
    return sha256_file(path)


def _run_data(context: StageContext) -> Artifact:
    from hunmin.data.shards import write_shards

    return write_shards(
        require_section(context.recipe.data, "data"),
        context.inputs["corpus"],
        context.inputs["tokenizer"],
        context.output,
        recipe=context.record,
    )


TEXT_STAGES = (
    Stage(
        name="corpus",
        kind="documents",
        folder="corpus",
        needs=(),
        sections=("corpus",),
        layers=(*TEXT_LAYERS, "corpus"),
        run=_run_corpus,
        outside=_describe_sources,
    ),
    Stage(
        name="tokenizer",
        kind="tokenizer",
        folder="tokenizer",
        needs=("corpus",),
        sections=("tokenizer",),
        layers=(*TEXT_LAYERS, "tokenizer"),
        run=_run_tokenizer,
        outside=_describe_tables,
    ),
    Stage(
        name="data",
        kind="tokens",
        folder="data",
        needs=("corpus", "tokenizer"),
        sections=("data",),
        layers=(*TEXT_LAYERS, "tokenizer", "data"),
        run=_run_data,
        # Other weights or another context need no new shards.
        only={"data": DataSpec.SHARD_KEYS},
    ),
)

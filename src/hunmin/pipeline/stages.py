"""The stages, in order, and what each one reads, writes and depends on.

corpus ──> tokenizer ──> data ──> train ──> evaluate
  │            │          ▲         │
  └────────────┴──────────┘         └─────> generate
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hunmin.core.artifact import Artifact
from hunmin.core.errors import MissingInputError, RecipeError
from hunmin.core.hashing import sha256_file
from hunmin.core.spec import Spec
from hunmin.data.spec import DataSpec
from hunmin.pipeline.recipe import Recipe

Section = TypeVar("Section", bound=Spec)


@dataclass(frozen=True)
class StageContext:
    """What a stage is given.

    Args:
        recipe: The whole recipe.
        folder: The run folder.
        inputs: Artifacts of the stages it needs, by stage name.
        output: Where its artifact goes.
        record: The sections that decide its result, for the manifest.
    """

    recipe: Recipe
    folder: Path
    inputs: Mapping[str, Artifact]
    output: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One step from raw text to a model that speaks.

    Args:
        name: Its name, also its verb and its recipe section.
        kind: Kind of the artifact it writes.
        folder: Where in the run folder the artifact lies.
        needs: Stages whose artifacts it reads.
        sections: Recipe sections that decide its result.
        layers: Folders of hunmin whose code decides its result.
        run: Does the work.
        outside: Describes inputs that are not artifacts, such as the user's files.
        packages: Packages of the extra `train` that it cannot do without.
        only: Keys that decide its result, by section; all keys of a section that is not here.
        runs_on_all_ranks: Whether every process that torchrun started takes part; else the first
            one does the work and the others wait.
    """

    name: str
    kind: str
    folder: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    layers: tuple[str, ...]
    run: Callable[[StageContext], Artifact]
    outside: Callable[[Recipe], Any] | None = None
    packages: tuple[str, ...] = ()
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    runs_on_all_ranks: bool = False


def require_section(section: Section | None, name: str) -> Section:
    """Return a recipe section, or say that the recipe lacks it."""
    if section is None:
        raise RecipeError(
            f"the recipe has no section '{name}'",
            hint=f"add a section `{name}:`; the recipe reference in docs/ lists its keys",
        )
    return section


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


def _run_train(context: StageContext) -> Artifact:
    from hunmin.parallel.world import join_world
    from hunmin.training.job import TrainJob
    from hunmin.training.train import train_model

    job = TrainJob(
        train=require_section(context.recipe.train, "train"),
        model=context.recipe.model,
        data=require_section(context.recipe.data, "data"),
        tokens=context.inputs["data"],
        tokenizer=context.inputs["tokenizer"],
        folder=context.folder / "train",
        output=context.output,
        recipe=context.record,
        parallel=context.recipe.parallel,
    )
    with join_world(timeout=job.parallel.timeout) as world:
        return train_model(job, world)


def _run_evaluate(context: StageContext) -> Artifact:
    from hunmin.evaluation.evaluate import evaluate_model

    return evaluate_model(
        require_section(context.recipe.evaluate, "evaluate"),
        context.inputs["train"],
        context.inputs["corpus"],
        context.output,
        run_dir=context.folder / "train",
        recipe=context.record,
    )


def _run_generate(context: StageContext) -> Artifact:
    from hunmin.serving.samples import write_samples

    return write_samples(
        require_section(context.recipe.generate, "generate"),
        context.inputs["train"],
        context.inputs["corpus"],
        context.output,
        recipe=context.record,
    )


_TEXT = ("core", "text")
_MODEL_PACKAGES = ("torch", "transformers", "safetensors")
STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="corpus",
            kind="documents",
            folder="corpus",
            needs=(),
            sections=("corpus",),
            layers=(*_TEXT, "corpus"),
            run=_run_corpus,
            outside=_describe_sources,
        ),
        Stage(
            name="tokenizer",
            kind="tokenizer",
            folder="tokenizer",
            needs=("corpus",),
            sections=("tokenizer",),
            layers=(*_TEXT, "tokenizer"),
            run=_run_tokenizer,
            outside=_describe_tables,
        ),
        Stage(
            name="data",
            kind="tokens",
            folder="data",
            needs=("corpus", "tokenizer"),
            sections=("data",),
            layers=(*_TEXT, "tokenizer", "data"),
            run=_run_data,
            # Other weights or another context need no new shards.
            only={"data": DataSpec.SHARD_KEYS},
        ),
        Stage(
            name="train",
            kind="model",
            folder="model",
            needs=("data", "tokenizer"),
            sections=("data", "model", "train"),
            layers=(*_TEXT, "tokenizer", "data", "models", "parallel", "training"),
            run=_run_train,
            packages=_MODEL_PACKAGES,
            runs_on_all_ranks=True,
        ),
        Stage(
            name="evaluate",
            kind="report",
            folder="report",
            needs=("train", "corpus"),
            sections=("evaluate",),
            layers=(*_TEXT, "tokenizer", "data", "models", "evaluation"),
            run=_run_evaluate,
            packages=_MODEL_PACKAGES,
        ),
        Stage(
            name="generate",
            kind="samples",
            folder="samples",
            needs=("train", "corpus"),
            sections=("generate",),
            layers=(*_TEXT, "tokenizer", "models", "serving"),
            run=_run_generate,
            packages=_MODEL_PACKAGES,
        ),
    )
}


def wanted_stages(recipe: Recipe, until: str | None = None) -> list[Stage]:
    """Return the stages a recipe asks for, in order.

    Args:
        recipe: The recipe; a stage is wanted when its section is there.
        until: The last stage, with all it needs; None for all.

    Returns:
        Stages, inputs before those who read them.
    """
    if until is None:
        return [s for s in STAGES.values() if getattr(recipe, s.name) is not None]
    names = _closure(recipe, until)
    return [stage for stage in STAGES.values() if stage.name in names]


def _closure(recipe: Recipe, name: str) -> set[str]:
    """Return a stage and all it needs; what is taken from another run needs nothing."""
    if getattr(recipe.use, name, None) is not None:
        return {name}
    return {name}.union(*(_closure(recipe, need) for need in STAGES[name].needs))

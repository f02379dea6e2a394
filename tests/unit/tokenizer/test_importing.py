"""The tokenizer of somebody else's model is used by a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.documents import document, write_documents
from tests.support.foreign import ENGLISH, KOREAN, foreign_definition, write_foreign

from hunmin.cli.tokenizer import command
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import ArtifactKindError, MissingInputError
from hunmin.pipeline.recipe import read_recipe
from hunmin.pipeline.run import PipelineRun
from hunmin.tokenizer.load import load_tokenizer

RECIPE = """
name: foreign
use: {{corpus: {corpus}, tokenizer: {tokenizer}}}
data: {{context: 32}}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_foreign(
        tmp_path / "model", foreign_definition([*KOREAN, *ENGLISH] * 3, vocab_size=500)
    )


def run_with(tokenizer: Path, folder: Path) -> None:
    rows = [document(text, "ko") for text in KOREAN]
    corpus = write_documents(folder / "corpus", {"train": rows, "validation": rows[:1]})
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(corpus=corpus.path, tokenizer=tokenizer), encoding="utf-8")
    PipelineRun(read_recipe(recipe), folder / "run").execute()


def test_an_imported_tokenizer_makes_shards(model: Path, tmp_path: Path) -> None:
    words = ["import", str(model), "--output", str(tmp_path / "imported"), "--json"]
    said = CliRunner().invoke(command, words, catch_exceptions=False)
    old, new = load_tokenizer(model), load_tokenizer(tmp_path / "imported")
    assert json.loads(said.stdout)["digest"] == old.digest == new.digest
    assert (tmp_path / "imported" / "tokenizer.json").read_bytes() == (
        model / "tokenizer.json"
    ).read_bytes()
    run_with(tmp_path / "imported", tmp_path)
    shards = load_artifact(tmp_path / "run" / "data", "tokens")
    assert [made.kind for made in shards.manifest.inputs] == ["documents", "tokenizer"]


def test_a_model_folder_is_not_taken_for_a_tokenizer(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match="hunmin tokenizer import") as error:
        run_with(model, tmp_path)
    assert error.value.where == "use.tokenizer"


def test_what_is_no_tokenizer_is_not_imported(tmp_path: Path) -> None:
    def run(folder: Path) -> None:
        words = ["import", str(folder), "--output", str(tmp_path / "out")]
        CliRunner().invoke(command, words, catch_exceptions=False)

    with pytest.raises(MissingInputError):
        run(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactKindError, match=r"no tokenizer|tokenizer\.json"):
        run(tmp_path / "empty")
    assert not (tmp_path / "out").exists()

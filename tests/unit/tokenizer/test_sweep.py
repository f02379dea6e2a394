"""A sweep trains one tokenizer for each penalty and shows what each gains and costs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.support.documents import document, write_documents
from tests.support.recipes import hunmin

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError, InputError, MissingExtraError
from hunmin.tokenizer.spec import AnalyserSpec, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.sweep import PLAIN_NAME, sweep_penalties

STEMS = ("walk", "talk", "jump", "turn", "look", "start", "want", "open")
ENDINGS = ("ed", "ing", "s", "er")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "en.tsv"
    rows = [f"{stem}{ending}\t{stem} @@{ending}" for stem in STEMS for ending in ENDINGS]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def texts() -> list[str]:
    words = [f"{stem}{ending}" for stem in STEMS for ending in ENDINGS]
    return [f"{first} {second}" for first in words for second in words]


@pytest.fixture(scope="module")
def documents(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    rows = [document(text, "en") for text in texts]
    splits = {"train": rows[:900], "validation": rows[900:]}
    return write_documents(tmp_path_factory.mktemp("documents") / "corpus", splits)


def spec_for(table: Path) -> TokenizerSpec:
    morphemes = MorphemeSpec(analysers={"en": AnalyserSpec(name="table", path=table)})
    return TokenizerSpec(
        kind="morpheme-bpe", vocab_size=400, allow_smaller=True, morphemes=morphemes
    )


def test_recall_rises_with_the_penalty(table: Path, documents: Artifact, tmp_path: Path) -> None:
    sweep = sweep_penalties(spec_for(table), documents, [-1, 1], tmp_path / "sweep", gold=[table])
    assert list(sweep.tokenizers) == [PLAIN_NAME, "penalty -1", "penalty 1"]
    recalls = [result.boundaries["en"].recall.value for result in sweep.comparison.tokenizers]
    assert recalls[-1] == 1 > max(recalls[:-1])
    tokens = [result.overall.relative_tokens for result in sweep.comparison.tokenizers]
    assert tokens[0] == 1
    assert tokens[-1] > 1
    assert (sweep.report.path / "frontier.png").stat().st_size > 5_000


def test_penalties_that_differ_little_are_not_mixed_up(
    table: Path, documents: Artifact, tmp_path: Path
) -> None:
    penalties = [0.1234567, 0.12345671]
    sweep = sweep_penalties(spec_for(table), documents, penalties, tmp_path, gold=[table])
    assert len(sweep.tokenizers) == 3


def test_impossible_penalties_are_refused(table: Path, documents: Artifact, tmp_path: Path) -> None:
    for penalty in (-2.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError, match="cross_penalty"):
            sweep_penalties(spec_for(table), documents, [penalty], tmp_path, gold=[table])


def test_analysers_judge_where_there_is_no_gold(
    table: Path, documents: Artifact, tmp_path: Path
) -> None:
    sweep = sweep_penalties(spec_for(table), documents, [1], tmp_path / "sweep")
    (reference,) = sweep.comparison.references
    assert reference.name == "table on test"
    assert not reference.is_human


def test_without_plots_nothing_is_trained(
    table: Path, documents: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        sweep_penalties(spec_for(table), documents, [1], tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_other_kinds_have_no_penalty(documents: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.kind=morpheme-bpe"):
        sweep_penalties(TokenizerSpec(), documents, [1], tmp_path / "sweep")


def test_someone_must_say_where_boundaries_are(documents: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name an analyser"):
        sweep_penalties(TokenizerSpec(kind="morpheme-bpe"), documents, [1], tmp_path / "sweep")


def test_without_held_out_text_there_is_nothing_to_compare_on(
    table: Path, texts: list[str], tmp_path: Path
) -> None:
    rows = [document(text, "en") for text in texts]
    documents = write_documents(tmp_path / "corpus", {"train": rows, "validation": []})
    with pytest.raises(EmptyCorpusError, match="validation_fraction"):
        sweep_penalties(spec_for(table), documents, [1], tmp_path / "sweep")


def test_the_command(table: Path, texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(texts), encoding="utf-8")
    recipe = {
        "name": "sweep",
        "corpus": {
            "sources": [{"kind": "files", "paths": [str(tmp_path / "text.txt")], "unit": "line"}],
            "validation_fraction": 0.2,
        },
        "tokenizer": {
            "kind": "morpheme-bpe",
            "vocab_size": 320,
            "allow_smaller": True,
            "morphemes": {"analysers": {"*": f"table:{table}"}},
        },
    }
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(recipe), encoding="utf-8")
    arguments = ["tokenizer", "train", str(file), "--run-dir", str(tmp_path / "run")]
    done = hunmin(*arguments, "--sweep=-1,1", "--gold", str(table), "--json")
    comparison = json.loads(done.stdout)
    assert [each["name"] for each in comparison["tokenizers"]] == [
        "byte-bpe",
        "penalty -1",
        "penalty 1",
    ]
    for numbers in ("much", "", "-2", "nan", "0,inf"):
        wrong = hunmin(*arguments, f"--sweep={numbers}")
        assert wrong.returncode == 2
        assert "these are not penalties" in wrong.stderr
    unused = hunmin(*arguments, "--gold", str(table))
    assert unused.returncode == 2
    assert "add --sweep=NUMBERS" in unused.stderr

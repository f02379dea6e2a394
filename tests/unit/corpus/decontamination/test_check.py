"""Evaluation items in documents that exist: found, told, written; lineage to what a model saw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    ArtifactMismatchError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
    RecipeError,
)
from hunmin.corpus.decontamination.check import Check, check_documents, write_check
from hunmin.corpus.decontamination.check_text import report, terminal_lines
from hunmin.corpus.decontamination.excerpt import excerpt
from hunmin.corpus.decontamination.lineage import documents_behind
from hunmin.corpus.decontamination.sets import EvaluationSets, read_sets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def check(folder: Path, evaluation_sets: dict[str, list[str]], clean_documents: list[str]) -> Check:
    """Twenty questions of KorQuAD in documents, one of them in two, spaces lost."""
    held = [f"{clean_documents[n]} {evaluation_sets['korquad'][n]} 끝." for n in range(20)]
    held.append("전화 010-1234-5678 " + evaluation_sets["korquad"][0].replace(" ", ""))
    texts = [document(text, source="crawl") for text in clean_documents[20:320]]
    texts += [document(text, source="copies") for text in held]
    corpus = write_documents(folder / "corpus", {"train": texts, "validation": texts[:3]})
    write_lines(folder / "questions.txt", evaluation_sets["korquad"])
    write_lines(folder / "sts.txt", evaluation_sets["klue-sts"])
    sets = read_sets(["korquad=questions.txt", "sts.txt"])
    return check_documents([corpus], sets)


def test_items_are_found_and_told_by_set_and_source(check: Check) -> None:
    counts = check.counts["sets"]
    assert counts["korquad"]["found_items"] == 20
    assert counts["korquad"]["contaminated_documents"] == 21
    assert counts["sts"]["found_items"] == 0
    assert check.counts["documents"] == 321
    assert check.sources == {"korquad": {"copies": 21}}
    # Some questions share most of their runs with another one.
    assert len(check.found) >= 21
    assert check.num_found_items == 20


def test_examples_show_the_place(check: Check) -> None:
    examples = check.examples(50)
    assert len(examples) == 20
    assert all(found.share >= 0.3 for found in examples)
    for found in examples:
        shown = "".join(found.excerpt.split())
        assert "".join(found.item_text.split())[:15] in shown
    assert not check.examples(0)
    assert "010-1234" not in json.dumps([found._asdict() for found in check.found])


def test_texts_of_it(check: Check) -> None:
    printed = "\n".join(terminal_lines(check, 2))
    assert "20 items found in 21 documents" in printed
    assert printed.count("in copies, document ") == 2
    written = report(check, ["korquad=questions.txt"])
    assert f"| korquad | {check.counts['sets']['korquad']['items']} |" in written
    assert "| korquad | copies | 21 |" in written
    assert json.loads(json.dumps(check.as_json(1)))["examples"][0]["set"] == "korquad"


def test_report_is_an_artifact(check: Check, folder: Path) -> None:
    corpus = load_artifact(folder / "corpus")
    write_check(check, folder / "found", "# Found\n", inputs=[corpus], asked=["questions.txt"])
    written = load_artifact(folder / "found", "report")
    assert written.facts["found_items"] == 20
    assert written.manifest.inputs[0].digest == corpus.digest
    lines = (folder / "found" / "found.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(check.found)
    with pytest.raises(InputError, match="take the place of what it is made from"):
        write_check(check, folder / "corpus", "", inputs=[corpus], asked=[])


def test_other_splits_and_shares(check: Check, folder: Path) -> None:
    corpus = load_artifact(folder / "corpus")
    sets = read_sets(["questions.txt"])
    assert check_documents([corpus], sets, splits=["validation"]).num_found_items == 0
    assert check_documents([corpus], sets, min_share=1.0).num_found_items == 20
    with pytest.raises(EmptyCorpusError, match="no document in test"):
        check_documents([corpus], sets, splits=["test"])


def test_sets_of_a_recipe(folder: Path) -> None:
    write_lines(
        folder / "a.txt", ["모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."]
    )
    write_lines(folder / "b.jsonl", ['{"q": "이 문장은 시험 문항으로 쓰이는 긴 문장입니다."}'])
    (folder / "base.yaml").write_text(
        "name: base\ncorpus:\n  decontaminate:\n    min_share: 0.5\n    sets:\n"
        "      - {name: one, paths: [a.txt], unit: line}\n"
        "      - {name: one, paths: [b.jsonl], fields: {text: q}}\n",
        encoding="utf-8",
    )
    (folder / "recipe.yaml").write_text("base: base.yaml\nname: mine\n", encoding="utf-8")
    (folder / "sets.yaml").write_text("sets: [{paths: [a.txt]}]\n", encoding="utf-8")
    sets = read_sets(["recipe.yaml", "sets.yaml", "two=b.jsonl:q"])
    assert {name: len(items) for name, items in sets.items.items()} == {"one": 2, "a": 1, "two": 1}
    assert sets.min_share == 0.5
    assert read_sets(["sets.yaml"]).min_share is None


def test_repeated_items_are_counted(folder: Path) -> None:
    item = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."
    write_lines(folder / "a.txt", [item, item, item])
    corpus = write_documents(folder / "c", {"train": [document(f"그리고 {item}")]})
    counts = check_documents([corpus], read_sets(["a.txt"])).counts["sets"]["a"]
    assert (counts["items"], counts["repeated"], counts["found_items"]) == (3, 2, 1)


def test_sets_that_are_none(folder: Path) -> None:
    write_lines(folder / "empty.txt", ["", " "])
    (folder / "plain.yaml").write_text("name: plain\n", encoding="utf-8")
    (folder / "wrong.yaml").write_text("sets: [{path: [empty.txt]}]\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="names no evaluation sets"):
        read_sets(["plain.yaml"])
    with pytest.raises(RecipeError, match=r"wrong\.yaml:1[\s\S]*paths"):
        read_sets(["wrong.yaml"])
    with pytest.raises(MissingInputError):
        read_sets(["nowhere.yaml"])
    with pytest.raises(EmptyCorpusError, match="'empty' holds no item"):
        read_sets(["empty.txt"])
    corpus = write_documents(folder / "c", {"train": [document("문서")]})
    with pytest.raises(InputError, match="nothing to look for"):
        check_documents([corpus], EvaluationSets({"short": {"x": "네"}}, None))


def make(path: Path, kind: str, *inputs: Artifact) -> Artifact:
    with write_artifact(path, kind, inputs=inputs) as draft:
        (draft.path / "content").write_text(str(path), encoding="utf-8")
    return load_artifact(path)


@pytest.fixture
def model(folder: Path) -> Path:
    """A model on tokens of a corpus, its tokenizer trained on another one."""
    run = folder / "run"
    corpus = write_documents(run / "corpus", {"train": [document("학습 문서")]})
    other = write_documents(run / "other", {"train": [document("다른 문서")]})
    tokenizer = make(run / "tokenizer", "tokenizer", other)
    tokens = make(run / "data", "tokens", corpus, tokenizer)
    return make(run / "model", "model", tokens, tokenizer).path


def test_documents_behind_a_model(model: Path) -> None:
    run = model.parent
    assert [found.path.name for found in documents_behind(model)] == ["corpus"]
    assert [found.path.name for found in documents_behind(run / "data")] == ["corpus"]
    assert [found.path.name for found in documents_behind(run / "tokenizer")] == ["other"]
    assert [found.path.name for found in documents_behind(run / "corpus")] == ["corpus"]
    other = load_artifact(run / "other")
    make(run / "report", "report", load_artifact(model), other)
    assert [found.path.name for found in documents_behind(run / "report")] == ["corpus"]


def test_run_folders_may_move(model: Path, folder: Path) -> None:
    (folder / "run").rename(folder / "moved")
    (found,) = documents_behind(folder / "moved" / "model")
    assert found.path == folder / "moved" / "corpus"


def test_documents_that_are_gone_or_others(model: Path) -> None:
    corpus = model.parent / "corpus"
    shutil.rmtree(corpus)
    with pytest.raises(MissingInputError, match="no longer there"):
        documents_behind(model)
    write_documents(corpus, {"train": [document("ganz anderes")]})
    with pytest.raises(ArtifactMismatchError, match="replaced since"):
        documents_behind(model)


def test_nothing_behind(folder: Path) -> None:
    make(folder / "alone", "model")
    with pytest.raises(InputError, match="no documents are known"):
        documents_behind(folder / "alone")
    with pytest.raises(MissingInputError):
        documents_behind(folder / "nowhere")
    with pytest.raises(ArtifactKindError):
        documents_behind(folder)


def test_excerpts() -> None:
    text = "앞 글입니다. " * 30 + "대한민국의  수도는\n어디입니까? " + "뒤 글입니다. " * 30
    shown = excerpt(text, "대한민국의 수도는 어디입니까?")
    assert shown.startswith("…")
    assert "대한민국의 수도는 어디입니까?" in shown
    assert shown.endswith("…")
    assert excerpt("짧은 글", "없는 문항이 아주 길게 있다") == "짧은 글"
    assert excerpt("", "x") == ""

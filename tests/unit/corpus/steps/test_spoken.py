"""Documents in spoken form: how many, which, and what they keep of the written ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hunmin.adapt.nlu.massive_files import read_file
from hunmin.core.artifact import Artifact
from hunmin.core.errors import MissingExtraError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import SPLITS, read_documents, read_parts
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.spoken import SAME, SPOKEN, UNSPEAKABLE, WRITTEN
from hunmin.text.spoken.form import spoken_form
from hunmin.text.spoken.lines import spoken_lines

NUMBER = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoken")
    korean = [f"{n}번째 방 불을 켜 줘!\n에어컨은 {n % 30}도로." for n in range(NUMBER)]
    korean += ["전화는 010-1234-5678 로.", "불 꺼", "?! …"]
    # Twenty pairs that differ as written only.
    korean += [text for n in range(20) for text in (f"창문 {n}, 열어.", f"창문 {n} 열어")]
    english = [f"Turn on lamp {n}, please." for n in range(40)]
    for name, texts in (("ko", korean), ("en", english)):
        rows = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
        (folder / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


def spec_of(folder: Path, **options: Any) -> CorpusSpec:
    sources = [
        {"kind": "files", "name": name, "paths": [str(folder / f"{name}.jsonl")], "language": name}
        for name in ("ko", "en")
    ]
    content = {"sources": sources, "validation_fraction": 0.05, "test_fraction": 0.05,
               "privacy": {}, "num_workers": 1, "spoken": {}}  # fmt: skip
    return CorpusSpec.model_validate(content | options)


@pytest.fixture(scope="module")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return build_corpus(spec_of(folder, spoken=None), tmp_path_factory.mktemp("w") / "corpus")


@pytest.fixture(scope="module")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    output = tmp_path_factory.mktemp("built") / "corpus"
    return build_corpus(spec_of(folder), output, title="Test")


def rows_of(artifact: Artifact, *splits: Any) -> list[dict[str, Any]]:
    batches = (batch for split in splits for batch in read_documents(artifact, split))
    return [row | {"meta": json.loads(row["meta"])} for b in batches for row in b.to_pylist()]


def is_spoken(row: dict[str, Any]) -> bool:
    return bool(row["meta"].get("form") == SPOKEN)


def test_seven_of_ten_are_spoken_and_the_size_stays(written: Artifact, built: Artifact) -> None:
    before, after = (rows_of(artifact, "train") for artifact in (written, built))
    dropped = built.facts["rejects"].get("duplicate", 0)
    assert len(before) - dropped <= len(after) <= len(before)
    share = sum(map(is_spoken, after)) / len(after)
    assert 0.64 < share < 0.76
    forms = built.facts["spoken"]["ko"]
    counted = sum(row.get("train", {}).get("documents", 0) for row in forms.values())
    assert counted == built.facts["languages"]["ko"]["train_documents"]


def test_a_spoken_document_is_its_written_one_spoken(written: Artifact, built: Artifact) -> None:
    originals = {row["id"]: row for row in rows_of(written, *SPLITS)}
    spoken = [row for row in rows_of(built, *SPLITS) if is_spoken(row)]
    for row in spoken:
        original = originals[row["meta"]["written_id"]]
        assert row["text"] == spoken_lines(original["text"], row["language"])
        assert [row[name] for name in ("source", "license", "group")] == [
            original[name] for name in ("source", "license", "group")
        ]
        assert row["meta"]["path"] == original["meta"]["path"]
    ids = [row["id"] for row in rows_of(built, *SPLITS)]
    assert len(set(ids)) == len(ids)
    assert not {row["id"] for row in spoken} & set(originals)


def test_what_is_held_out_is_there_in_both_forms(written: Artifact, built: Artifact) -> None:
    for split in ("validation", "test"):
        rows = rows_of(built, split)
        both = {row["meta"]["written_id"] for row in rows if is_spoken(row)}
        plain = {row["id"] for row in rows if not is_spoken(row)}
        # All but those whose spoken form is there already, or the written one itself.
        assert len(both & plain) > 0.8 * len(plain)
        assert plain == {row["id"] for row in rows_of(written, split)}
    assert any(is_spoken(row) for row in rows_of(built, "validation") if row["language"] == "en")


def test_no_group_is_on_two_sides(built: Artifact) -> None:
    sides = [{row["group"] for row in rows_of(built, split)} for split in SPLITS]
    assert not sides[0] & (sides[1] | sides[2])
    assert not sides[1] & sides[2]


def test_texts_that_speaking_makes_equal_are_there_once(built: Artifact) -> None:
    texts = [row["text"] for row in rows_of(built, *SPLITS)]
    assert len(set(texts)) == len(texts)
    rejects = [row for batch in read_parts(built.path / "rejects") for row in batch.to_pylist()]
    twice = [row for row in rejects if '"form":"spoken"' in row["meta"]]
    assert len(twice) >= 5
    assert {row["reason"] for row in twice} == {"duplicate"}
    last = built.facts["flow"][-1]
    assert last["step"] == "equal in spoken form"
    assert last["dropped"]["duplicate"]["documents"] == len(twice)
    assert last["documents"] == built.facts["total"]["documents"]


def test_masks_stay_and_what_cannot_be_spoken_stays_written(folder: Path, tmp_path: Path) -> None:
    spec = spec_of(folder, spoken={"share": 0.999}, validation_fraction=0, test_fraction=0)
    artifact = build_corpus(spec, tmp_path / "corpus")
    texts = {row["text"] for row in rows_of(artifact, "train")}
    assert {"전화는 <|phone|> 로", "불 꺼", "?! …", "turn on lamp thirty please"} <= texts
    forms = artifact.facts["spoken"]["ko"]
    assert forms[UNSPEAKABLE]["train"]["documents"] == 1
    assert forms[SAME]["train"]["documents"] == 1


def test_copies_have_the_share_of_all_documents(folder: Path, tmp_path: Path) -> None:
    options = {"copies": True, "suffix": " spoken"}
    spec = spec_of(folder, spoken=options, privacy=None, test_fraction=0)
    artifact = build_corpus(spec, tmp_path / "corpus")
    sources = artifact.facts["sources"]
    spoken, plain = (sources[name]["train_documents"] for name in ("ko spoken", "ko"))
    assert spoken > 0.9 * NUMBER
    assert spoken / (spoken + plain) == pytest.approx(0.7, abs=0.04)
    forms = artifact.facts["spoken"]["ko"]
    assert forms[SPOKEN]["train"]["documents"] == spoken
    assert forms[WRITTEN]["train"]["documents"] <= plain
    flow, total = artifact.facts["flow"], artifact.facts["total"]
    assert flow[-2]["added_documents"] > 250
    assert flow[-1]["documents"] == total["documents"]
    assert flow[-1]["utf8_bytes"] == total["utf8_bytes"]


def test_the_report_tells_of_spoken_forms(built: Artifact) -> None:
    report = (built.path / "report.md").read_text("utf-8")
    assert re.search(r"## Spoken form\n\n[\d,]+ of [\d,]+ documents of the training split", report)
    assert (built.path / "plots" / "flow.png").is_file()
    examples = json.loads((built.path / "samples.json").read_text("utf-8"))["spoken"]
    assert {row["language"] for row in examples} == {"ko", "en"}
    assert all(spoken_lines(row["before"], row["language"]) == row["after"] for row in examples)


@pytest.mark.parametrize("engine", ["daft", pytest.param("ray", marks=pytest.mark.slow)])
def test_the_result_depends_on_neither_engine_nor_workers(
    engine: str, built: Artifact, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(engine)
    monkeypatch.setattr("hunmin.corpus.steps.run._WORTH_PROCESSES", 0)
    spec = spec_of(folder, num_workers=2, engine=engine)
    assert build_corpus(spec, tmp_path / "corpus", title="Test").digest == built.digest


def test_a_missing_package_is_told_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "unicode_rbnf", None)
    with pytest.raises(MissingExtraError, match=r"\[spoken\]"):
        build_corpus(spec_of(folder), tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Voice commands: as they are, and spoken with annotated utterances of either form."""
    source = {"kind": "home-assistant", "languages": ["ko", "en", "th", "hi"],
              "max_utterances_per_language": 150}  # fmt: skip
    folder, built = tmp_path_factory.mktemp("commands"), {}
    for name, spoken in (("plain", None), (WRITTEN, {}), (SPOKEN, {"massive": "spoken"})):
        content = {"sources": [source], "validation_fraction": 0.1, "test_fraction": 0.1}
        spec = CorpusSpec.model_validate(content | {"spoken": spoken})
        built[name] = build_corpus(spec, folder / name)
    return built


@pytest.mark.parametrize("language", ["ko", "en", "th", "hi"])
def test_annotated_utterances_are_one_each_in_either_form(
    commands: dict[str, Artifact], language: str
) -> None:
    names = [artifact.path / "massive" / f"{language}.jsonl" for artifact in commands.values()]
    assert names[0].read_bytes() == names[1].read_bytes()
    plain, spoken = read_file(names[0]), read_file(names[2])
    assert {row.partition for row in plain} == {"train", "dev", "test"}
    for before, after in zip(plain, spoken, strict=True):
        assert (before.id, before.partition, before.intent) == (
            after.id,
            after.partition,
            after.intent,
        )
        assert after.utt == spoken_form(before.utt, language)
        assert [slot.type for slot in after.slots] == [slot.type for slot in before.slots]


def test_slots_of_spoken_documents_are_theirs(commands: dict[str, Artifact]) -> None:
    rows = [row for row in rows_of(commands[WRITTEN], *SPLITS) if is_spoken(row)]
    slots = [(row, slot) for row in rows for slot in row["meta"]["slots"]]
    assert len(slots) > 100
    for row, slot in slots:
        value = row["text"][slot["start"] : slot["end"]]
        assert value
        assert value == spoken_form(value, row["language"])

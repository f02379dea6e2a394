"""The pipeline: reasons for every drop, a stable split, the same bytes every time."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA, read_documents, read_parts
from hunmin.corpus.parts import PartWriter, move_groups
from hunmin.corpus.records import cut
from hunmin.corpus.sources.spec import FieldNames, FilesSource
from hunmin.corpus.spec import CorpusSpec, DeduplicateSpec


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def spec_of(*paths: Path, fields: FieldNames | None = None, **options: Any) -> CorpusSpec:
    source = FilesSource(
        paths=tuple(map(str, paths)), fields=fields or FieldNames(), name="test", language="ko"
    )
    return CorpusSpec(sources=(source,), **options)


def ids(artifact: Artifact, split: Any) -> set[str]:
    return {value for batch in read_documents(artifact, split) for value in batch["id"].to_pylist()}


def numbered(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"text": f"{number}번 문서의 본문입니다."} for number in range(start, stop)]


def test_every_drop_has_a_reason(tmp_path: Path) -> None:
    records = ["가나다", " ", "", "가", "가나다 ", "\u1100\u1161나다", "라마바"]
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": text} for text in records])
    artifact = build_corpus(
        spec_of(file, min_characters=2, validation_fraction=0), tmp_path / "out"
    )
    assert artifact.facts["rejects"] == {"duplicate": 2, "empty": 2, "too short": 1}
    assert artifact.facts["total"]["documents"] == 2
    assert artifact.facts["total"]["characters"] == 6
    assert artifact.facts["total"]["utf8_bytes"] == 18
    rejected = [row for batch in read_parts(artifact.path / "rejects") for row in batch.to_pylist()]
    assert [json.loads(row["meta"])["line"] for row in rejected] == [2, 3, 4, 5, 6]
    assert set(rejected[0]) == set(REJECT_SCHEMA.names)


def test_readme_and_statistics_agree(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [*numbered(0, 30), *numbered(0, 3)])
    artifact = build_corpus(spec_of(file), tmp_path / "out")
    statistics = json.loads((artifact.path / "statistics.json").read_text("utf-8"))
    assert statistics == artifact.facts
    assert statistics["languages"]["ko"]["rejects"] == {"duplicate": 3}
    readme = (artifact.path / "README.md").read_text("utf-8")
    assert "| ko · Korean | 30 |" in readme
    assert "| duplicate | 3 |" in readme


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", numbered(0, 500))
    first = build_corpus(spec_of(file), tmp_path / "one")
    second = build_corpus(spec_of(file), tmp_path / "two")
    assert first.digest == second.digest


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_order_of_the_files_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    # Neighbouring files share documents, so that the order could decide which copy is kept.
    files = [write_jsonl(folder / f"{n}.jsonl", numbered(n * 10, n * 10 + 15)) for n in range(4)]
    plain = build_corpus(spec_of(*files), folder / "plain")
    shuffled = build_corpus(spec_of(*(files[n] for n in order)), folder / "shuffled")
    assert plain.digest == shuffled.digest


def test_renaming_files_keeps_the_documents_and_their_ids(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "a.jsonl", numbered(0, 60))
    two = write_jsonl(tmp_path / "b.jsonl", numbered(30, 90))
    first = build_corpus(spec_of(one, two), tmp_path / "first")
    one.rename(tmp_path / "z.jsonl")
    second = build_corpus(spec_of(tmp_path / "z.jsonl", two), tmp_path / "second")
    for split in ("train", "validation"):
        assert ids(first, split) == ids(second, split)


def test_documents_keep_their_side_when_others_come(tmp_path: Path) -> None:
    records = numbered(0, 1000)
    few = build_corpus(
        spec_of(write_jsonl(tmp_path / "a.jsonl", records), validation_fraction=0.1),
        tmp_path / "few",
    )
    more = numbered(1000, 2000) + records
    random.Random(0).shuffle(more)
    many = build_corpus(
        spec_of(write_jsonl(tmp_path / "b.jsonl", more), validation_fraction=0.1),
        tmp_path / "many",
    )
    assert ids(few, "train") < ids(many, "train")
    assert ids(few, "validation") < ids(many, "validation")
    assert 50 < len(ids(few, "validation")) < 150


def test_groups_stay_together(tmp_path: Path) -> None:
    records = [{"text": f"리뷰 {n}", "film": f"영화 {n % 40}"} for n in range(400)]
    file = write_jsonl(tmp_path / "a.jsonl", records)
    artifact = build_corpus(
        spec_of(file, fields=FieldNames(group="film"), validation_fraction=0.2), tmp_path / "out"
    )
    groups = {
        split: {g for batch in read_documents(artifact, split) for g in batch["group"].to_pylist()}
        for split in ("train", "validation")
    }
    assert groups["train"] | groups["validation"] == {f"영화 {n}" for n in range(40)}
    assert not groups["train"] & groups["validation"]


def test_every_language_has_something_held_out(tmp_path: Path) -> None:
    records = [{"text": f"{tag} {n}", "lang": tag} for tag in ("ko", "en", "sw") for n in range(4)]
    records.append({"text": "allein", "lang": "de"})
    file = write_jsonl(tmp_path / "a.jsonl", records)
    artifact = build_corpus(
        spec_of(file, fields=FieldNames(language="lang"), validation_fraction=0.001),
        tmp_path / "out",
    )
    languages = artifact.facts["languages"]
    assert {tag: row["validation_documents"] for tag, row in languages.items()} == {
        "ko": 1, "en": 1, "sw": 1, "de": 0,
    }  # fmt: skip
    assert artifact.facts["total"]["documents"] == 13
    assert len(ids(artifact, "train")) == 10
    assert len(ids(artifact, "validation")) == 3


def test_single_document_cannot_be_held_out(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "하나뿐"}])
    with pytest.raises(EmptyCorpusError, match=r"nothing can be held out(.|\n)*unit: paragraph"):
        build_corpus(spec_of(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert build_corpus(spec_of(file, validation_fraction=0), tmp_path / "out")


def test_empty_corpus_says_what_was_read(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": ""}, {"text": " "}, {"text": "가"}])
    with pytest.raises(EmptyCorpusError) as error:
        build_corpus(spec_of(file, min_characters=5), tmp_path / "out")
    assert "3 records read, all dropped: 2 empty, 1 too short" in str(error.value)
    assert error.value.exit_code == 2
    file.write_text("", encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match="no record at all"):
        build_corpus(spec_of(file), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]


def test_ids_stay_unique_without_deduplication(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "같은 글"}] * 5)
    artifact = build_corpus(
        spec_of(file, deduplicate=DeduplicateSpec(exact=False), validation_fraction=0),
        tmp_path / "out",
    )
    assert len(ids(artifact, "train")) == artifact.facts["total"]["documents"] == 5


def test_first_source_wins_among_equal_texts(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", numbered(0, 10))
    sources = tuple(FilesSource(paths=(str(file),), name=name) for name in ("one", "two"))
    artifact = build_corpus(CorpusSpec(sources=sources, validation_fraction=0), tmp_path / "out")
    assert artifact.facts["sources"]["one"]["documents"] == 10
    assert artifact.facts["sources"]["two"]["rejects"] == {"duplicate": 10}


def test_moving_groups_rewrites_only_what_must(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", numbered(0, 50))
    artifact = build_corpus(spec_of(file, validation_fraction=0), tmp_path / "out")
    (batch,) = read_documents(artifact, "train")
    for number, half in enumerate((batch.slice(0, 25), batch.slice(25))):
        with PartWriter(tmp_path / "parts", DOCUMENT_SCHEMA, first=number) as writer:
            writer.write(half)
    untouched = (tmp_path / "parts" / "part-00000.parquet").read_bytes()
    chosen = batch["group"].to_pylist()[30]
    move_groups([chosen], tmp_path / "parts", tmp_path / "moved", DOCUMENT_SCHEMA)
    assert (tmp_path / "parts" / "part-00000.parquet").read_bytes() == untouched
    (moved,) = read_parts(tmp_path / "moved")
    assert moved["group"].to_pylist() == [chosen]
    left = [g for part in read_parts(tmp_path / "parts") for g in part["group"].to_pylist()]
    assert left == [g for g in batch["group"].to_pylist() if g != chosen]


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 20))
def test_cutting_loses_nothing(text: str, size: int) -> None:
    pieces = cut(text, size)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= size for piece in pieces[:-1])


def test_real_korean_reviews(tmp_path: Path, shared_data: Path) -> None:
    source = FilesSource(
        paths=(str(shared_data / "chatbot_ko" / "ChatbotData.csv.zst"),),
        format="text",
        unit="line",
        language="ko",
    )
    artifact = build_corpus(CorpusSpec(sources=(source,)), tmp_path / "out")
    assert artifact.facts["total"]["documents"] > 11_000
    lengths = [pc.utf8_length(b["text"]).to_pylist() for b in read_documents(artifact, "train")]
    assert min(min(part) for part in lengths) > 0

"""Nested fields: dotted paths, lists that fan out, one JSON document a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.corpus.sources.files import json_document

SQUAD = {
    "version": "1",
    "data": [
        {
            "title": "서울",
            "paragraphs": [
                {"context": "서울은 수도이다.", "qas": [{"question": "수도는?"}]},
                {"context": "한강이 흐른다.", "qas": []},
            ],
        },
        {"title": "부산", "paragraphs": [{"context": "부산은 항구이다.", "qas": []}]},
    ],
}


def write(path: Path, value: Any) -> dict[str, Any]:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return {"kind": "files", "paths": [str(path)]}


def test_squad_layout_gives_a_document_per_context(tmp_path: Path, build: Any) -> None:
    fields = {
        "text": "data.paragraphs.context",
        "id": "data.title",
        "group": "data.title",
        "meta": ["data.paragraphs.qas.question"],
    }
    built = build(write(tmp_path / "a.json", SQUAD) | {"format": "json", "fields": fields})
    assert built.texts == ["서울은 수도이다.", "한강이 흐른다.", "부산은 항구이다."]
    assert [row["group"] for row in built.documents] == ["서울", "서울", "부산"]
    questions = [json.loads(row["meta"])[fields["meta"][0]] for row in built.documents]
    assert questions == [["수도는?"], [], []]
    assert len({row["id"] for row in built.documents}) == 3


def test_the_same_id_whatever_the_texts(tmp_path: Path, build: Any) -> None:
    fields = {"text": "data.paragraphs.context", "id": "data.title"}
    options = {"format": "json", "fields": fields, "name": "squad"}
    first = build(write(tmp_path / "a.json", SQUAD) | options).documents
    changed = json.loads(json.dumps(SQUAD))
    changed["data"][0]["paragraphs"][0]["context"] = "바뀐 글"
    second = build(write(tmp_path / "a.json", changed) | options).documents
    assert [row["id"] for row in first] == [row["id"] for row in second]


def test_lines_and_rows_may_be_nested_too(tmp_path: Path, build: Any) -> None:
    rows = [
        {"id": 1, "page": {"title": "제목", "body": "본문"}},
        {"id": 2, "page": None},
        {"id": 3, "page": {"title": None, "body": "본문만"}},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    fields = {"text": "{page.title}\n\n{page.body}", "id": "id"}
    for name in ("a.jsonl", "b.parquet"):
        built = build({"kind": "files", "paths": [str(tmp_path / name)], "fields": fields})
        assert built.texts == ["제목\n\n본문", "본문만"]
        assert built.reasons == ["no text field"]


def test_a_list_of_texts_is_a_document_each(tmp_path: Path, build: Any) -> None:
    source = write(tmp_path / "a.jsonl", {"id": 5, "text": ["하나", "둘", 3]})
    built = build(source | {"fields": {"id": "id"}})
    assert built.texts == ["하나", "둘"]
    assert built.reasons == ["no text field"]


def test_a_key_with_a_dot_is_taken_as_it_is(tmp_path: Path, build: Any) -> None:
    source = write(tmp_path / "a.jsonl", {"page.text": "하나", "page": {"text": "둘"}})
    assert build(source | {"fields": {"text": "page.text"}}).texts == ["하나"]


def test_an_array_of_objects_is_a_document_each(tmp_path: Path, build: Any) -> None:
    source = write(tmp_path / "a.json", [{"text": "하나"}, {"other": 1}, {"text": "둘"}])
    built = build(source | {"format": "json"})
    assert built.texts == ["하나", "둘"]
    assert built.reasons == ["no text field"]


def test_wrong_path_is_told_with_the_paths_there_are(tmp_path: Path, build: Any) -> None:
    source = write(tmp_path / "a.json", SQUAD)
    with pytest.raises(InputError, match=r"data\.paragraphs\.context(.|\n)*\{text: data\.para"):
        build(source | {"format": "json", "fields": {"text": "data.paragraphs.contexts"}})


@pytest.mark.parametrize("content", ['{"text": "열린', "[1] [2]", "null", ""])
def test_what_is_no_json_is_rejected(tmp_path: Path, build: Any, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    (tmp_path / "b.json").write_text('{"text": "좋다"}', encoding="utf-8")
    built = build({"kind": "files", "paths": [str(tmp_path / "*.json")], "format": "json"})
    assert built.texts == ["좋다"]
    assert built.reasons == ["invalid JSON"]


def test_undecodable_json_stops_or_is_rejected(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.json").write_bytes('{"text": "좋'.encode() + b'\xff"}')
    (tmp_path / "b.json").write_text('{"text": "좋다"}', encoding="utf-8")
    source = {"kind": "files", "paths": [str(tmp_path / "*.json")], "format": "json"}
    with pytest.raises(TextEncodingError):
        build(source)
    built = build(source | {"undecodable": "reject", "encoding": "utf-8"})
    assert (built.texts, built.reasons) == (["좋다"], ["undecodable"])


def test_json_too_large_for_memory_is_refused(
    tmp_path: Path, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_document, "MAX_CHARACTERS", 100)
    with pytest.raises(InputError, match=r"longer than(.|\n)*one object a line"):
        build(write(tmp_path / "a.json", SQUAD) | {"format": "json"})


def test_real_korquad(build: Any, shared_data: Path) -> None:
    fields = {"text": "data.paragraphs.context", "group": "data.title"}
    path = shared_data / "korquad1" / "dev_a.json.zst"
    built = build({"kind": "files", "paths": [str(path)], "format": "json", "fields": fields})
    assert len(built.documents) > 400
    assert all(row["group"] for row in built.documents)
    assert set(built.reasons) <= {"duplicate"}

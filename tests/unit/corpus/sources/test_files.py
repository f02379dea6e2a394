"""The files source: formats, encodings, names, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from hunmin.core.errors import (
    EmptyCorpusError,
    InputError,
    MissingInputError,
    TextEncodingError,
)
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import read_documents, read_parts
from hunmin.corpus.sources.spec import FieldNames, FilesSource
from hunmin.corpus.spec import CorpusSpec

POEM = "나 보기가 역겨워 가실 때에는\n말없이 고이 보내 드리우리다\n\n영변에 약산 진달래꽃"


def build(tmp_path: Path, paths: list[str], **options: Any) -> Any:
    corpus = {name: options.pop(name) for name in list(options) if name in CorpusSpec.model_fields}
    corpus.setdefault("validation_fraction", 0.0)
    source = FilesSource(paths=tuple(paths), **options)
    return build_corpus(CorpusSpec(sources=(source,), **corpus), tmp_path / "out")


def rows(artifact: Any) -> list[dict[str, Any]]:
    return [row for batch in read_documents(artifact, "train") for row in batch.to_pylist()]


def texts(artifact: Any) -> list[str]:
    return [row["text"] for row in rows(artifact)]


def rejects(artifact: Any) -> list[dict[str, Any]]:
    return [row for batch in read_parts(artifact.path / "rejects") for row in batch.to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le"])
def test_text_of_every_encoding_gives_the_same_documents(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "시.txt"
    file.write_bytes(POEM.encode(encoding))
    assert texts(build(tmp_path, [str(file)])) == POEM.split("\n\n")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("file", [POEM]),
        ("paragraph", POEM.split("\n\n")),
        ("line", POEM.replace("\n\n", "\n").split("\n")),
    ],
)
def test_unit_says_what_a_document_is(tmp_path: Path, unit: str, expected: list[str]) -> None:
    (tmp_path / "a.txt").write_text(POEM, encoding="utf-8")
    artifact = build(tmp_path, [str(tmp_path / "a.txt")], unit=unit)
    assert texts(artifact) == expected


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".txt.zst"])
def test_compressed_files_are_unpacked(tmp_path: Path, suffix: str) -> None:
    lines = [f"문서 {n}" for n in range(20)]
    is_json = "jsonl" in suffix
    data = "\n".join(json.dumps({"text": line}) if is_json else line for line in lines).encode()
    pack = {".gz": gzip.compress, "zst": zstandard.compress}.get(suffix[-3:], bytes)
    (tmp_path / f"a{suffix}").write_bytes(pack(data))
    assert texts(build(tmp_path, [str(tmp_path / f"a{suffix}")], unit="line")) == lines


def test_fields_are_mapped(tmp_path: Path) -> None:
    record = {"n": 7, "body": "본문", "lang": "KOR", "by": "kim", "lic": "CC0-1.0", "score": 3}
    (tmp_path / "a.jsonl").write_text(json.dumps(record), encoding="utf-8")
    fields = FieldNames(
        text="body", id="n", language="lang", license="lic", group="by", meta=("score",)
    )
    (row,) = rows(build(tmp_path, [str(tmp_path / "a.jsonl")], fields=fields, name="mine"))
    assert row["text"] == "본문"
    assert row["language"] == "ko"
    assert row["source"] == "mine"
    assert row["license"] == "CC0-1.0"
    assert row["group"] == "kim"
    assert json.loads(row["meta"]) == {"path": "a.jsonl", "line": 1, "score": 3}
    assert len(row["id"]) == 32


def test_parquet_rows_are_documents(tmp_path: Path) -> None:
    table = pa.table({"content": ["하나", None, "둘"], "id": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    fields = FieldNames(text="content", id="id")
    artifact = build(tmp_path, [str(tmp_path)], fields=fields)
    assert texts(artifact) == ["하나", "둘"]
    assert [row["reason"] for row in rejects(artifact)] == ["no text field"]


def test_bad_lines_are_rejected_with_their_number(tmp_path: Path) -> None:
    lines = ['{"text": "good"}', "{broken", '["a list"]', '{"text": 5}', '{"other": 1}', ""]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    artifact = build(tmp_path, [str(tmp_path / "a.jsonl")])
    found = [(row["reason"], json.loads(row["meta"])["line"]) for row in rejects(artifact)]
    assert found == [
        ("invalid JSON", 2),
        ("invalid JSON", 3),
        ("no text field", 4),
        ("no text field", 5),
    ]
    assert rejects(artifact)[0]["text"] == "{broken"
    assert artifact.facts["rejects"] == {"invalid JSON": 2, "no text field": 2}


def test_undecodable_line_stops_or_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    good = "가나다라" * 250_000
    file.write_bytes(good.encode() + b"\n\xff\xfe bad\n" + "끝".encode())
    with pytest.raises(TextEncodingError, match=r"byte 3000001 \(line 2\)"):
        build(tmp_path, [str(file)], unit="line")
    artifact = build(tmp_path, [str(file)], unit="line", undecodable="reject")
    assert texts(artifact) == [good, "끝"]
    (bad,) = rejects(artifact)
    assert bad["reason"] == "undecodable"
    assert json.loads(bad["meta"])["problem"] == "undecodable at byte 3000001"


def test_named_encoding_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Größe".encode("latin-1"))
    assert texts(build(tmp_path, [str(tmp_path / "a.txt")], encoding="latin-1")) == ["Größe"]
    (tmp_path / "b.txt").write_bytes("\ufeff가".encode())
    assert texts(build(tmp_path, [str(tmp_path / "b.txt")], encoding="utf-8")) == ["가"]


def test_long_texts_are_cut_at_line_ends_into_one_group(tmp_path: Path) -> None:
    lines = [f"{n:04} " + "x" * 94 for n in range(50)]
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "\n".join(lines)}), encoding="utf-8")
    found = rows(build(tmp_path, [str(tmp_path / "a.jsonl")], max_characters=1000))
    assert "\n".join(row["text"] for row in found) == "\n".join(lines)
    assert len({row["group"] for row in found}) == 1
    assert all(len(row["text"]) <= 1000 for row in found)


def test_a_whole_file_longer_than_the_limit_stays_one_group(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(f"줄 {n}" for n in range(999)), encoding="utf-8")
    found = rows(build(tmp_path, [str(tmp_path / "a.txt")], unit="file", max_characters=1000))
    assert len(found) > 1
    assert {row["group"] for row in found} == {"a.txt"}


def test_globs_and_folders_find_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/b.txt", "in/deep/a.txt", "in/.hidden.txt", "in/notes.md"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    expected = {"in/b.txt", "in/deep/a.txt"}
    assert set(texts(build(tmp_path, [str(tmp_path / "in")]))) == expected
    assert set(texts(build(tmp_path, [str(tmp_path / "in" / "**" / "*.txt")]))) == expected
    both = [str(tmp_path / "in"), str(tmp_path / "in" / "b.txt")]
    assert sorted(texts(build(tmp_path, both))) == sorted(expected)


def test_missing_path_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "korean.txt").write_text("가", encoding="utf-8")
    with pytest.raises(MissingInputError) as error:
        build(tmp_path, [str(tmp_path / "korea.txt")])
    assert "Did you mean 'korean.txt'" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_pattern_without_a_match_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nothing matches this pattern"):
        build(tmp_path, [str(tmp_path / "*.txt")])


def test_folder_without_known_files_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.docx").write_bytes(b"PK")
    with pytest.raises(EmptyCorpusError, match=r"no file to read(.|\n)*1 \.docx"):
        build(tmp_path, [str(tmp_path / "in")])


def test_unknown_format_of_a_named_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match=r"format of this file is not known(.|\n)*jq -c"):
        build(tmp_path, [str(tmp_path / "a.json")])
    (tmp_path / "a.md").write_text("# 제목", encoding="utf-8")
    with pytest.raises(InputError, match="format: text"):
        build(tmp_path, [str(tmp_path / "a.md")])
    assert texts(build(tmp_path, [str(tmp_path / "a.md")], format="text")) == ["# 제목"]


def test_wrong_text_field_is_told_with_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "document": "좋다"}', encoding="utf-8")
    with pytest.raises(InputError) as error:
        build(tmp_path, [str(tmp_path / "a.jsonl")], fields=FieldNames(text="documents"))
    assert "Did you mean 'document'" in str(error.value)
    assert "id, document" in str(error.value)


def test_wrong_column_is_told_with_a_suggestion(tmp_path: Path) -> None:
    pq.write_table(pa.table({"texts": ["가"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'text'\. Did you mean 'texts'"):
        build(tmp_path, [str(tmp_path / "a.parquet")])
    with pytest.raises(InputError, match="the column 'n' does not hold text"):
        build(tmp_path, [str(tmp_path / "a.parquet")], fields=FieldNames(text="n"))


def test_broken_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing else")
    with pytest.raises(InputError, match="this Parquet file cannot be read"):
        build(tmp_path, [str(tmp_path / "a.parquet")])


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_damaged_compressed_file_is_told(tmp_path: Path, suffix: str) -> None:
    data = b'{"text": "abc"}\n' * 50_000
    packed = gzip.compress(data) if suffix == "gz" else zstandard.compress(data)
    (tmp_path / f"a.jsonl.{suffix}").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="data is damaged"):
        build(tmp_path, [str(tmp_path / f"a.jsonl.{suffix}")])


def test_bad_language_field_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "가", "lang": "Korean"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.jsonl, line 1(.|\n)*Did you mean 'ko'"):
        build(tmp_path, [str(tmp_path / "a.jsonl")], fields=FieldNames(language="lang"))


def test_binary_file_in_a_folder_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"%PDF-1.7\n\x00\x01")
    with pytest.raises(TextEncodingError, match="a PDF document"):
        build(tmp_path, [str(tmp_path / "a.txt")])


def test_source_without_a_name_is_called_like_its_first_path() -> None:
    assert FilesSource(paths=("data/korean.jsonl.zst",)).source_name == "korean"
    assert FilesSource(paths=("data/**/*.txt",)).source_name == "data"
    assert FilesSource(paths=("*.txt",)).source_name == "files"


def test_half_a_surrogate_pair_is_rejected_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    lines = ['{"text": "a\\ud83d\\ude00"}', '{"text": "b\\ud83d"}', '{"text": "c"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = FilesSource(paths=(str(tmp_path / "a.jsonl"),))
    spec = CorpusSpec(sources=(source,), validation_fraction=0)
    artifact = build_corpus(spec, tmp_path / "documents")
    assert artifact.facts["total"]["documents"] == 2
    assert artifact.facts["rejects"] == {"invalid JSON": 1}


def test_the_longest_field_is_proposed_for_the_text(tmp_path: Path) -> None:
    row = {"category": "육아", "content": "안녕하세요. 긴 글입니다.", "title": "제목"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    spec = CorpusSpec(sources=(FilesSource(paths=(str(tmp_path / "a.jsonl"),)),))
    with pytest.raises(InputError, match=r"has no field 'text'[\s\S]*\{text: content\}"):
        build_corpus(spec, tmp_path / "out")

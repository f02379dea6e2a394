"""Texts that a command line names: name, path and field are told apart; what is read is clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import document, write_documents

from hunmin.core.errors import EmptyCorpusError, InputError, MissingInputError
from hunmin.corpus.sources.named import Limits, read_named, source_of, split_written


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.txt").write_text("첫째 줄\n둘째 줄\n\n셋째 줄\n", encoding="utf-8")
    rows = [{"body": "하나", "text": "둘"}, {"body": "셋", "text": "  "}]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "b.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "c.tsv").write_text("0\t넷\n1\t다섯\n", encoding="utf-8")
    (tmp_path / "x=y.txt").write_text("이름에 등호\n", encoding="utf-8")
    (tmp_path / "d.json").write_text('{"items": [{"q": "여섯"}, {"q": "일곱"}]}', "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("a.txt", (None, "a.txt", None)),
        ("news=a.txt", ("news", "a.txt", None)),
        ("news=b.jsonl:body", ("news", "b.jsonl", "body")),
        ("b.jsonl:{body}: {text}", (None, "b.jsonl", "{body}: {text}")),
        ("*.jsonl:body", (None, "*.jsonl", "body")),
        ("x=y.txt", (None, "x=y.txt", None)),
        ("./x=z.txt", (None, "./x=z.txt", None)),
        ("missing.txt", (None, "missing.txt", None)),
    ],
)
def test_parts(files: Path, written: str, parts: tuple[str | None, str, str | None]) -> None:
    assert split_written(written) == parts


@given(st.text(max_size=30))
def test_anything_can_be_parted(written: str) -> None:
    name, path, field = split_written(written.replace("\0", ""))
    assert written.replace("\0", "") == (
        ("" if name is None else f"{name}=") + path + ("" if field is None else f":{field}")
    )


def test_units_fields_columns_and_json(files: Path) -> None:
    def texts(*written: str, **options: str) -> list[str]:
        return [text.text for text in read_named(written, **options)]  # type: ignore[arg-type]

    assert texts("a.txt") == ["첫째 줄\n둘째 줄", "셋째 줄"]
    assert texts("a.txt", unit="line") == ["첫째 줄", "둘째 줄", "셋째 줄"]
    assert texts("b.jsonl:body") == ["하나", "셋"]
    assert texts("b.jsonl") == ["둘"]
    assert texts("c.tsv:2") == ["넷", "다섯"]
    assert texts("d.json:items.q") == ["여섯", "일곱"]


def test_names_and_languages(files: Path) -> None:
    read = read_named(["news=a.txt", "b.jsonl:body"], unit="file", language="ko")
    assert [(text.source, text.language) for text in read] == [
        ("news", "ko"),
        ("b", "ko"),
        ("b", "ko"),
    ]


def test_texts_are_clean(files: Path) -> None:
    (files / "dirty.txt").write_text("가\u200b나\x07다\u00a0라", encoding="utf-8")
    assert [text.text for text in read_named(["dirty.txt"])] == ["가나다 라"]


def test_documents_artifacts(files: Path) -> None:
    rows = [document("문서 하나", source="news"), document("document", "en", source="web")]
    write_documents(files / "corpus", {"train": rows, "validation": [document("문서 둘")]})
    read = read_named(["corpus"])
    assert {(text.text, text.source, text.language) for text in read} == {
        ("문서 하나", "news", "ko"),
        ("document", "web", "en"),
    }
    held_out = read_named(["mine=corpus"], limits=Limits(split="validation"))
    assert [(text.text, text.source) for text in held_out] == [("문서 둘", "mine")]


def test_a_sample_is_enough(files: Path) -> None:
    read = read_named(["a.txt", "c.tsv:2"], unit="line", limits=Limits(max_bytes=1))
    assert [text.text for text in read] == ["첫째 줄", "넷"]


def test_what_cannot_be_read(files: Path) -> None:
    (files / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match="no text here"):
        read_named(["empty.txt"])
    with pytest.raises(MissingInputError, match=r"Did you mean '[a-d]\.\w+'"):
        read_named(["b.txt"])
    with pytest.raises(InputError, match="names no texts"):
        source_of(f"{'n' * 80}=a.txt")
    with pytest.raises(InputError, match="has no field 'bodi'"):
        read_named(["b.jsonl:bodi"])

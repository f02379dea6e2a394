"""CSV and TSV: headers, numbers, quotes, and rows that do not fit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.corpus.sources.files import delimited
from hunmin.corpus.sources.files.delimited import read_delimited
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.spec import FilesSource, TableLayout
from hunmin.text.files import read_text_lines
from hunmin.text.lines import Line

REVIEWS = 'id,document,movie_id\n1,"재미있다, 정말",7\n2,"첫 줄\n""둘째"" 줄",8\n\n3,끝,7\n'


def files(path: Path, **options: Any) -> dict[str, Any]:
    return {"kind": "files", "paths": [str(path)], **options}


def test_rows_are_documents(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.csv").write_text(REVIEWS, encoding="utf-8")
    fields = {"text": "document", "id": "id", "group": "movie_id", "meta": ["id"]}
    built = build(files(tmp_path / "a.csv", fields=fields))
    assert built.texts == ["재미있다, 정말", '첫 줄\n"둘째" 줄', "끝"]
    assert [row["group"] for row in built.documents] == ["7", "8", "7"]
    assert [json.loads(row["meta"])["line"] for row in built.documents] == [2, 3, 6]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
def test_encodings_and_marks_do_not_reach_the_header(
    tmp_path: Path, build: Any, encoding: str
) -> None:
    (tmp_path / "a.csv").write_bytes(REVIEWS.replace("\n", "\r\n").encode(encoding))
    built = build(files(tmp_path / "a.csv", fields={"text": "document", "id": "id"}))
    assert built.texts[0] == "재미있다, 정말"
    assert len(built.texts) == 3


def test_tsv_has_no_quotes_unless_told(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"좋다" 하고\n2\t"열린 채\n', encoding="utf-8")
    assert build(files(tmp_path / "a.tsv")).texts == ['"좋다" 하고', '"열린 채']
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"가\t나"\n', encoding="utf-8")
    assert build(files(tmp_path / "a.tsv", table={"quote": '"'})).texts == ["가\t나"]


def test_columns_have_numbers_without_a_header(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.txt").write_text("1;하나\n2;둘\n", encoding="utf-8")
    table = {"header": False, "delimiter": ";"}
    source = files(tmp_path / "a.txt", format="csv", table=table, fields={"text": 2, "id": 1})
    assert build(source).texts == ["하나", "둘"]


def test_text_is_built_from_several_columns(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.csv").write_text("title,content\n제목,본문\n,본문만\n", encoding="utf-8")
    built = build(files(tmp_path / "a.csv", fields={"text": "{title}\n\n{content}"}))
    assert built.texts == ["제목\n\n본문", "본문만"]


def test_rows_that_do_not_fit_are_rejected(tmp_path: Path, build: Any) -> None:
    rows = 'text,n\n좋다,1\n너무,많은,열\n하나\n"닫힌" 뒤,2\n끝,3\n'
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    built = build(files(tmp_path / "a.csv"))
    assert built.texts == ["좋다", "끝"]
    assert built.reasons == ["malformed row"] * 3
    assert [json.loads(row["meta"])["line"] for row in built.rejects] == [3, 4, 5]
    assert json.loads(built.rejects[0]["meta"])["problem"] == "3 columns, not 2"
    assert built.rejects[2]["text"] == '"닫힌" 뒤,2'


def test_quote_that_is_never_closed_is_told_with_its_line(
    tmp_path: Path, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text('text\n좋다\n"열린 채\n' + "끝\n" * 99, encoding="utf-8")
    with pytest.raises(InputError, match=r"line 3 has a quote that is never(.|\n)*quote: none"):
        build(files(tmp_path / "a.csv"))
    monkeypatch.setattr(delimited, "MAX_ROW_CHARACTERS", 50)
    with pytest.raises(InputError, match="line 3 has a quote that is never closed"):
        build(files(tmp_path / "a.csv"))


def test_wrong_columns_are_told_with_a_suggestion(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.csv").write_text(REVIEWS, encoding="utf-8")
    with pytest.raises(InputError, match=r"no column 'documents'\. Did you mean 'document'"):
        build(files(tmp_path / "a.csv", fields={"text": "documents"}))
    with pytest.raises(InputError, match=r"no column 'text'(.|\n)*header: false"):
        build(files(tmp_path / "a.csv"))
    with pytest.raises(InputError, match=r"no column '4'(.|\n)*columns have numbers here"):
        build(files(tmp_path / "a.csv", fields={"text": 4}, table={"header": False}))
    (tmp_path / "a.csv").write_text("text,text\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="there are 2 columns 'text'"):
        build(files(tmp_path / "a.csv"))


def test_undecodable_and_zero_bytes_stop_or_are_rejected(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.csv").write_bytes("text\n하나\n".encode() + b"\xff\xfe\nb\0d\n" + "끝".encode())
    source = files(tmp_path / "a.csv", encoding="utf-8")
    with pytest.raises(TextEncodingError, match="line 3"):
        build(source)
    built = build({**source, "undecodable": "reject"})
    assert built.texts == ["하나", "끝"]
    assert built.reasons == ["undecodable"] * 2


cells = st.text(alphabet='가나,"\n x', max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8))
def test_what_is_written_is_read_again(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["text", "n"], *rows])
    texts = buffer.getvalue().removesuffix("\n").split("\n")
    lines = (Line(number, text, None) for number, text in enumerate(texts, 1))
    source = FilesSource(paths=("a.csv",), table=TableLayout())
    found = read_delimited(lines, InputFile("a.csv", Path("a.csv"), "csv", None), source)
    assert [record.text for record in found] == [text for text, _ in rows]


def test_every_real_korean_review_is_read_or_rejected(build: Any, shared_data: Path) -> None:
    path = shared_data / "nsmc" / "ratings_test_a.tsv.zst"
    num_lines = sum(1 for _ in read_text_lines(path))
    built = build(files(path, fields={"text": "document", "id": "id"}))
    assert len(built.documents) + len(built.rejects) == num_lines - 1
    assert set(built.reasons) <= {"duplicate", "empty"}

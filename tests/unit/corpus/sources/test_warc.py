"""Web archives: whole, broken in every way, on one process and several."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hunmin.core.errors import EmptyCorpusError, InputError, MissingInputError
from hunmin.corpus.sources.spec import WarcSource
from hunmin.corpus.sources.web import frames as frames_module
from hunmin.corpus.sources.web.frames import frames
from hunmin.corpus.sources.web.warc import WarcReader

from . import pages

INFO = pages.record("urn:info", b"software: x\r\n", kind="warcinfo")
NEWS = pages.record("http://news.kr/1", pages.NEWS.html.encode())
BLOG = pages.record(
    "https://blog.kr/2", pages.BLOG.html.encode("cp949"), content_type="text/html; charset=EUC-KR"
)
JAPANESE = pages.record("http://news.kr/3", pages.JAPANESE.html.encode("cp932"))


def source(path: Path, **options: Any) -> dict[str, Any]:
    return {"kind": "warc", "paths": [str(path)], **options}


def titles(built: Any) -> list[str]:
    return [json.loads(row["meta"])["title"] for row in built.documents]


def test_responses_become_documents(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.warc").write_bytes(INFO + NEWS + BLOG + JAPANESE)
    built = build(source(tmp_path / "a.warc"), num_workers=1)
    assert titles(built) == ["한강에 새 다리가 놓인다", "김치찌개 끓이는 법", "京都の紅葉の見ごろ"]
    assert [row["group"] for row in built.documents] == ["news.kr", "blog.kr", "news.kr"]
    meta = json.loads(built.documents[1]["meta"])
    assert meta == {
        "path": "a.warc",
        "offset": len(INFO + NEWS),
        "url": "https://blog.kr/2",
        "date": "2026-01-02T03:04:05Z",
        "mime": "text/html",
        "charset": "cp949",
        "title": "김치찌개 끓이는 법",
    }
    assert built.rejects == []


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".warc.gz", gzip.compress), (".warc.zst", zstandard.compress)],
)
@pytest.mark.parametrize("num_workers", [1, 2])
def test_packed_archives_and_processes_give_the_same(
    tmp_path: Path, build: Any, suffix: str, pack: Callable[[bytes], bytes], num_workers: int
) -> None:
    (tmp_path / "in").mkdir()
    members = [pack(record) for record in (INFO, NEWS, BLOG, JAPANESE)]
    (tmp_path / "in" / f"a{suffix}").write_bytes(b"".join(members))
    built = build(source(tmp_path / "in"), num_workers=num_workers)
    assert len(built.documents) == 3
    (tmp_path / "in" / f"a{suffix}").write_bytes(b"".join(members)[:-30])
    with pytest.raises(InputError, match="data is damaged"):
        build(source(tmp_path / "in"), num_workers=num_workers)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (b"garbage between records\r\nmore of it\r\n\r\n", "no WARC/ at its start"),
        (BLOG.replace(b"Content-Length: ", b"Content-Length: x"), "no Content-Length"),
        (BLOG.replace(b"WARC-Type: response\r\n", b""), "no WARC-Type"),
        (BLOG.replace(b"Content-Length: ", b"Content-Length: 9"), "it ends too early"),
        (re.sub(rb"(?<=Content-Length: )\d+", b"300", BLOG), "its Content-Length is wrong"),
        (BLOG[:300], None),
    ],
)
def test_broken_records_are_counted_and_the_next_ones_read(
    tmp_path: Path, build: Any, broken: bytes, problem: str | None
) -> None:
    (tmp_path / "a.warc").write_bytes(NEWS + broken + b"\r\n\r\n" + JAPANESE)
    built = build(source(tmp_path / "a.warc"), num_workers=1)
    assert titles(built) == ["한강에 새 다리가 놓인다", "京都の紅葉の見ごろ"]
    assert built.reasons == ["malformed WARC record"]
    meta = json.loads(built.rejects[0]["meta"])
    assert meta["offset"] == len(NEWS)
    assert problem is None or meta["problem"] == problem


def test_archive_cut_short_is_counted(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.warc").write_bytes(NEWS + BLOG[:-200])
    built = build(source(tmp_path / "a.warc"), num_workers=1)
    assert built.reasons == ["malformed WARC record"]
    assert json.loads(built.rejects[0]["meta"])["problem"] == "it ends too early"


def test_what_is_no_page_has_a_reason(tmp_path: Path, build: Any) -> None:
    body = pages.NEWS.html.encode()
    records = [
        NEWS,
        pages.record("http://a.kr/404", body, status="404 Not Found"),
        pages.record("http://a.kr/x.png", b"\x89PNG", content_type="image/png"),
        pages.record("http://a.kr/z", b"no gzip", headers="Content-Encoding: gzip\r\n"),
        pages.record("http://a.kr/deep", b"<div>" * 5000),
        pages.record("http://a.kr/bytes", bytes(range(128, 256)) * 20),
        pages.record("http://a.kr/request", body, kind="request"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    built = build(source(tmp_path / "a.warc"), num_workers=1)
    assert len(built.documents) == 1
    assert built.reasons == [
        "not a success", "not HTML", "malformed WARC record", "page too complex", "undecodable",
    ]  # fmt: skip
    assert "404" in built.rejects[0]["meta"]


def test_sent_in_chunks_and_packed(tmp_path: Path, build: Any) -> None:
    packed = gzip.compress(pages.BLOG.html.encode())
    chunked = b"%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n"
    headers = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    (tmp_path / "a.warc").write_bytes(pages.record("http://a.kr", chunked, headers=headers))
    assert titles(build(source(tmp_path / "a.warc"), num_workers=1)) == ["김치찌개 끓이는 법"]


def test_extracted_text_is_read_as_it_is(tmp_path: Path, build: Any) -> None:
    text = "한 줄\n두 <줄>"
    wet = pages.record("http://a.kr", text.encode(), content_type="text/plain", kind="conversion")
    (tmp_path / "a.warc.wet.gz").write_bytes(gzip.compress(wet))
    assert build(source(tmp_path / "a.warc.wet.gz"), num_workers=1).texts == [text]


def test_size_of_the_pieces_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.warc").write_bytes((NEWS + BLOG + JAPANESE) * 3)
    spec = WarcSource(paths=(str(tmp_path / "a.warc"),))

    def rows() -> list[Any]:
        batches = WarcReader(spec, 1_000_000).batches(lambda _: None)
        return [row for batch in batches for row in batch.to_pylist()]

    expected = rows()
    monkeypatch.setattr("hunmin.corpus.sources.web.warc._PIECE_BYTES", 1)
    monkeypatch.setattr(frames_module, "_READ_BYTES", 100)
    assert rows() == expected


def test_endless_record_is_passed_over_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MAX_RECORD_BYTES", 1 << 20)
    long = pages.record("http://a.kr", b"x" * (8 << 20))
    found = list(frames(io.BytesIO(NEWS + long + JAPANESE)))
    assert [frame.problem for frame in found] == ["", "longer than 1 MiB", ""]
    assert found[2].data == JAPANESE[:-4]


def test_missing_archives_are_told(tmp_path: Path, build: Any) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        build(source(tmp_path / "no.warc"))
    (tmp_path / "in").mkdir()
    with pytest.raises(EmptyCorpusError, match=r"no archive to read(.|\n)*\.warc\.gz"):
        build(source(tmp_path / "in"))
    with pytest.raises(InputError, match="ftp:// cannot be read"):
        build({"kind": "warc", "paths": ["ftp://commoncrawl/a.warc.gz"]})

"""Dumps of Wikipedia: multistream and not, on one process and several, whole and damaged."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import HunminError, InputError, MissingInputError
from hunmin.corpus.sources.spec import WikipediaDumpSource
from hunmin.corpus.sources.wikipedia.dump import WikipediaDumpReader
from hunmin.corpus.sources.wikipedia.streams import pieces, stream_starts

from . import dumps


def source(path: Path | str, **options: Any) -> dict[str, Any]:
    return {"kind": "wikipedia-dump", "path": str(path), "language": "ko", **options}


def texts_of(path: Path | str, *, num_workers: int = 1, **options: Any) -> list[str]:
    spec = WikipediaDumpSource.model_validate(source(path, **options))
    reader = WikipediaDumpReader(spec, 1_000_000, num_workers)
    found: Iterator[pa.RecordBatch] = reader.batches(lambda _: None)
    return [text for batch in found for text in batch["text"].to_pylist()]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "kowiki-pages-articles-multistream.xml.bz2"
    path.write_bytes(dumps.multistream(dumps.PAGES, per_stream=2))
    return path


def test_articles_become_documents(dump: Path, build: Any) -> None:
    built = build(source(dump, categories=True), num_workers=1)
    assert built.texts[0] == dumps.KOREAN_PLAIN
    assert [json.loads(row["meta"])["title"] for row in built.documents] == [
        "서울", "Seoul", "東京", "القاهرة",
    ]  # fmt: skip
    assert built.documents[0]["source"] == "wikipedia-ko"
    assert built.documents[0]["license"].startswith("CC-BY-SA-4.0")
    assert json.loads(built.documents[0]["meta"]) == {
        "page": "1",
        "title": "서울",
        "revision": "9001",
        "url": "https://ko.wikipedia.org/wiki/%EC%84%9C%EC%9A%B8",
        "categories": ["서울", "대한민국의 도시"],
    }
    assert len({row["group"] for row in built.documents}) == 4


def test_what_else_can_be_read(dump: Path) -> None:
    assert len(texts_of(dump, disambiguation=True)) == 5
    assert texts_of(dump, namespaces=[1], title=False) == ["이야기"]
    shown = texts_of(dump, templates={"إنج": "{1}"}, title=False)
    assert shown[3].startswith("القاهرة (Cairo) هي")


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
def test_other_packings_give_the_same(dump: Path, tmp_path: Path, suffix: str) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[suffix]
    path = tmp_path / f"pages.xml{suffix}"
    path.write_bytes(pack(dumps.export(dumps.PAGES).encode()))
    assert texts_of(path) == texts_of(dump)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(40, 4000))
def test_streams_may_cut_pages_anywhere(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "pages.xml.bz2"
    path.write_bytes(dumps.cut_anywhere(dumps.PAGES, size))
    whole = path.with_name("whole.xml")
    whole.write_text(dumps.export(dumps.PAGES), encoding="utf-8")
    assert texts_of(path) == texts_of(whole)


def test_several_processes_give_the_same(dump: Path) -> None:
    assert texts_of(dump, num_workers=2) == texts_of(dump)


def test_pieces_cover_the_file(dump: Path) -> None:
    found = list(pieces(dump))
    assert len(stream_starts(dump)) == 6
    assert found[0].start == 0
    assert sum(piece.length for piece in found) == dump.stat().st_size
    unpacked = b"".join(piece.unpack() for piece in found)
    assert unpacked == dumps.export(dumps.PAGES).encode()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_damaged_stream_is_told_with_its_place(dump: Path, num_workers: int) -> None:
    data = bytearray(dump.read_bytes())
    at = stream_starts(dump)[2] + 60
    data[at : at + 20] = bytes(20)
    dump.write_bytes(data)
    with pytest.raises(InputError, match=r"stream at byte \d+: the bz2 data is damaged"):
        texts_of(dump, num_workers=num_workers)


def test_dump_cut_short_is_told(dump: Path) -> None:
    data, starts = dump.read_bytes(), stream_starts(dump)
    for end in (starts[-1], starts[-2]):
        dump.write_bytes(data[:end])
        with pytest.raises(InputError, match=r"ends before its end(.|\n)*checksum"):
            texts_of(dump)
    dump.write_bytes(data[: starts[-1] - 30])
    with pytest.raises(InputError, match="data is damaged"):
        texts_of(dump)


def test_malformed_pages_are_rejected(tmp_path: Path, build: Any) -> None:
    xml = dumps.export(dumps.PAGES)
    xml = xml.replace("<title>Seoul</title>", "").replace("</revision>\n  </page>", "", 1)
    (tmp_path / "a.xml").write_text(xml, encoding="utf-8")
    built = build(source(tmp_path / "a.xml"), num_workers=1)
    assert built.reasons == ["malformed page"] * 2
    problems = [json.loads(row["meta"])["problem"] for row in built.rejects]
    assert problems == ["no </page>", "no <title>"]
    assert len(built.documents) == 2


def test_long_articles_are_cut_into_one_group(tmp_path: Path, build: Any) -> None:
    long = dumps.WikiPage("긴 글", "\n\n".join(f"문단 {n}. " + "가" * 80 for n in range(50)))
    (tmp_path / "a.xml").write_text(dumps.export([long]), encoding="utf-8")
    built = build(source(tmp_path / "a.xml"), num_workers=1, max_characters=1000)
    assert len(built.documents) > 3
    assert len({row["group"] for row in built.documents}) == 1


def test_what_is_no_dump_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        texts_of(tmp_path / "no.xml.bz2")
    with pytest.raises(InputError, match=r"a dump is one file(.|\n)*several sources"):
        texts_of(tmp_path)
    index = tmp_path / "pages-index.txt.bz2"
    index.write_bytes(bz2.compress("600:1:서울\n".encode()))
    with pytest.raises(HunminError, match=r"no dump of a wiki(.|\n)*not its index"):
        texts_of(index)
    with pytest.raises(InputError, match="cannot be read"):
        texts_of("ftp://dumps.example.org/a.xml.bz2")

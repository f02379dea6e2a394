"""Files on object stores and the web give the documents that they give on disk."""

from __future__ import annotations

import bz2
import gzip
import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hunmin.core.errors import MissingInputError
from hunmin.corpus.sources.describe import describe_sources
from hunmin.corpus.sources.files.discover import find_files
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import WarcSource, WikipediaDumpSource
from hunmin.corpus.sources.web.warc import WarcReader
from hunmin.corpus.sources.wikipedia.dump import WikipediaDumpReader
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.remote import stream
from hunmin.text.remote.address import check_address

from . import dumps, pages
from .remote_files import (
    KINDS,
    LINES,
    PACKERS,
    TEXTS,
    address,
    as_parquet,
    put,
    read,
    rows,
    source,
    texts,
)
from .stores import LocalStore, serve_google_store


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packing", PACKERS)
def test_every_compression_reads_as_from_disk(
    tmp_path: Path, store: LocalStore, kind: str, packing: str
) -> None:
    name, content = f"a.jsonl{packing}", PACKERS[packing](LINES)
    (tmp_path / name).write_bytes(content)
    put(store, name, content)
    assert read(address(store, kind, name)) == read(str(tmp_path / name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_reads_as_from_disk(tmp_path: Path, store: LocalStore, kind: str) -> None:
    contents = {
        "a.txt": "가나\n\n다라".encode("cp949"),
        "a.csv": 'id,text\n1,"한 줄\n두 줄"\n'.encode(),
        "a.tsv.gz": gzip.compress("id\ttext\n1\t하나\n".encode()),
        "a.parquet": as_parquet(tmp_path),
        "empty.txt": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        put(store, name, content)
        remote, local = read(address(store, kind, name)), read(str(tmp_path / name))
        assert remote == local
        assert remote or name == "empty.txt"


@pytest.mark.parametrize("kind", KINDS)
def test_html_and_json_read_as_from_disk(tmp_path: Path, store: LocalStore, kind: str) -> None:
    json_ = json.dumps({"data": [{"text": "하나"}, {"text": "둘"}]}).encode()
    put(store, "a.json", json_)
    where = address(store, kind, "a.json")
    assert texts(where, format="json", fields={"text": "data.text"}) == ["하나", "둘"]
    pytest.importorskip("resiliparse")
    put(store, "page", pages.NEWS.html.encode())
    (text,) = texts(address(store, kind, "page"), format="html")
    assert "한강에 새 다리" in text


def test_folders_and_globs_find_what_they_find_on_disk(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "in/b.txt",
        "in/deep/a.txt",
        "in/deep/er/c.txt",
        "in/.x/h.txt",
        "in/n.md",
        "z.txt",
    ):
        path = tmp_path / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
        put(store, name, name.encode())
    monkeypatch.chdir(tmp_path)
    for pattern in ("in", "in/", "in/**/*.txt", "in/*/*.txt", "**/a.txt", "*.txt", "i?/deep/**/c*"):
        local = [file.label for file in find_files(source(f"bucket/{pattern}"))]
        remote = [file.label for file in find_files(source(f"s3://bucket/{pattern}"))]
        assert remote == local, pattern
    both = find_files(source("s3://bucket/in", "s3://bucket/in/b.txt"))
    assert [file.label for file in both] == ["in/b.txt", "in/deep/a.txt", "in/deep/er/c.txt"]
    everything = [file.label for file in find_files(source("s3://bucket"))]
    assert everything == ["in/b.txt", "in/deep/a.txt", "in/deep/er/c.txt", "z.txt"]


def test_harmless_queries_are_taken_and_not_shown(store: LocalStore) -> None:
    check_address("https://x.org/a.txt?download=1&monkey=2&keyword=3")
    put(store, "a.txt", "가".encode())
    (file,) = find_files(source(f"{store.address}/bucket/a.txt?download=1#top"))
    assert (file.label, str(file.path)) == ("a.txt", f"{store.address}/bucket/a.txt")


def test_sources_are_described_by_size_and_version(store: LocalStore) -> None:
    put(store, "a.txt", "가나".encode())
    paths = ("s3://bucket/*.txt", f"{store.address}/bucket/a.txt")
    recipe = CorpusSpec(sources=tuple(source(path) for path in paths))
    ((s3,), (web,)) = before = describe_sources(recipe)
    assert [*s3[:2], *web[:2]] == ["a.txt", 6, "a.txt", 6]
    assert s3[2]
    assert web[2].startswith('"')
    put(store, "a.txt", "다라".encode())
    assert describe_sources(recipe) != before
    assert json.loads(json.dumps(before)) == before


def test_parts_are_packed_by_size_and_travel(store: LocalStore) -> None:
    for number in range(6):
        put(store, f"in/{number}.jsonl", LINES[:1000].rpartition(b"\n")[0] + b"\n")
    reader = FileReader(source("s3://bucket/in"), 1000)
    parts = [pickle.loads(pickle.dumps(part)) for part in reader.split(2500)]
    assert len(parts) == 3
    assert [row for part in parts for row in rows(part)] == rows(reader)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packing", [".gz", ""])
def test_archives_read_as_from_disk(
    tmp_path: Path, store: LocalStore, kind: str, packing: str
) -> None:
    pytest.importorskip("fastwarc")
    record = pages.record("http://a.kr/1", pages.NEWS.html.encode())
    name, content = f"a.warc{packing}", PACKERS[packing](record)
    (tmp_path / name).write_bytes(content)
    put(store, name, content)
    local, remote = (
        rows(WarcReader(WarcSource(paths=(path,), name="w"), 100_000))
        for path in (str(tmp_path / name), address(store, kind, name))
    )
    assert remote == local
    assert "한강" in remote[0]["text"]


MANY_PAGES = [dumps.WikiPage(f"문서 {n}", f"본문 {n} " + TEXTS[n] * 20) for n in range(300)]
DUMPS = {
    "d.xml": dumps.export(MANY_PAGES).encode(),
    "d.xml.gz": gzip.compress(dumps.export(MANY_PAGES).encode()),
    "single.xml.bz2": bz2.compress(dumps.export(MANY_PAGES).encode()),
    "multi.xml.bz2": dumps.multistream(MANY_PAGES, 10),
    "cut.xml.bz2": dumps.cut_anywhere(MANY_PAGES, 70_000),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DUMPS)
def test_dumps_read_as_from_disk(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    streams = "hunmin.corpus.sources.wikipedia.streams"
    monkeypatch.setattr(f"{streams}.PIECE_BYTES", 1 << 14)
    monkeypatch.setattr(f"{streams}._PROBE_BYTES", 1 << 15)
    monkeypatch.setattr(f"{streams}._MAX_PIECE_BYTES", 1 << 14)
    (tmp_path / name).write_bytes(DUMPS[name])
    put(store, name, DUMPS[name])
    store.cut_after, store.num_cuts = 20_000, 3
    local, remote = (
        rows(WikipediaDumpReader(WikipediaDumpSource(path=path, language="ko"), 100_000))
        for path in (str(tmp_path / name), address(store, kind, name))
    )
    assert remote == local
    assert len(remote) == 300


def test_the_hub_is_read_by_its_own_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folders = pytest.importorskip("fsspec.implementations.dirfs")
    (tmp_path / "datasets/me/poems/ko").mkdir(parents=True)
    (tmp_path / "datasets/me/poems/ko/a.jsonl.zst").write_bytes(zstandard.compress(LINES))
    stand_in = folders.DirFileSystem(str(tmp_path), fs=folders.filesystem("file"))
    monkeypatch.setattr(hub, "HfFileSystem", lambda: stand_in)
    stream._store.cache_clear()
    assert texts("hf://datasets/me/poems/ko/*.jsonl.zst") == TEXTS
    (file,) = find_files(source("hf://datasets/me/poems"))
    assert str(file.path) == "hf://datasets/me/poems/ko/a.jsonl.zst"
    with pytest.raises(MissingInputError, match="no such file"):
        find_files(source("hf://datasets/me/songs"))
    stream._store.cache_clear()


def test_googles_store_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"bucket/in/a.jsonl.zst": zstandard.compress(LINES), "bucket/in/b.txt": b"b"}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve_google_store, args=(LocalStore(files=held), there))
    server.start()
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", here.recv())
        stream._store.cache_clear()
        assert texts("gs://bucket/in/**/*.zst") == TEXTS
        labels = [file.label for file in find_files(source("gs://bucket/in"))]
        assert labels == ["in/a.jsonl.zst", "in/b.txt"]
        for where, problem in {
            "bucket/no.txt": "no such file",
            "b2/*.txt": "no such bucket",
        }.items():
            with pytest.raises(MissingInputError, match=problem):
                find_files(source(f"gs://{where}"))
    finally:
        here.send("stop")
        server.join()
        stream._store.cache_clear()


def test_a_corpus_is_built_from_a_store(store: LocalStore, build: Any) -> None:
    put(store, "crawl/a.jsonl.zst", zstandard.compress(LINES[:50_000].rpartition(b"\n")[0]))
    built = build({"kind": "files", "paths": ["s3://bucket/crawl/**/*.jsonl.zst"]})
    assert len(built.texts) > 100
    assert set(built.texts) <= set(TEXTS)
    assert json.loads(built.documents[0]["meta"])["path"] == "a.jsonl.zst"
    assert built.documents[0]["source"] == "crawl"

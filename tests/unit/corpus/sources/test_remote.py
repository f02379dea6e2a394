"""Files on object stores and the web: the documents are those from disk, or there is an error."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import multiprocessing
import pickle
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from hunmin.core.errors import InputError, MissingInputError, TextEncodingError
from hunmin.corpus.sources.describe import describe_sources
from hunmin.corpus.sources.files.discover import find_files
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import FilesSource, WarcSource, WikipediaDumpSource
from hunmin.corpus.sources.web.warc import WarcReader
from hunmin.corpus.sources.wikipedia.dump import WikipediaDumpReader
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.remote import objects, stream
from hunmin.text.remote.address import check_address, shown
from hunmin.text.remote.errors import UnreachableError

from . import dumps, pages
from .stores import LocalStore, serve_google_store, serving

TEXTS = [
    f"{number}번째 문서: 강은 산을 돌아 바다로 간다. {number * 7919}" for number in range(10_000)
]
LINES = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS).encode()
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
}
KINDS = ("s3", "web")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    monkeypatch.setattr(stream, "PAUSES", (0.001,) * 5)
    monkeypatch.setattr(objects, "_TRIES", 1)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_NO_SIGN_REQUEST", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/nonexistent")
    with serving(LocalStore()) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.address)
        stream._store.cache_clear()
        yield served
    stream._store.cache_clear()


def address(store: LocalStore, kind: str, name: str) -> str:
    return f"s3://bucket/{name}" if kind == "s3" else f"{store.address}/bucket/{name}"


def put(store: LocalStore, name: str, content: bytes) -> None:
    store.files[f"bucket/{name}"] = content


def source(*paths: str, **options: Any) -> FilesSource:
    return FilesSource(paths=paths, name="mine", **options)


def rows(reader: SourceReader) -> list[dict[str, Any]]:
    """Records of a reader; it must tell of all bytes."""
    told: list[int] = []
    found = [row for batch in reader.batches(told.append) for row in batch.to_pylist()]
    assert reader.total is not None
    assert sum(told) == pytest.approx(reader.total, rel=0.01)
    return found


def read(*paths: str, **options: Any) -> list[dict[str, Any]]:
    return rows(FileReader(source(*paths, **options), 1_000_000))


def texts(*paths: str, **options: Any) -> list[str]:
    return [row["text"] for row in read(*paths, **options)]


def as_parquet(folder: Path) -> bytes:
    pq.write_table(pa.table({"text": TEXTS}), folder / "made.parquet", row_group_size=3000)
    return (folder / "made.parquet").read_bytes()


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.jsonl.xz", "a.parquet"])
def test_reading_goes_on_where_the_connection_broke(
    tmp_path: Path, store: LocalStore, kind: str, name: str
) -> None:
    packing = Path(name).suffix
    content = as_parquet(tmp_path) if packing == ".parquet" else PACKERS.get(packing, bytes)(LINES)
    put(store, name, content)
    store.cut_after, store.num_cuts = len(content) // 7, 4
    assert texts(address(store, kind, name)) == TEXTS
    assert store.num_cuts < 4


def test_after_a_break_only_the_rest_is_asked_for(store: LocalStore) -> None:
    put(store, "a.jsonl", LINES)
    store.cut_after, store.num_cuts = 400_000, 1
    assert texts(address(store, "web", "a.jsonl"), encoding="latin-1")
    # One question for the length, one for a mark at the start, and the file in two pieces.
    asked = store.start_of_answers("bucket/a.jsonl")
    assert asked[-1] == "bytes=400000-"


def test_servers_without_ranges_start_again_and_nothing_comes_twice(store: LocalStore) -> None:
    put(store, "a.jsonl.gz", gzip.compress(LINES))
    store.has_ranges, store.cut_after, store.num_cuts = False, 30_000, 2
    assert texts(address(store, "web", "a.jsonl.gz")) == TEXTS
    assert store.num_cuts == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.jsonl.bz2", "a.jsonl.xz"])
def test_a_connection_that_stays_broken_is_an_error_and_no_shorter_file(
    store: LocalStore, kind: str, name: str
) -> None:
    put(store, name, PACKERS.get(Path(name).suffix, bytes)(LINES))
    where = address(store, kind, name)
    reader = FileReader(source(where), 1_000_000)
    store.cut_after = 0
    with pytest.raises(UnreachableError, match="run the same command again") as error:
        list(reader.batches(lambda _: None))
    assert where in str(error.value)
    assert error.value.exit_code == 2
    assert not isinstance(error.value, InputError)


def test_parquet_over_a_broken_connection_is_no_damaged_file(
    tmp_path: Path, store: LocalStore
) -> None:
    put(store, "a.parquet", as_parquet(tmp_path))
    reader = FileReader(source(address(store, "web", "a.parquet")), 1_000_000)
    store.cut_after = 0
    with pytest.raises(UnreachableError):
        list(reader.batches(lambda _: None))


@pytest.mark.parametrize(
    ("path", "error", "problem"),
    [
        ("s3://bucket/no.txt", MissingInputError, "no such file or folder"),
        ("s3://bucket/no/*.txt", MissingInputError, "no such file|nothing matches"),
        ("s3://bucket/in/*.txt", MissingInputError, "nothing matches this pattern"),
        ("s3://buckett/a.txt", MissingInputError, "no such bucket"),
        ("s3://buckett/*.txt", MissingInputError, "no such bucket"),
        ("s3://closed/a.txt", InputError, "no permission(.|\n)*AWS_PROFILE"),
        ("s3://closed", InputError, "no permission"),
        ("s3://bucket/a.md", InputError, r"format of this file is not known(.|\n)*\.md"),
        ("{web}/bucket/no.txt", MissingInputError, "no such file"),
        ("{web}/closed/a.txt", InputError, "no permission"),
        ("{web}/bucket/*.txt", InputError, "no folders to look through"),
        ("s3://", InputError, "names no bucket"),
        ("s3:///a.txt", InputError, "names no bucket"),
        ("s3://bucket/a.txt?region=x", InputError, r"settings of a store(.|\n)*AWS_ENDPOINT_URL"),
    ],
)
def test_what_cannot_be_read_is_told(
    store: LocalStore, path: str, error: type[InputError], problem: str
) -> None:
    store.forbidden.add("closed")
    put(store, "a.md", b"x")
    put(store, "in/a.csv", b"x")
    with pytest.raises(error, match=problem) as raised:
        find_files(source(path.format(web=store.address)))
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("path", ["s3://bucket/a.txt", "s3://bucket/*.txt", "{web}/bucket/a.txt"])
def test_a_server_that_is_not_there_is_told(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
    stream._store.cache_clear()
    with pytest.raises(UnreachableError, match="cannot be reached") as error:
        find_files(source(path.format(web=nowhere)))
    assert error.value.exit_code == 2


def test_a_server_that_never_answers_is_given_up(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hunmin.text.remote.web.TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/a.txt"
        with pytest.raises(UnreachableError, match="timed out"):
            find_files(source(where))


@pytest.mark.parametrize(
    "path",
    [
        "s3://AKIA:hunter2@bucket/a.txt",
        "https://me:hunter2@x.org/a.txt",
        "https://x.org/a.txt?X-Amz-Signature=hunter2",
        "https://x.org/a.txt?sv=1&sig=hunter2",
        "https://x.org/a.txt?access_token=hunter2",
        "https://x.org/a.txt?api_key=hunter2",
        "s3://bucket/a.txt?secret_key=hunter2",
    ],
)
def test_addresses_with_secrets_are_refused_and_not_repeated(path: str) -> None:
    with pytest.raises(InputError, match="holds a user name") as error:
        find_files(source(path))
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in shown(path)


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changes_is_told(store: LocalStore, kind: str) -> None:
    put(store, "a.txt", b"one")
    reader = FileReader(source(address(store, kind, "a.txt")), 1000)
    put(store, "a.txt", b"another")
    with pytest.raises(InputError, match=r"changed while it was read(.|\n)*7 bytes, 3 before"):
        list(reader.batches(lambda _: None))


def test_parts_are_packed_by_size_and_travel(store: LocalStore) -> None:
    for number in range(6):
        put(store, f"in/{number}.jsonl", LINES[:1000].rpartition(b"\n")[0] + b"\n")
    reader = FileReader(source("s3://bucket/in"), 1000)
    parts = [pickle.loads(pickle.dumps(part)) for part in reader.split(2500)]
    assert len(parts) == 3
    assert [row for part in parts for row in rows(part)] == rows(reader)


def test_wrong_bytes_are_told_with_the_address(store: LocalStore) -> None:
    put(store, "a.txt", "가나다".encode() * 100_000 + b"\n\xff\xfe\n")
    with pytest.raises(TextEncodingError, match=r"s3://bucket/a\.txt"):
        read("s3://bucket/a.txt", encoding="utf-8")
    put(store, "a.jsonl.zst", zstandard.compress(LINES)[:-1000])
    with pytest.raises(InputError, match=r"s3://bucket/a\.jsonl\.zst: the zstd data is damaged"):
        read("s3://bucket/a.jsonl.zst")
    put(store, "a.parquet", b"PAR1 nothing else")
    with pytest.raises(InputError, match=r"s3://bucket/a\.parquet: this Parquet file cannot"):
        read("s3://bucket/a.parquet")


def test_passing_trouble_of_a_server_is_waited_for(store: LocalStore) -> None:
    put(store, "a.txt", "가".encode())
    store.statuses = [503, 429]
    assert texts(f"{store.address}/bucket/a.txt") == ["가"]
    store.statuses = [500] * 3
    with pytest.raises(UnreachableError, match="HTTP status 500"):
        find_files(source(f"{store.address}/bucket/a.txt"))
    store.statuses = [418]
    with pytest.raises(InputError, match="refuses: HTTP status 418"):
        find_files(source(f"{store.address}/bucket/a.txt"))


def test_servers_that_could_hide_the_end_are_refused(tmp_path: Path, store: LocalStore) -> None:
    put(store, "a.txt", "가".encode())
    put(store, "a.parquet", as_parquet(tmp_path))
    store.has_ranges = False
    with pytest.raises(InputError, match=r"only whole files(.|\n)*fetch the file first"):
        read(f"{store.address}/bucket/a.parquet")
    store.tells_length = False
    with pytest.raises(InputError, match="does not tell how long"):
        find_files(source(f"{store.address}/bucket/a.txt"))


def test_passwords_come_from_netrc_and_stay_with_their_server(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    put(store, "a.txt", "가".encode())
    store.redirects["bucket/old.txt"] = f"{store.address}/bucket/a.txt"
    named = store.address.replace("127.0.0.1", "localhost")
    assert texts(f"{named}/bucket/old.txt") == ["가"]
    sent = zip(store.requests, store.authorizations, strict=True)
    assert {(path, bool(value)) for (_, path, _), value in sent} == {
        ("bucket/old.txt", True),
        ("bucket/a.txt", False),
    }
    (tmp_path / "netrc").write_text("machine\n")
    with pytest.raises(InputError, match="netrc: this file cannot be read"):
        find_files(source(f"{named}/bucket/a.txt"))


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


def test_dump_that_is_not_there_is_told(store: LocalStore) -> None:
    for where in ("s3://bucket/d.xml.bz2", f"{store.address}/bucket/d.xml.bz2"):
        with pytest.raises(MissingInputError, match="no such file"):
            WikipediaDumpReader(WikipediaDumpSource(path=where, language="ko"), 1000)
    put(store, "in/d.xml", b"x")
    with pytest.raises(MissingInputError, match="no such file"):
        WikipediaDumpReader(WikipediaDumpSource(path="s3://bucket/in", language="ko"), 1000)


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

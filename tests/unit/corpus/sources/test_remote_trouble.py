"""Broken connections, refusals and secrets: the right documents, or an error that says why."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path

import pytest
import zstandard

from hunmin.core.errors import (
    InputError,
    MissingInputError,
    TextEncodingError,
    UnreachableError,
)
from hunmin.corpus.sources.files.discover import find_files
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import WikipediaDumpSource
from hunmin.corpus.sources.wikipedia.dump import WikipediaDumpReader
from hunmin.pipeline.recipe import read_recipe
from hunmin.text.remote import stream
from hunmin.text.remote.address import shown

from .remote_files import (
    KINDS,
    LINES,
    PACKERS,
    TEXTS,
    address,
    as_parquet,
    put,
    read,
    source,
    texts,
)
from .stores import LocalStore


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
    assert error.value.exit_code == 1
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
    assert error.value.exit_code == 1


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changes_is_told(store: LocalStore, kind: str) -> None:
    put(store, "a.txt", b"one")
    reader = FileReader(source(address(store, kind, "a.txt")), 1000)
    put(store, "a.txt", b"another")
    with pytest.raises(InputError, match=r"changed while it was read(.|\n)*7 bytes, 3 before"):
        list(reader.batches(lambda _: None))


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


def test_dump_that_is_not_there_is_told(store: LocalStore) -> None:
    for where in ("s3://bucket/d.xml.bz2", f"{store.address}/bucket/d.xml.bz2"):
        with pytest.raises(MissingInputError, match="no such file"):
            WikipediaDumpReader(WikipediaDumpSource(path=where, language="ko"), 1000)
    put(store, "in/d.xml", b"x")
    with pytest.raises(MissingInputError, match="no such file"):
        WikipediaDumpReader(WikipediaDumpSource(path="s3://bucket/in", language="ko"), 1000)


def test_passwords_in_addresses_are_refused_and_not_told(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: a\ncorpus:\n  sources:\n"
        "    - {kind: files, paths: ['https://me:hunter2@example.org/a.txt']}\n"
        "    - {kind: wikipedia-dump, language: ko, path: 's3://b/a.bz2?secret_key=hunter2'}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="this address holds a user name, password") as error:
        read_recipe(path)
    assert "hunter2" not in str(error.value)

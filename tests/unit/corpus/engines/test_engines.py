"""The same jobs on every engine give the same rows, and the same errors."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from tests.unit.corpus.engines import work

from hunmin.core.errors import InputError, MissingInputError, RecipeError, StageFailedError
from hunmin.corpus.dedup.clusters import KEY_SCHEMA
from hunmin.corpus.dedup.exact import exact_keys
from hunmin.corpus.dedup.minhash import MinHash
from hunmin.corpus.dedup.near import band_rows, sign_documents
from hunmin.corpus.engines.engine import Engine, Kernel
from hunmin.corpus.engines.registry import ENGINE_NAMES, open_engine

NEEDED = {"daft": ["daft"], "ray": ["daft", "ray"], "spark": ["pyspark"]}
SECONDS = 120


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """A test that waits for a worker for ever fails."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest, repository: Path) -> Iterator[Engine]:
    """Each engine whose packages are there, started once."""
    for package in NEEDED[request.param]:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    if request.param == "spark" and shutil.which("java") is None:
        pytest.skip("no java on the path")
    before = set(psutil.Process().children(recursive=True))
    with pytest.MonkeyPatch.context() as patch:
        # Processes find the module `work` of these tests.
        patch.setenv("PYTHONPATH", str(repository))
        # Small jobs: compiling well costs more than it brings.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        with open_engine(request.param, num_workers=2) as opened:
            yield opened
    _gone, alive = psutil.wait_procs(set(_children()) - before, timeout=10)
    assert not alive


def _children() -> list[psutil.Process]:
    helpers = {resource_tracker._resource_tracker._pid}  # type: ignore[attr-defined]
    every = psutil.Process().children(recursive=True)
    return [child for child in every if child.pid not in helpers]


def put(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def rows_of(paths: list[Path]) -> list[dict[str, Any]]:
    """All rows of the files, sorted; the files have one schema."""
    tables = [pq.read_table(path) for path in paths]
    assert len({str(table.schema) for table in tables}) == 1
    rows = pa.concat_tables(tables).to_pylist()
    return sorted(rows, key=lambda row: [(value is not None, value) for value in row.values()])


# Tables


def read_texts(path: Path, field: str, count: int) -> list[str]:
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)[field] for line in islice(file, count)]


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> pa.Table:
    """240 documents and signatures; every third stands twice, every ninth three times."""
    texts = read_texts(shared_data / "ko_docs" / "dotnet_docs_ko.jsonl.zst", "text", 80)
    texts += read_texts(shared_data / "nsmc" / "reviews.jsonl.zst", "document", 40)
    texts += read_texts(shared_data / "debian_install_guide" / "ja.jsonl.zst", "text", 40)
    texts += texts[::3] + texts[::9]
    table = pa.table(
        {
            "id": [f"{number:04d} 문서" for number in reversed(range(len(texts)))],
            "text": texts,
            "language": ["ko"] * len(texts),
        }
    )
    batch = sign_documents(table.combine_chunks().to_batches()[0], MinHash())
    for name in ("signature", "bands"):
        table = table.append_column(name, batch[name])
    return table.append_column("member", batch["member"])


@pytest.fixture
def files(documents: pa.Table, tmp_path: Path) -> list[Path]:
    """The documents in three files."""
    return [
        put(tmp_path / f"{start}.parquet", documents.slice(start, 90)) for start in (0, 90, 180)
    ]


def expected_groups(keys: pa.Table) -> list[dict[str, Any]]:
    groups: dict[bytes, list[str]] = {}
    for row in keys.to_pylist():
        groups.setdefault(row["key"], []).append(row["member"])
    return [
        {"key": key, "member": min(members), "rows": len(members)}
        for key, members in sorted(groups.items())
        if len(members) > 1
    ]


@pytest.mark.parametrize(("kernel", "batch_rows"), [(exact_keys, 8192), (band_rows, 7)])
def test_duplicates_of_real_documents(
    engine: Engine,
    documents: pa.Table,
    files: list[Path],
    tmp_path: Path,
    kernel: Kernel,
    batch_rows: int,
) -> None:
    frame = engine.read(files, ["id", "text"] if kernel is exact_keys else ["member", "bands"])
    keys = engine.map_batches(frame, kernel, KEY_SCHEMA, batch_rows=batch_rows)
    keys = engine.read(engine.write(keys, tmp_path / "keys"))
    grouped = engine.group_min(keys, "key", "member")
    paths = engine.write(engine.where_repeated(grouped), tmp_path / "repeated")
    all_keys = pa.Table.from_batches([kernel(documents.combine_chunks().to_batches()[0])])
    groups = expected_groups(all_keys)
    assert len(groups) > 30
    assert rows_of(paths) == groups

    repeated = {group["key"] for group in groups}
    for how in ("semi", "anti"):
        joined = engine.join(keys, engine.read(paths), "key", how=how)  # type: ignore[arg-type]
        wanted = [
            row for row in all_keys.to_pylist() if (row["key"] in repeated) == (how == "semi")
        ]
        wanted.sort(key=lambda row: (row["key"], row["member"]))
        assert rows_of(engine.write(joined, tmp_path / how)) == wanted


def test_types_reach_kernels_and_files_as_they_were(engine: Engine, tmp_path: Path) -> None:
    columns = {
        "text": pa.array(["가", None]),
        "large": pa.array(["가", None], pa.large_string()),
        "word": pa.array(["가", None]).dictionary_encode(),
        "key": pa.array([b"\x00\xff", None]),
        "fixed": pa.array([b"ab", None], pa.binary(2)),
        "list": pa.array([["가"], []]),
        "signature": pa.array([[1, 2**32 - 1]] * 2, pa.list_(pa.uint32(), 2)),
        "bands": pa.array([[1, 2**64 - 1]] * 2, pa.list_(pa.uint64(), 2)),
        "number": pa.array([2**64 - 1, None], pa.uint64()),
        "small": pa.array([255, None], pa.uint8()),
        "truth": pa.array([True, None]),
        "share": pa.array([0.1, None]),
    }
    table = pa.table(columns)
    frame = engine.read([put(tmp_path / "a.parquet", table)])
    plain = table.schema
    for name, kind in (("large", pa.string()), ("word", pa.string())):
        plain = plain.set(plain.get_field_index(name), pa.field(name, kind))
    written = engine.write(engine.map_batches(frame, work.same, plain), tmp_path / "out")
    for paths in (written, engine.write(frame, tmp_path / "as_read")):
        found = pa.concat_tables(pq.read_table(path) for path in paths)
        assert found.schema.remove_metadata() == plain
        assert found.sort_by("share").to_pylist() == table.to_pylist()
    seen = engine.map_batches(
        frame, work.seen_types, pa.schema([("type", pa.string()), ("rows", pa.int64())])
    )
    types = {row["type"] for row in rows_of(engine.write(seen, tmp_path / "types"))}
    assert types == {f"{field.name}: {field.type}" for field in plain}


@pytest.mark.parametrize("batch_rows", [1, 8192])
def test_kernels_may_change_the_number_of_rows(
    engine: Engine, tmp_path: Path, batch_rows: int
) -> None:
    files = [
        put(tmp_path / f"{start}.parquet", pa.table({"number": range(start, start + 50)}))
        for start in (0, 50)
    ]
    schema = pa.schema([("number", pa.int32()), ("word", pa.string())])
    frame = engine.map_batches(engine.read(files), work.doubled_even, schema, batch_rows=batch_rows)
    paths = engine.write(frame, tmp_path / "out")
    assert pq.read_schema(paths[0]) == schema
    evens = [n for n in range(0, 100, 2) for _ in range(2)]
    assert rows_of(paths) == [{"number": n, "word": f"낱말 {n}"} for n in evens]
    seen = engine.map_batches(
        engine.read(files),
        work.seen_types,
        pa.schema([("type", pa.string()), ("rows", pa.int64())]),
        batch_rows=batch_rows,
    )
    sizes = [row["rows"] for row in rows_of(engine.write(seen, tmp_path / "sizes"))]
    assert max(sizes) <= batch_rows
    assert sum(sizes) == 100


KEYS = {
    "int64": pa.array([3, -(2**63), None, 3, 2**63 - 1, None, 3], pa.int64()),
    "binary": pa.array([b"\x00", b"", None, b"\x00", b"\xff\x00", None, b"\x00"], pa.binary()),
    "string": pa.array(["가", "", None, "가", "가\u0301", None, "가"], pa.string()),
}


@pytest.mark.parametrize("kind", KEYS)
def test_group_min_and_joins(engine: Engine, tmp_path: Path, kind: str) -> None:
    values = ["b", "z", None, None, "x", "n", "a"]
    table = pa.table({"unused": range(7), "value": values, "key": KEYS[kind]})
    frame = engine.read([put(tmp_path / "a.parquet", table)])
    grouped = engine.group_min(frame, "key", "value")
    key = table["key"].to_pylist()
    paths = engine.write(grouped, tmp_path / "grouped")
    assert pq.read_schema(paths[0]) == pa.schema(
        [("key", KEYS[kind].type), ("value", pa.string()), ("rows", pa.int64())]
    )
    found = {row["key"]: (row["value"], row["rows"]) for row in rows_of(paths)}
    assert found == {key[0]: ("a", 3), key[1]: ("z", 1), key[4]: ("x", 1), None: ("n", 2)}
    repeated = engine.where_repeated(engine.read(paths))
    for how, kept in (("semi", [0, 3, 6]), ("anti", [1, 2, 4, 5])):
        joined = engine.join(frame, repeated, "key", how=how)  # type: ignore[arg-type]
        rows = rows_of(engine.write(joined, tmp_path / how))
        assert [row["unused"] for row in rows] == kept
        assert list(rows[0]) == ["unused", "value", "key"]


def test_the_smallest_string_is_by_code_point(engine: Engine, tmp_path: Path) -> None:
    ordered = ["", "A", "Z", "a", "~", "é", "가", "힣", "\ufffd", "😀", "😀a"]
    pairs = [(low, high) for low in ordered for high in ordered]
    table = pa.table(
        {
            "key": [i for i in range(len(pairs)) for _ in range(2)],
            "id": [text for pair in pairs for text in pair],
        }
    )
    frame = engine.read([put(tmp_path / "a.parquet", table)])
    rows = rows_of(engine.write(engine.group_min(frame, "key", "id"), tmp_path / "out"))
    assert [row["id"] for row in rows] == [min(pair) for pair in pairs]


def test_tables_without_rows(engine: Engine, tmp_path: Path) -> None:
    schema = pa.schema([("key", pa.binary()), ("member", pa.string())])
    some = pa.table({"key": [b"a", b"b"], "member": ["x", "y"]}, schema)
    full = engine.read([put(tmp_path / "full.parquet", some)])
    empty = engine.read([put(tmp_path / "empty.parquet", schema.empty_table())])
    grouped = engine.group_min(full, "key", "member")
    none = engine.read(engine.write(engine.where_repeated(grouped), tmp_path / "none"))
    frames = {
        "copied": (empty, 0),
        "mapped": (engine.map_batches(empty, work.same, schema), 0),
        "grouped": (engine.group_min(empty, "key", "member"), 0),
        "semi": (engine.join(full, none, "key", how="semi"), 0),
        "anti": (engine.join(full, none, "key", how="anti"), 2),
        "semi of none": (engine.join(empty, full, "key", how="semi"), 0),
    }
    for name, (frame, count) in frames.items():
        paths = engine.write(frame, tmp_path / name)
        assert len(rows_of(paths)) == count, name
        assert pq.read_schema(paths[0]).field("member").type == pa.string()


def test_some_columns_of_a_file(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "language=ko"
    folder.mkdir()
    table = pa.table({"b": ["x"], "A": [1], "a": [2]})
    frame = engine.read([put(folder / "part.parquet", table)], ["A", "b"])
    assert rows_of(engine.write(frame, tmp_path / "out")) == [{"A": 1, "b": "x"}]
    whole = engine.read([folder / "part.parquet"])
    assert rows_of(engine.write(whole, tmp_path / "whole")) == table.to_pylist()


def test_a_folder_appears_whole_or_not_at_all(engine: Engine, tmp_path: Path) -> None:
    frame = engine.read([put(tmp_path / "a.parquet", pa.table({"number": range(10)}))])
    bad = engine.map_batches(frame, work.refuse, pa.schema([("number", pa.int64())]))
    kind = StageFailedError if engine.name == "spark" else RecipeError
    with pytest.raises(kind, match="this kernel never works"):
        engine.write(bad, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    killed = tmp_path / ".out.tmp-0-0-0"
    killed.mkdir()
    written = engine.write(frame, tmp_path / "out")
    assert len(rows_of(written)) == 10
    assert all(path.parent == tmp_path / "out" for path in written)
    with pytest.raises(InputError, match="not written over another"):
        engine.write(frame, tmp_path / "out")


def test_wrong_use_of_tables(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file to read"):
        engine.read([])
    with pytest.raises(MissingInputError, match="no such file"):
        engine.read([tmp_path / "absent.parquet"])
    frame = engine.read([put(tmp_path / "a.parquet", pa.table({"rows": [1], "id": ["a"]}))])
    with pytest.raises(InputError, match="two different names"):
        engine.group_min(frame, "rows", "id")


# Tasks


def test_results_are_in_order(engine: Engine) -> None:
    assert list(engine.run(work.late_first, range(20))) == list(range(20))
    assert list(engine.run(partial(work.double), [])) == []
    assert list(engine.run(partial(work.double), [4])) == [8]


def test_an_error_of_a_task_comes_back_whole(engine: Engine) -> None:
    results = engine.run(work.refuse_three, range(30))
    found = []
    with pytest.raises(RecipeError) as caught:
        found.extend(results)
    error = caught.value
    assert (error.problem, error.where, error.given) == ("no threes", "here", 3)
    assert (error.allowed, error.hint) == ("others", "leave it out")
    with pytest.raises(ZeroDivisionError):
        list(engine.run(work.divide, [1, 0]))
    assert list(engine.run(work.double, [1, 2])) == [2, 4]


def test_no_more_tasks_are_started_after_an_error(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        list(engine.run(work.mark, [(number, tmp_path) for number in range(200)]))
    assert len(list(tmp_path.iterdir())) < 20


def test_a_dead_worker_is_told(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(StageFailedError, match=r"worker process died(.|\n)*fewer workers"):
        list(engine.run(work.die, range(6)))
    assert list(engine.run(work.double, [1, 2])) == [2, 4]
    if engine.name != "daft":
        tasks = [(number, tmp_path) for number in range(6)]
        assert list(engine.run(work.die_once, tasks)) == list(range(6))


def test_results_may_be_left(engine: Engine) -> None:
    results = engine.run(work.double, range(1000))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert list(engine.run(work.double, [1])) == [2]

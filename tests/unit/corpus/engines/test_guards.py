"""What engines keep out of the way: listeners, statistics, each other; and what they refuse."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.corpus.engines import work

from hunmin.core.errors import InputError, MissingExtraError
from hunmin.corpus.engines import tables
from hunmin.corpus.engines.registry import open_engine
from hunmin.corpus.engines.results import Ordered, attempt


def run(script: str, *arguments: object) -> str:
    """Run Python code in a process of its own; warnings are errors there too."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    command += map(str, arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("turns", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ray_and_daft_live_in_one_process_and_listen_nowhere_else(
    tmp_path: Path, turns: int
) -> None:
    pytest.importorskip("ray", reason="the package ray is not installed")
    script = """
        import sys
        from pathlib import Path
        import psutil, pyarrow as pa, pyarrow.parquet as pq
        from hunmin.corpus.engines.registry import open_engine

        folder = Path(sys.argv[1])
        pq.write_table(pa.table({"key": [1, 1, 2], "id": ["b", "a", "c"]}), folder / "in.parquet")

        def job(engine, name):
            frame = engine.group_min(engine.read([folder / "in.parquet"]), "key", "id")
            return sum(pq.read_table(path).num_rows for path in engine.write(frame, folder / name))

        me = psutil.Process()
        for turn in range(int(sys.argv[2])):
            with open_engine("ray", num_workers=1) as ray, open_engine("daft", num_workers=1) as d:
                print(job(ray, f"ray{turn}"), job(d, f"daft{turn}"), list(ray.run(abs, [-1])))
                every = [me, *me.children(recursive=True)]
                found = [c for p in every for c in p.net_connections() if c.status == "LISTEN"]
                assert found
                print({c.laddr.ip.removeprefix("::ffff:") for c in found})
            _, alive = psutil.wait_procs(me.children(recursive=True), timeout=10)
            print(alive)
    """
    lines = run(script, tmp_path, turns).splitlines()
    assert lines == ["2 2 [1]", "{'127.0.0.1'}", "[]"] * turns


def test_daft_sends_no_statistics(tmp_path: Path) -> None:
    pytest.importorskip("daft", reason="the package daft is not installed")
    script = """
        import os
        from hunmin.corpus.engines.daft import load_daft
        load_daft()
        from daft.scarf_telemetry import opted_out
        print(opted_out(), os.environ["DAFT_PROGRESS_BAR"])
    """
    assert run(script, tmp_path).split() == ["True", "0"]


def test_nothing_heavy_is_imported_before_it_is_used(tmp_path: Path) -> None:
    script = """
        import sys
        import hunmin.corpus.engines.registry
        print(sorted({"daft", "ray", "pyspark", "pandas"} & set(sys.modules)))
    """
    assert run(script, tmp_path).strip() == "[]"


def test_wrong_engines() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": "dafd", "num_workers": 1}, r"Did you mean 'daft'(.|\n)*daft, ray, spark"),
        ({"name": "daft", "num_workers": 0}, "num_workers of 1 or more"),
        ({"name": "ray", "num_workers": -1}, "num_workers of 1 or more"),
        ({"name": "spark", "num_workers": 0}, "num_workers of 1 or more"),
        ({"name": "daft", "num_workers": 1, "address": "auto"}, "works on this machine"),
    ]
    for arguments, message in wrong:
        with pytest.raises(InputError, match=message), open_engine(**arguments):
            pass


def test_a_cluster_that_does_not_answer() -> None:
    pytest.importorskip("ray", reason="the package ray is not installed")
    with (
        pytest.raises(InputError, match=r"no Ray cluster(.|\n)*ray start --head"),
        open_engine("ray", num_workers=1, address="auto"),
    ):
        pass


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}'(.|\n)*\[{name}\]"):
        open_engine(name, num_workers=1).__enter__()


def test_a_kernel_that_returns_other_columns() -> None:
    batch = pa.RecordBatch.from_pydict({"a": [1], "b": [2]})
    schema = pa.schema([("b", pa.int64()), ("a", pa.int64())])
    with pytest.raises(InputError, match=r"same: a kernel(.|\n)*a, b(.|\n)*b, a"):
        tables.apply(work.same, batch, schema)
    narrow = pa.schema([("a", pa.int32()), ("b", pa.int64())])
    assert tables.apply(work.same, batch, narrow).schema == narrow


def test_plain_types() -> None:
    text = pa.dictionary(pa.int8(), pa.large_string())
    kinds = {
        text: pa.string(),
        pa.large_list(pa.large_binary()): pa.list_(pa.binary()),
        pa.list_(text, 3): pa.list_(pa.string(), 3),
        pa.struct([("a", pa.string_view())]): pa.struct([("a", pa.string())]),
        pa.uint64(): pa.uint64(),
        pa.binary(16): pa.binary(16),
    }
    assert [tables.plain_type(kind) for kind in kinds] == list(kinds.values())


@pytest.mark.parametrize(("rows", "sizes"), [(0, [0]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_cut(rows: int, sizes: list[int]) -> None:
    batch = pa.RecordBatch.from_pydict({"number": pa.array(range(rows), pa.int64())})
    pieces = list(tables.cut(batch, 3))
    assert [piece.num_rows for piece in pieces] == sizes
    assert pa.Table.from_batches(pieces).to_pydict() == batch.to_pydict()


def test_a_part_written_twice_is_there_once(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string())])
    batch = pa.RecordBatch.from_pydict({"id": pa.array(["가"], pa.large_string())})
    path = tables.part_path(tmp_path, 3)
    assert tables.write_part([batch.slice(0, 0)], schema, path) == 0
    assert not any(tmp_path.iterdir())
    for _ in range(2):
        assert tables.write_part([batch, batch], schema, path) == 2
    assert tables.parts_of(tmp_path) == [path]
    assert path.name == "part-00003.parquet"


def test_only_some_tasks_are_ahead() -> None:
    submitted: list[int] = []

    def submit(task: int) -> int:
        submitted.append(task)
        return task

    results = Ordered(submit, lambda task: attempt(abs, task), 4).results(range(-100, 0))
    for expected in range(100, 50, -1):
        assert next(results) == expected
        assert len(submitted) <= 100 - expected + 4

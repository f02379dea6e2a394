"""Daft: the engine of one machine, and the tables of the Ray engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pyarrow as pa

from hunmin.core.atomic import atomic_folder
from hunmin.core.extras import require
from hunmin.core.processes import Workers
from hunmin.corpus.engines import tables
from hunmin.corpus.engines.engine import ROWS, Frame, Kernel, Result, Task
from hunmin.corpus.engines.results import HINT, PROBLEM, check_workers
from hunmin.corpus.parts import PartWriter

_QUIET = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_PROGRESS_BAR": "0"}
_ROWS_AT_ONCE = 1 << 17
_ROWS_OF_A_GROUPING = 1_000_000


class DaftTables:
    """The verbs on tables, computed by a runner of Daft.

    Args:
        daft: The module.
        runner: Computes tables. Daft lets a process choose its runner once; this one is given
            each table to compute, so that engines on different runners live in one process.

    Note:
        A table is computed each time it is written: write what is used twice, and read it.
        `group_min` and the right side of `join` are held in memory; the rest streams.
    """

    def __init__(self, daft: ModuleType, runner: Any) -> None:
        self._daft, self._runner = daft, runner

    def read(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> Frame:
        """Open Parquet files of one schema as a table; `columns` None for all."""
        frame = self._daft.read_parquet(tables.check_files(paths))
        return frame if columns is None else frame.select(*columns)

    def map_batches(
        self, frame: Frame, kernel: Kernel, schema: pa.Schema, *, batch_rows: int = 8192
    ) -> Frame:
        """Apply a kernel to all rows, in batches of any size up to `batch_rows`."""
        col, names = self._daft.col, frame.column_names
        # A function of Daft returns as many rows as it is given: here the first holds a list of
        # all rows of the kernel, the others hold an empty one.
        lists = pa.large_list(pa.struct(list(schema)))
        function = self._daft.func.batch(
            return_dtype=self._daft.DataType.from_arrow_type(lists),
            batch_size=batch_rows,
            use_process=False,
        )(_as_lists(kernel, names, schema, batch_rows))
        found = frame.select(function(*(col(name) for name in names)).alias("found"))
        found = found.where(col("found").length() > 0).explode("found")
        return found.select(*(col("found").get(name).alias(name) for name in schema.names))

    def group_min(self, frame: Frame, key: str, value: str) -> Frame:
        """Return for each value of `key` the smallest `value` and the number of its `rows`."""
        tables.check_names(key, value)
        col, int64 = self._daft.col, self._daft.DataType.int64()
        smallest, rows = col(value).min().alias(value), col(value).count("all").alias(ROWS)
        grouped = frame.select(key, value).groupby(key).agg(smallest, rows)
        return grouped.select(key, value, col(ROWS).cast(int64))

    def join(self, frame: Frame, other: Frame, on: str, *, how: Literal["semi", "anti"]) -> Frame:
        """Keep the rows whose `on` stands in `other` (`semi`), or those where it does not."""
        return frame.join(other.select(on), on=on, how=how)

    def where_repeated(self, grouped: Frame) -> Frame:
        """Keep the rows of a `group_min` that stand for two rows or more."""
        return grouped.where(self._daft.col(ROWS) >= 2)

    def write(self, frame: Frame, folder: Path) -> list[Path]:
        """Compute a table and write it."""
        tables.check_new(folder)
        schema = tables.plain_schema(frame.schema().to_pyarrow_schema())
        with atomic_folder(folder) as draft:
            try:
                self._write_parts(frame, schema, draft)
            except self._daft.errors.UDFException as error:
                raise error.original_exception or error from error
            tables.close_folder(draft, schema)
        return tables.parts_of(folder)

    def _write_parts(self, frame: Frame, schema: pa.Schema, folder: Path) -> None:
        with PartWriter(folder, schema) as parts:
            for partition in self._runner.run_iter_tables(frame._builder, results_buffer_size=1):
                for batch in plain_batches(partition, schema):
                    parts.write(batch)


class DaftEngine(DaftTables):
    """Tables by Daft in this process, tasks in processes of this machine.

    Args:
        num_workers: Processes of `run`; 1 works in this one. The threads of Daft too, as the first
            engine of a process says: Daft takes their number once.
    """

    name = "daft"

    def __init__(self, num_workers: int) -> None:
        daft = load_daft()
        super().__init__(daft, _native_runner(daft, check_workers(num_workers)))
        self._workers = Workers(num_workers, problem=PROBLEM, hint=HINT)

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Do independent tasks in processes; see `Engine.run`."""
        yield from self._workers.map_in_order(work, tasks)

    def close(self) -> None:
        """End the processes of `run`."""
        self._workers.close()


def load_daft() -> ModuleType:
    """Import Daft without its usage statistics and progress bars.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    require("daft.errors", extra="")
    return require("daft", extra="")


def quiet_environment() -> dict[str, str]:
    """Return the environment variables that keep Daft quiet, for workers elsewhere."""
    return {name: os.environ.get(name, value) for name, value in _QUIET.items()}


def plain_batches(partition: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a partition of Daft.

    Args:
        partition: A micropartition.
        schema: Plain types.

    Yields:
        Batches of that schema.
    """
    for batch in partition.to_arrow().to_batches():
        for piece in tables.cut(batch, _ROWS_AT_ONCE):
            yield piece.cast(schema)


def _as_lists(
    kernel: Kernel, names: Sequence[str], schema: pa.Schema, batch_rows: int
) -> Callable[..., pa.Array]:
    lists = pa.large_list(pa.struct(list(schema)))

    def batch_function(*columns: Any) -> pa.Array:
        batch = pa.RecordBatch.from_arrays([column.to_arrow() for column in columns], list(names))
        batch = batch.cast(tables.plain_schema(batch.schema))
        found = [tables.apply(kernel, piece, schema) for piece in tables.cut(batch, batch_rows)]
        rows = pa.Table.from_batches(found, schema).to_struct_array().combine_chunks()
        offsets = pa.array([0] + [len(rows)] * batch.num_rows, pa.int64())
        return pa.LargeListArray.from_arrays(offsets, rows, type=lists)

    return batch_function


def _native_runner(daft: ModuleType, num_threads: int) -> Any:
    runners = require("daft.runners.native_runner", extra="")
    if daft.runners._get_runner() is None:
        # Also keeps Daft from taking Ray as the runner of this process because Ray is running.
        daft.set_runner_native(num_threads)
        # Eight files at once, whatever the threads, and many small partial groups of keys that
        # hardly repeat cost memory, not time.
        daft.set_execution_config(
            scantask_max_parallel=num_threads, partial_aggregation_threshold=_ROWS_OF_A_GROUPING
        )
    return runners.NativeRunner()

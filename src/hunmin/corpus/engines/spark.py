"""Spark: for sites that run it already."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_folder
from hunmin.core.errors import StageFailedError
from hunmin.core.extras import require
from hunmin.corpus.engines import tables
from hunmin.corpus.engines.engine import ROWS, Kernel, Result, Task
from hunmin.corpus.engines.results import (
    AHEAD_PER_WORKER,
    Ordered,
    attempt,
    check_workers,
    dead_worker,
)

_SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_TRIES = 3
_SIGNED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}
"""What Spark reads for the unsigned integers of a file, which it does not have."""


@dataclass(frozen=True)
class SparkFrame:
    """A table of Spark, and the types that its columns have for kernels and in files."""

    rows: Any
    """A DataFrame."""
    schema: pa.Schema
    """Plain types."""

    def select(self, *names: str) -> SparkFrame:
        """Keep some columns."""
        schema = pa.schema([self.schema.field(name) for name in names])
        return SparkFrame(self.rows.select(*map(_quoted, names)), schema)


class SparkEngine:
    """Tables and tasks by Spark.

    Args:
        address: Master of a cluster, such as `spark://host:7077`; None for this machine.
        num_workers: Tasks at once; on this machine also Spark's cores.

    Note:
        A program that has a Spark session goes on with it. Spark needs Java 17 or later.
    """

    name = "spark"

    def __init__(self, address: str | None, num_workers: int) -> None:
        self._num_workers = check_workers(num_workers)
        sql = require("pyspark.sql", extra="spark")
        self._functions = require("pyspark.sql.functions", extra="spark")
        self._started = sql.SparkSession.getActiveSession() is None
        self._session = _session(sql.SparkSession.builder, address, num_workers)

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Do independent tasks in Spark, each a job of its own; see `Engine.run`."""
        context = self._session.sparkContext
        shared = context.broadcast(work)

        def job(task: Task) -> Any:
            return context.parallelize([task], 1).map(lambda t: attempt(shared.value, t)).collect()

        failed = require("py4j.protocol", extra="spark").Py4JJavaError
        with ThreadPoolExecutor(self._num_workers) as pool:
            ordered: Ordered[Task, Future[Any]] = Ordered(
                lambda task: pool.submit(job, task),
                lambda future: future.result()[0],
                self._num_workers * AHEAD_PER_WORKER,
            )
            try:
                yield from ordered.results(tasks)
            except failed as error:
                raise dead_worker() from error
            finally:
                pool.shutdown(cancel_futures=True)

    def read(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> SparkFrame:
        """Open Parquet files of one schema as a table; `columns` None for all."""
        files = tables.check_files(paths)
        schema = tables.plain_schema(pq.read_schema(files[0]))
        frame = SparkFrame(self._session.read.parquet(*files), schema)
        return frame.select(*(schema.names if columns is None else columns))

    def map_batches(
        self, frame: SparkFrame, kernel: Kernel, schema: pa.Schema, *, batch_rows: int = 8192
    ) -> SparkFrame:
        """Apply a kernel to all rows, in batches of any size up to `batch_rows`."""
        given, carried = frame.schema, _carried(schema)

        def map_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for piece in tables.cut(batch.cast(given), batch_rows):
                    yield tables.apply(kernel, piece, schema).cast(carried)

        return SparkFrame(_map(frame.rows, map_all, carried), schema)

    def group_min(self, frame: SparkFrame, key: str, value: str) -> SparkFrame:
        """Return for each value of `key` the smallest `value` and the number of its `rows`."""
        tables.check_names(key, value)
        count = self._functions.count(self._functions.lit(1)).alias(ROWS)
        smallest = self._functions.min(_quoted(value)).alias(value)
        fields = [frame.schema.field(key), frame.schema.field(value), pa.field(ROWS, pa.int64())]
        rows = frame.rows.groupBy(_quoted(key)).agg(smallest, count)
        return SparkFrame(rows, pa.schema(fields))

    def join(
        self, frame: SparkFrame, other: SparkFrame, on: str, *, how: Literal["semi", "anti"]
    ) -> SparkFrame:
        """Keep the rows whose `on` stands in `other` (`semi`), or those where it does not."""
        rows = frame.rows.join(other.select(on).rows, on=on, how=f"left_{how}")
        return SparkFrame(rows, frame.schema).select(*frame.schema.names)

    def where_repeated(self, grouped: SparkFrame) -> SparkFrame:
        """Keep the rows of a `group_min` that stand for two rows or more."""
        return SparkFrame(grouped.rows.where(self._functions.col(ROWS) >= 2), grouped.schema)

    def write(self, frame: SparkFrame, folder: Path) -> list[Path]:
        """Compute a table and write it."""
        tables.check_new(folder)
        with atomic_folder(folder) as draft:
            writer = _part_writer(frame.schema, draft.absolute())
            counts = pa.schema([("rows", pa.int64())])
            try:
                _map(frame.rows, writer, counts).collect()
            except require("pyspark.errors", extra="spark").PySparkException as error:
                raise StageFailedError("Spark could not compute a table", given=error) from error
            tables.close_folder(draft, frame.schema)
        return tables.parts_of(folder)

    def close(self) -> None:
        """End the Spark that this engine started, and nothing else."""
        if self._started:
            gateway = self._session.sparkContext._gateway
            self._session.stop()
            _end_java(gateway)


def _session(builder: Any, address: str | None, num_workers: int) -> Any:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {"spark.sql.caseSensitive": "true"}
    if address is None:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= _SETTINGS | {"spark.sql.shuffle.partitions": str(num_workers)}
    for name, value in settings.items():
        builder = builder.config(name, value)
    with _about_pandas():
        master = address or f"local[{num_workers},{_TRIES}]"
        return builder.master(master).appName("hunmin").getOrCreate()


def _end_java(gateway: Any) -> None:
    # `stop` leaves the virtual machine running for the next session of this process.
    context = require("pyspark", extra="spark").SparkContext
    gateway.shutdown()
    process = gateway.proc
    process.stdin.close()
    process.wait(timeout=30)
    context._gateway = context._jvm = None


def _map(rows: Any, function: Callable[..., Any], schema: pa.Schema) -> Any:
    types = require("pyspark.sql.pandas.types", extra="spark")
    with _about_pandas():
        return rows.mapInArrow(function, types.from_arrow_schema(schema))


def _part_writer(schema: pa.Schema, folder: Path) -> Callable[..., Iterator[pa.RecordBatch]]:
    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        number = require("pyspark", extra="spark").TaskContext.get().partitionId()
        rows = tables.write_part(batches, schema, tables.part_path(folder, number))
        yield pa.RecordBatch.from_pydict({"rows": [rows]})

    return write


def _carried(schema: pa.Schema) -> pa.Schema:
    """Return the schema in the types that Spark has."""
    return pa.schema([(field.name, _carried_type(field.type)) for field in schema])


def _carried_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_carried_type(kind.value_type))
    return _SIGNED.get(kind, kind)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@contextlib.contextmanager
def _about_pandas() -> Iterator[None]:
    # Spark warns of pandas 3 wherever it might use pandas; nothing here uses it.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        yield

"""What every engine can do.

Text goes through `run` only: a task reads its own small file and writes its own small file, so
text is never shuffled and never all in memory. The other verbs work on keys and ids in Parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import pyarrow as pa

Task = TypeVar("Task")
Result = TypeVar("Result")
Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]

Frame = Any
"""A table of an engine, not computed yet; only the engine that made it can use it."""

ROWS = "rows"
"""Name of the column that `group_min` adds."""


class Engine(Protocol):
    """Six verbs; the same input gives the same rows on every engine, in any order."""

    name: str
    """As recipes call it."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Do independent tasks in processes, anywhere.

        Args:
            work: Picklable; the same task twice must do no harm.
            tasks: Picklable.

        Returns:
            One result for each task, in the order of the tasks, as soon as it and all before it
            are there. Nothing runs before the first is asked for.

        Raises:
            HunminError: What a task raised; no further tasks are started.
            StageFailedError: A worker process died.
        """
        ...

    def read(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> Frame:
        """Open Parquet files of one schema as a table; `columns` None for all.

        Args:
            paths: One or more files, each once.
            columns: Names, in the order wanted.

        Returns:
            The table.

        Raises:
            InputError: No file was named.
            MissingInputError: A file does not exist.
        """
        ...

    def map_batches(
        self, frame: Frame, kernel: Kernel, schema: pa.Schema, *, batch_rows: int = 8192
    ) -> Frame:
        """Apply a kernel to all rows, in batches of any size up to `batch_rows`.

        Args:
            frame: The rows.
            kernel: Picklable; what it returns for a row must not depend on the batch.
            schema: What the kernel returns, in plain types as in `write`; the number of rows may
                change. The kernel is given plain types too.
            batch_rows: Most rows of a batch.

        Returns:
            The kernel's rows.
        """
        ...

    def group_min(self, frame: Frame, key: str, value: str) -> Frame:
        """Return for each value of `key` the smallest `value` and the number of its `rows`.

        Args:
            frame: The rows.
            key: Column of strings, integers or binary. Rows without a key are one group.
            value: Column of strings; the smallest by code point, none only if all are missing.

        Returns:
            Columns `key`, `value` (as they were called) and `rows` (int64).

        Raises:
            InputError: `key` and `value` are one column, or one is called `rows`.
        """
        ...

    def join(self, frame: Frame, other: Frame, on: str, *, how: Literal["semi", "anti"]) -> Frame:
        """Keep the rows whose `on` stands in `other` (`semi`), or those where it does not.

        Args:
            frame: The rows; each comes once, however often `other` has its `on`.
            other: Has a column `on` too.
            on: Column of one type in both. A missing value equals nothing, no other either.
            how: Which rows to keep.

        Returns:
            The rows, with all columns.
        """
        ...

    def where_repeated(self, grouped: Frame) -> Frame:
        """Keep the rows of a `group_min` that stand for two rows or more."""
        ...

    def write(self, frame: Frame, folder: Path) -> list[Path]:
        """Compute a table and write it.

        Args:
            frame: The rows.
            folder: Takes the Parquet files; it must not exist. It appears when all is written.

        Returns:
            The files, one or more: a table without rows is one file without rows. The types are
            `string`, `binary` and `list`, never their large forms or dictionaries; unsigned
            integers and lists of a fixed length stay what they are.

        Raises:
            InputError: The folder exists.
            HunminError: What a kernel raised (Spark: StageFailedError, which tells it).
        """
        ...

"""Writing documents as Parquet parts, byte for byte the same for the same documents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.corpus.documents import part_paths, read_parts

ROW_GROUP_BYTES = 1 << 25
PART_BYTES = 1 << 29


class PartWriter:
    """Writes batches to part-00000.parquet, part-00001.parquet … (zstd) in a folder.

    Args:
        folder: Made at once, so that an empty split is an empty folder.
        schema: Columns of every batch.
        first: Number of the first part.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, first: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._schema, self._number = folder, schema, first
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._part_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._close_part()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch; batches are collected to row groups of about 32 MiB."""
        if batch.num_rows == 0:
            return
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()
        if self._part_bytes >= PART_BYTES:
            self._close_part()

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            path = self._folder / f"part-{self._number:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._number += 1
        self._writer.write_table(pa.Table.from_batches(self._pending, self._schema))
        self._part_bytes += self._pending_bytes
        self._pending, self._pending_bytes = [], 0

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._part_bytes = None, 0


def move_groups(groups: Iterable[str], source: Path, target: Path, schema: pa.Schema) -> None:
    """Move all documents of some groups from one folder of parts to another.

    Args:
        groups: Names of the groups.
        source: Folder they are in; only the parts that hold some are written anew.
        target: Folder they go to, as new parts after those that are there.
        schema: Columns of both.
    """
    wanted = pa.array(sorted(set(groups)), pa.string())
    with PartWriter(target, schema, first=len(part_paths(target))) as moved:
        for path in part_paths(source):
            with pq.ParquetFile(path) as file:
                held = file.read(columns=["group"])["group"]
            if pc.any(pc.is_in(held, wanted)).as_py():
                _part_without(path, wanted, moved, schema)


def _part_without(path: Path, wanted: pa.Array, moved: PartWriter, schema: pa.Schema) -> None:
    folder = path.parent / "rewritten"
    aside = path.parent / "aside"
    aside.mkdir()
    path.rename(aside / path.name)
    with PartWriter(folder, schema) as kept:
        for batch in read_parts(aside):
            chosen = pc.is_in(batch["group"], wanted)
            moved.write(batch.filter(chosen))
            kept.write(batch.filter(pc.invert(chosen)))
    for part in part_paths(folder):
        part.rename(path)
    folder.rmdir()
    (aside / path.name).unlink()
    aside.rmdir()

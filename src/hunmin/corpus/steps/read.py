"""Read: sources to shards of records, each small enough to be held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.core.progress import progress
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.records import RECORD_SCHEMA
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.steps.workspace import COMPRESSION, Facts, read_marker, run_tasks, write_marker

SHARD_BYTES = 1 << 26
SHARD_ROWS = 1 << 19
PART_BYTES = 1 << 27


@dataclass(frozen=True)
class RecordShard:
    """A file of records."""

    name: str
    """Unique in the build; sorted by name, shards stand in the order of the sources."""
    path: Path
    """Where it lies."""
    priority: int
    """Place of its source in the recipe."""
    bytes: int
    """Of its records in memory."""


@dataclass(frozen=True)
class ReadPart:
    """Reads a source, or the part of one that a reader was given."""

    folder: Path
    """Where shards go."""

    def __call__(self, name: str, reader: SourceReader) -> Facts:
        """Write the shards of a reader."""
        return self.read(name, reader, lambda _: None)

    def read(self, name: str, reader: SourceReader, advance: Callable[[int], None]) -> Facts:
        """Write the shards of a reader, and tell how far it is.

        Args:
            name: Start of the shards' names.
            reader: What is read.
            advance: Called with the units that are done.

        Returns:
            Size of each shard, by name.
        """
        sizes: dict[str, int] = {}
        for number, batches in enumerate(_in_shards(reader.batches(advance))):
            shard = f"{name}-{number:05d}"
            table = pa.Table.from_batches(batches, RECORD_SCHEMA)
            with atomic_file(self.folder / f"{shard}.parquet") as draft:
                pq.write_table(table, draft, compression=COMPRESSION)
            sizes[shard] = table.nbytes
        return {"shards": sizes}


def _in_shards(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    shard: list[pa.RecordBatch] = []
    num_bytes = num_rows = 0
    for batch in batches:
        shard.append(batch)
        num_bytes, num_rows = num_bytes + batch.nbytes, num_rows + batch.num_rows
        if num_bytes >= SHARD_BYTES or num_rows >= SHARD_ROWS:
            yield shard
            shard, num_bytes, num_rows = [], 0, 0
    if shard:
        yield shard


def read_sources(
    readers: list[tuple[int, SourceReader]], folder: Path, engine: Engine
) -> list[RecordShard]:
    """Read all sources, those of many files in parallel.

    Args:
        readers: Place in the recipe and reader of each source.
        folder: Of the step.
        engine: Where parts of sources are read.

    Returns:
        The shards, in the order of the sources.
    """
    shards: list[RecordShard] = []
    for priority, reader in readers:
        parts = reader.split(PART_BYTES)
        names = {f"{priority:03d}-{number:05d}": part for number, part in enumerate(parts)}
        if len(names) == 1:
            facts = {name: _read_here(name, part, folder) for name, part in names.items()}
        else:
            title = f"reading {reader.name}"
            facts = run_tasks(ReadPart(folder), names, folder, engine, title=title)
        for found in facts.values():
            shards += _shards(found, folder, priority)
    return shards


def _read_here(name: str, reader: SourceReader, folder: Path) -> Facts:
    """Read in this process, where the reader may use processes of its own."""
    facts = read_marker(folder, name)
    if facts is None:
        with progress(f"reading {reader.name}", total=reader.total, unit=reader.unit) as bar:
            facts = ReadPart(folder).read(name, reader, bar.advance)
        write_marker(folder, name, facts)
    return facts


def _shards(facts: dict[str, Any], folder: Path, priority: int) -> Iterator[RecordShard]:
    for name, num_bytes in facts["shards"].items():
        yield RecordShard(name, folder / f"{name}.parquet", priority, num_bytes)

"""The documents artifact: its columns, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.artifact import Artifact

DOCUMENTS_KIND = "documents"
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
READ_ROWS = 8192


def _strings(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


DOCUMENT_SCHEMA = pa.schema(
    [
        *_strings("id", "text", "language", "source", "license", "group", "meta"),
        pa.field("copies", pa.int32(), nullable=False),
    ]
)
"""id: content hash; language: BCP 47; group: key of the split; meta: a JSON object as a string;
copies: documents that this one stands for, itself and the duplicates that were dropped."""

REJECT_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("reason", pa.string(), nullable=False))
"""A rejected record keeps everything it had, and says why it was dropped."""

JUDGED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("reason", pa.string()))
"""A document on its way: `reason` is null as long as nothing speaks against it."""


def part_paths(folder: Path) -> list[Path]:
    """Return the Parquet parts of a folder in order."""
    return sorted(folder.glob("part-*.parquet"))


def read_parts(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a folder of parts, in the order they were written."""
    for path in part_paths(folder):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(
                batch_size=READ_ROWS, columns=None if columns is None else list(columns)
            )


def read_documents(
    artifact: Artifact, split: Split, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the documents of one split, always in the same order.

    Args:
        artifact: A documents artifact.
        split: `train`, `validation` or `test`; nothing is yielded if it is empty.
        columns: Columns to read; None for all of DOCUMENT_SCHEMA.

    Yields:
        Record batches of up to 8192 rows.
    """
    yield from read_parts(artifact.path / split, columns)

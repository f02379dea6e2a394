"""Decisions: what the whole corpus says about single documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.corpus.steps.judge import JudgedShard

DECISION_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("copies", pa.int32()),
        pa.field("id", pa.string()),
    ]
)
"""What becomes of a document of a shard that is a duplicate, has some, or shares its id: the reason
to drop it or null, the documents it stands for or null, and its new id or null."""


@dataclass(frozen=True)
class Decisions:
    """What becomes of all documents."""

    folder: Path
    """A file NAME.parquet (DECISION_SCHEMA) for each shard that has any."""
    facts: dict[str, Any]
    """Counts for the report."""
    shown: tuple[tuple[int, tuple[int, ...]], ...]
    """Size and some addresses of the clusters to show."""

    def of(self, shard: JudgedShard) -> Path | None:
        """Return the decisions about a shard; None if all of it stays as it is."""
        path = self.folder / f"{shard.name}.parquet"
        return path if path.is_file() else None


def read_decisions(path: Path | None) -> pa.Table:
    """Return the decisions about a shard; none without a file."""
    return DECISION_SCHEMA.empty_table() if path is None else pq.read_table(path)


def stays(batch: pa.RecordBatch, first: int, decisions: pa.Table) -> pa.RecordBatch:
    """Return the documents of a batch that are no duplicates.

    Args:
        batch: Documents of a shard.
        first: Row of the first one in the shard.
        decisions: About the shard.

    Returns:
        The batch without those that have a reason.
    """
    gone = decisions.filter(pc.is_valid(decisions["reason"]))["row"].to_numpy() - first
    is_kept = np.ones(batch.num_rows, np.bool_)
    is_kept[gone[(gone >= 0) & (gone < batch.num_rows)]] = False
    return batch.filter(pa.array(is_kept))


def apply_decisions(batch: pa.RecordBatch, first: int, decisions: pa.Table) -> pa.RecordBatch:
    """Write reasons, copies and new ids into documents.

    Args:
        batch: JUDGED_SCHEMA, documents of a shard.
        first: Row of the first one in the shard.
        decisions: About the shard.

    Returns:
        All documents of the batch.
    """
    rows = pa.array(np.arange(first, first + batch.num_rows))
    places = pc.index_in(rows, decisions["row"].combine_chunks())
    for name in ("reason", "copies", "id"):
        values = decisions[name].combine_chunks().take(places)
        index = batch.schema.get_field_index(name)
        values = pc.coalesce(values, batch[name])
        batch = batch.set_column(index, batch.schema.field(index), values)
    return batch

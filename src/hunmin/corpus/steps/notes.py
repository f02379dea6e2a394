"""Notes: what is counted and kept of a shard while it is assembled, for the report."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.decontamination.search import CONTAMINATED, HIT_SCHEMA, find_items
from hunmin.corpus.decontamination.storage import load_index
from hunmin.corpus.dedup.lines import LINE_EXAMPLE_SCHEMA, RemoveRepeatedLines, line_examples
from hunmin.corpus.holdout import HoldoutGuard
from hunmin.corpus.steps.judge import ROW_BITS
from hunmin.corpus.steps.samples import Samples
from hunmin.corpus.steps.workspace import Facts
from hunmin.corpus.tally import Tally

EXACT, NEAR, LINES, EVALUATION = (
    "exact duplicates",
    "near duplicates",
    "repeated lines",
    "evaluation items",
)
SPOKEN_FORM, SPOKEN_TWICE = "spoken form", "equal in spoken form"
MAX_SHOWN_LINES = 30
_SHOWN_CHARACTERS = 300
_ROW_MASK = (1 << ROW_BITS) - 1


class Notes:
    """What is counted and kept of a shard for the report."""

    def __init__(self, seed: int, shown: tuple[int, ...]) -> None:
        self._tally, self._samples = Tally(), Samples()
        self._guard = HoldoutGuard(seed)
        self._shown, self._texts = shown, dict[str, dict[str, str]]()
        self._hits: list[dict[str, Any]] = []
        self._searched = 0
        self._examples: list[pa.RecordBatch] = []

    def show(self, batch: pa.RecordBatch, number: int, first: int) -> None:
        """Keep the texts of the documents to show."""
        for address in self._shown:
            row = (address & _ROW_MASK) - first
            if address >> ROW_BITS == number and 0 <= row < batch.num_rows:
                text, source = (batch[name][row].as_py() for name in ("text", "source"))
                self._texts[str(address)] = {"text": text[:_SHOWN_CHARACTERS], "source": source}

    def drop(self, rejects: pa.RecordBatch, step: str) -> None:
        """Count what a step drops."""
        self._tally.add_batch("dropped", rejects, ("reason",), step)
        self._tally.add_batch("rejected", rejects, ("source", "language", "reason"))
        self._samples.add_rejects(rejects)

    def keep(self, documents: pa.RecordBatch, split: str) -> None:
        """Count what stays, and watch that each language has something held out."""
        count_kept(self._tally, documents, split)
        self.watch(documents, split)

    def watch(self, documents: pa.RecordBatch, split: str) -> None:
        """Watch that each language has something held out."""
        if split == "validation":
            self._guard.add_validation(documents)
        if split == "train":
            self._guard.add_train(documents)

    def keep_forms(self, documents: pa.RecordBatch) -> None:
        """Count what stays by its columns `form` and `split`."""
        self._tally.add_batch("form", documents, ("language", "form", "split"))

    def remove_lines(self, batch: pa.RecordBatch, remove: RemoveRepeatedLines) -> pa.RecordBatch:
        """Take repeated lines out of documents, and count what goes."""
        shown = np.asarray(remove.lines[:MAX_SHOWN_LINES], np.uint64)
        self._examples.append(line_examples(batch, shown, remove.rule))
        before = batch
        after = remove(batch)
        removed = after["removed_characters"]
        is_kept = pc.is_null(after["reason"])
        changed = pc.and_(is_kept, pc.greater(removed, 0))
        characters = pc.sum(removed.filter(changed)).as_py() or 0
        self._tally.add("lines removed characters", number=characters)
        self._tally.add("lines changed documents", number=pc.sum(changed).as_py() or 0)
        lengths = [pc.binary_length(side["text"].filter(changed)) for side in (before, after)]
        gone = pc.sum(pc.subtract(*lengths)).as_py() or 0
        self._tally.add("removed bytes", LINES, number=gone)
        self._samples.add_changes(before.filter(changed)[:2], after.filter(changed)[:2])
        return after.drop_columns(["removed_characters"])

    def find_items(self, batch: pa.RecordBatch, index: Path, is_dropping: bool) -> pa.RecordBatch:
        """Look for evaluation items; documents that hold some get a reason if they are to go."""
        hits = find_items(batch, load_cached(index))
        self._hits += hits.to_pylist()
        self._searched += batch.num_rows
        if not is_dropping or not hits.num_rows:
            return batch
        found = pc.is_in(batch["id"], hits["id"])
        reasons = pc.if_else(found, pa.scalar(CONTAMINATED), pa.scalar(None, pa.string()))
        at = batch.schema.get_field_index("reason")
        return batch.set_column(at, batch.schema.field(at), pc.coalesce(batch["reason"], reasons))

    def facts(self) -> Facts:
        """Return everything as JSON."""
        examples = pa.Table.from_batches(self._examples, LINE_EXAMPLE_SCHEMA)
        smallest = examples.group_by("line").aggregate([("example", "min")])
        return {
            "tally": self._tally.state(),
            "samples": self._samples.state(),
            "guard": self._guard.state(),
            "shown": self._texts,
            "hits": self._hits,
            "searched": self._searched,
            "lines": {str(row["line"]): row["example_min"] for row in smallest.to_pylist()},
        }


def count_kept(tally: Tally, documents: pa.RecordBatch, split: str) -> None:
    """Count documents of one side of the split in all ways that the report tells."""
    if documents.num_rows == 0:
        return
    count_split(tally, documents, split)
    tally.add_batch("licensed", documents, ("license", "source"))
    lengths = np.maximum(pc.utf8_length(documents["text"]).to_numpy(), 1)
    powers = np.floor(np.log2(lengths)).astype(np.int64).astype(str)
    pairs = zip(documents["language"].to_pylist(), powers.tolist(), strict=True)
    tally.add_all("lengths", pairs)
    copies, numbers = np.unique(documents["copies"].to_numpy(), return_counts=True)
    for size, number in zip(copies.tolist(), numbers.tolist(), strict=True):
        tally.add("copies", f"{size}", number=number)


def count_split(tally: Tally, documents: pa.RecordBatch, split: str) -> None:
    """Count documents of one side of the split by source and language."""
    tally.add_batch("kept", documents, ("source", "language"), split)


def hits_table(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return the hits in the facts of a shard, as HIT_SCHEMA."""
    return pa.RecordBatch.from_pylist(rows, schema=HIT_SCHEMA)


@functools.lru_cache(maxsize=1)
def load_cached(folder: Path) -> EvaluationIndex:
    """Return the index of evaluation items; a process reads it once."""
    return load_index(folder)

"""Looking documents up in an index of evaluation items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.dedup.letters import Letters, chunks, letters_of
from hunmin.corpus.hashes import Positions, Stretches

CONTAMINATED = "holds evaluation items"
"""The reason of a document that holds an evaluation item."""

HIT_SCHEMA = pa.schema(
    [("id", pa.string()), ("set", pa.string()), ("item", pa.string()), ("share", pa.float32())]
)
"""A document that holds an item: its id, the item's set and name, and the share of its runs."""


@dataclass(frozen=True)
class _Found:
    """Documents and the items they share runs with, sorted by document, then item."""

    documents: Positions
    items: Positions
    runs: npt.NDArray[np.int64]


def find_items(batch: pa.RecordBatch, index: EvaluationIndex) -> pa.RecordBatch:
    """Find the evaluation items that stand in documents.

    Args:
        batch: Columns `id` and `text`.
        index: What to look for.

    Returns:
        HIT_SCHEMA, by document, set and item.

    Raises:
        InputError: A text is missing.

    Note:
        An item of 15 characters or more is there if three tenths of its runs of 15 are, or 60 of
        them (74 characters in a row); a shorter one if it stands as a whole between places where
        words can begin and end. White space, case and invisible characters do not matter.
        Each document is judged alone, so batches and their order do not matter.
    """
    found = _held(_search(batch["text"], index), index)
    columns = [
        batch["id"].cast(pa.string()).take(pa.array(found.documents)),
        pa.array(index.sets, pa.string()).take(pa.array(index.item_sets[found.items])),
        pa.array(index.item_names[found.items].tolist(), pa.string()),
        pa.array((found.runs / index.item_runs[found.items]).astype(np.float32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=HIT_SCHEMA)


def mark_contaminated(batch: pa.RecordBatch, index: EvaluationIndex) -> pa.RecordBatch:
    """Give a reason to documents that hold evaluation items.

    Args:
        batch: A column `text`; a column `reason` (string) if documents can have been dropped
            before: theirs stay as they are.
        index: What to look for.

    Returns:
        The batch with `reason`, and `evaluation_sets` (list of strings: the sets whose items it
        holds, in order; empty for a clean document).
    """
    found = _held(_search(batch["text"], index), index)
    pairs = np.unique(np.stack([found.documents, index.item_sets[found.items]]), axis=1)
    counts = np.bincount(pairs[0], minlength=batch.num_rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    names = pa.array(index.sets, pa.string()).take(pa.array(pairs[1]))
    reason = pc.if_else(pa.array(counts > 0), CONTAMINATED, pa.scalar(None, pa.string()))
    if "reason" in batch.schema.names:
        reason = pc.coalesce(batch["reason"], reason)
        batch = batch.drop_columns(["reason"])
    batch = batch.append_column("reason", reason)
    return batch.append_column("evaluation_sets", pa.ListArray.from_arrays(offsets, names))


def _held(found: _Found, index: EvaluationIndex) -> _Found:
    """Leave those documents and items for which enough runs were found."""
    enough = found.runs >= index.needed[found.items]
    return _Found(found.documents[enough], found.items[enough], found.runs[enough])


def _search(texts: pa.Array, index: EvaluationIndex) -> _Found:
    """Count the different runs that each document shares with each item."""
    first = 0
    parts = [np.zeros((2, 0), np.int64)]
    for chunk in chunks(texts):
        parts.append(_chunk_places(letters_of(chunk), index) + np.array([[first], [0]]))
        first += len(chunk)
    # A run that stands twice in a document is one run: documents with places in the index, once.
    documents, places = np.unique(np.concatenate(parts, axis=1), axis=1)
    pairs = np.stack([documents, index.items[places].astype(np.int64)])
    (documents, items), runs = np.unique(pairs, axis=1, return_counts=True)
    return _Found(documents, items, runs)


def _chunk_places(letters: Letters, index: EvaluationIndex) -> npt.NDArray[np.int64]:
    """Documents beside the places of their runs in the index, shape (2, hits)."""
    stretches = Stretches(letters.hashes)
    found = [np.zeros((2, 0), np.int64)]
    for starts, width in _candidates(letters, stretches, index):
        which, first, last = index.table.find(stretches.hashes(starts, starts + width))
        documents = letters.offsets.searchsorted(starts[which], side="right") - 1
        # A stretch that runs over the end of a document is none.
        inside = starts[which] + width <= letters.offsets[documents + 1]
        first, counts = first[inside], (last - first)[inside]
        shift = np.repeat(first - (np.cumsum(counts) - counts), counts)
        found.append(
            np.stack([np.repeat(documents[inside], counts), np.arange(len(shift)) + shift])
        )
    return np.concatenate(found, axis=1)


def _candidates(
    letters: Letters, stretches: Stretches, index: EvaluationIndex
) -> Iterator[tuple[Positions, int]]:
    """Where a run, or a short item, of the index may begin, and its width."""
    width = index.rule.width
    yield index.table.find_windows(stretches, width)[0], width
    if not index.short_lengths:
        return
    parts_words = letters.parts_words
    starts = index.heads.find_windows(stretches, index.rule.min_letters)[0]
    starts = starts[parts_words[starts]]
    for length in index.short_lengths:
        some = starts[: starts.searchsorted(len(letters.codes) - length, side="right")]
        yield some[parts_words[some + length]], length

"""Lines and paragraphs that stand in many documents: page frames, notices, licence texts.

Two passes over the documents. The first counts, for each line, the documents that it stands in
(`line_counts`, then `merge_line_counts` or an engine's group-by with a sum). The second takes the
lines over a limit out (`RemoveRepeatedLines`) and says what went; `line_examples` shows what the
most frequent ones look like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.letters import chunks, letters_of
from hunmin.corpus.hashes import Hashes, HashTable, Positions, Stretches

REPEATED_LINES = "mostly repeated lines"
"""The reason of a document of which too little is left."""

LINE_COUNT_SCHEMA = pa.schema([("line", pa.uint64()), ("documents", pa.int64())])
"""Hash of a line, and the documents it stands in."""

LINE_EXAMPLE_SCHEMA = pa.schema([("line", pa.uint64()), ("example", pa.string())])
"""Hash of a line, and the smallest of its spellings, cut to 200 characters."""

# What parts the pieces of a text, for Arrow's regular expressions; and what joins them again.
_SEPARATORS = {"line": (r"\n", "\n"), "paragraph": (r"\n[ \t]*\n\s*", "\n\n")}
_EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True)
class LineRule:
    """Which pieces of documents are repeated ones."""

    unit: Literal["line", "paragraph"] = "line"
    """What is counted; paragraphs are parted by empty lines."""
    max_documents: int = 100
    """Pieces in more documents than this are taken out."""
    min_letters: int = 5
    """Pieces of fewer visible characters stay, such as a brace or a bullet."""
    min_share_left: float = 0.3
    """A document that keeps a smaller share of its characters is dropped, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.unit not in _SEPARATORS:
            raise InputError("this is no unit", given=self.unit, allowed=", ".join(_SEPARATORS))
        if self.max_documents < 1 or self.min_letters < 1 or not 0 <= self.min_share_left <= 1:
            raise InputError(
                "these limits for repeated lines cannot be met",
                given=f"max_documents {self.max_documents}, min_letters {self.min_letters}, "
                f"min_share_left {self.min_share_left}",
                allowed="max_documents and min_letters of 1 or more, min_share_left in [0, 1]",
            )


@dataclass(frozen=True)
class _Pieces:
    texts: pa.Array
    """All pieces of a column, one text after the other."""
    offsets: Positions
    """Text i has the pieces offsets[i]…offsets[i + 1]."""
    hashes: Hashes
    """Hash of the letters of each piece."""
    counts: npt.NDArray[np.bool_]
    """Whether the piece is long enough to count."""


def line_counts(batch: pa.RecordBatch, rule: LineRule) -> pa.RecordBatch:
    """Count the documents of a batch that each line stands in.

    Args:
        batch: A column `text` without nulls.
        rule: What a line is; its limit is not applied here.

    Returns:
        LINE_COUNT_SCHEMA, one row for each different line, sorted by hash. A line that stands
        twice in a document counts once. Lines are equal if their letters are: case, white space
        and invisible characters do not matter (see `hunmin.corpus.dedup.letters`).
    """
    pieces = _pieces(batch["text"], rule)
    rows = np.flatnonzero(pieces.counts)
    owners = np.repeat(np.arange(batch.num_rows), np.diff(pieces.offsets))[rows]
    order = np.argsort(pieces.hashes[rows], kind="stable")
    lines, owners = pieces.hashes[rows][order], owners[order]
    is_first = np.ones(len(lines), np.bool_)
    is_first[1:] = (lines[1:] != lines[:-1]) | (owners[1:] != owners[:-1])
    return _added_up(lines, is_first.astype(np.int64))


def merge_line_counts(counts: Iterable[pa.RecordBatch | pa.Table]) -> pa.Table:
    """Add up the counts of batches with different documents.

    Args:
        counts: LINE_COUNT_SCHEMA, as from `line_counts` or from here.

    Returns:
        LINE_COUNT_SCHEMA sorted by hash, the same for every order and size of the batches.

    Note:
        Memory: 16 bytes for each different line and batch, and as much for sorting. With an
        engine, group by `line` instead, with the sum of `documents`.
    """
    parts = list(counts)
    if not parts:
        return LINE_COUNT_SCHEMA.empty_table()
    lines, documents = (
        np.concatenate([part[name].to_numpy() for part in parts]) for name in ("line", "documents")
    )
    order = np.argsort(lines, kind="stable")
    return pa.Table.from_batches([_added_up(lines[order], documents[order])])


def _added_up(lines: Hashes, documents: Positions) -> pa.RecordBatch:
    """Sum up the documents of equal lines, which stand together."""
    starts = np.flatnonzero(np.diff(lines, prepend=~lines[:1]))
    sums = np.add.reduceat(documents, starts) if len(starts) else documents
    columns = [pa.array(lines[starts]), pa.array(sums, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=LINE_COUNT_SCHEMA)


def repeated_lines(counts: pa.Table, rule: LineRule) -> pa.Table:
    """Return the lines over the limit, the most frequent first (then by hash), for a report."""
    over = counts.filter(pc.greater(counts["documents"], rule.max_documents))
    return over.sort_by([("documents", "descending"), ("line", "ascending")])


def line_examples(batch: pa.RecordBatch, lines: Hashes, rule: LineRule) -> pa.RecordBatch:
    """Show what some lines look like.

    Args:
        batch: A column `text` without nulls, before anything was taken out.
        lines: Hashes of the lines to show.
        rule: What a line is.

    Returns:
        LINE_EXAMPLE_SCHEMA, one row for each of the lines that stands in the batch, sorted by
        hash. The minimum of `example` over batches is the same however they are cut.
    """
    pieces = _pieces(batch["text"], rule)
    rows = np.flatnonzero(np.isin(pieces.hashes, lines))
    examples = pc.utf8_slice_codeunits(pieces.texts.take(rows), 0, _EXAMPLE_CHARACTERS)
    table = pa.table({"line": pa.array(pieces.hashes[rows]), "example": examples})
    grouped = table.group_by("line").aggregate([("example", "min")]).sort_by("line")
    columns = [grouped["line"].combine_chunks(), grouped["example_min"].combine_chunks()]
    return pa.RecordBatch.from_arrays(
        [columns[0], columns[1].cast(pa.string())], schema=LINE_EXAMPLE_SCHEMA
    )


@dataclass(frozen=True)
class RemoveRepeatedLines:
    """Takes the lines over the limit out of documents."""

    lines: Hashes
    """Hashes of the lines to take out, as in `repeated_lines`."""
    rule: LineRule = LineRule()
    """What a line is, and when too little of a document is left."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Take the lines out of a batch.

        Args:
            batch: A column `text` without nulls; a column `reason` (string) if documents can have
                been dropped before: theirs stay as they are.

        Returns:
            The batch with its `text` changed, and with the columns `removed_characters` (int64)
            and `reason`. Documents without such a line keep every byte.
        """
        text = batch["text"]
        pieces = _pieces(text, self.rule)
        stays = np.ones(len(pieces.hashes), np.bool_)
        stays[self._table.find(pieces.hashes)[0]] = False
        stays |= ~pieces.counts
        touched = np.zeros(batch.num_rows, np.bool_)
        touched[np.repeat(np.arange(batch.num_rows), np.diff(pieces.offsets))[~stays]] = True
        left = pc.if_else(pa.array(touched), self._rebuilt(pieces, stays).cast(text.type), text)
        lengths = [pc.cast(pc.utf8_length(of), pa.int64()) for of in (text, left)]
        removed = pc.subtract(*lengths)
        batch = _set(batch, "text", left)
        batch = _set(batch, "reason", self._reasons(batch, removed, lengths[0]))
        return _set(batch, "removed_characters", removed)

    @cached_property
    def _table(self) -> HashTable:
        return HashTable(np.unique(np.asarray(self.lines, np.uint64)))

    def _rebuilt(self, pieces: _Pieces, stays: npt.NDArray[np.bool_]) -> pa.Array:
        before = np.concatenate([[0], np.cumsum(stays)])
        offsets = pa.array(before[pieces.offsets], pa.int64())
        kept = pa.LargeListArray.from_arrays(offsets, pieces.texts.filter(pa.array(stays)))
        between = pa.scalar(_SEPARATORS[self.rule.unit][1], pa.large_string())
        return pc.utf8_trim_whitespace(pc.binary_join(kept, between))

    def _reasons(self, batch: pa.RecordBatch, removed: pa.Array, lengths: pa.Array) -> pa.Array:
        most = pc.multiply(pc.cast(lengths, pa.float64()), 1 - self.rule.min_share_left)
        is_too_much = pc.and_(pc.greater(removed, 0), pc.greater(removed, most))
        reason = pc.if_else(is_too_much, pa.scalar(REPEATED_LINES), pa.scalar(None, pa.string()))
        return pc.coalesce(batch["reason"], reason) if "reason" in batch.schema.names else reason


def _pieces(texts: pa.Array, rule: LineRule) -> _Pieces:
    lists = pc.split_pattern_regex(texts.cast(pa.large_string()), _SEPARATORS[rule.unit][0])
    offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
    flat = lists.flatten()
    hashes, lengths = _hashes(flat)
    return _Pieces(flat, offsets.astype(np.int64), hashes, lengths >= rule.min_letters)


def _hashes(texts: pa.Array) -> tuple[Hashes, Positions]:
    """Hash and length of the letters of each text."""
    hashes, lengths = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for chunk in chunks(texts):
        letters = letters_of(chunk)
        stretches = Stretches(letters.hashes)
        hashes.append(stretches.hashes(letters.offsets[:-1], letters.offsets[1:]))
        lengths.append(letters.lengths)
    return np.concatenate(hashes), np.concatenate(lengths)


def _set(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    index = batch.schema.get_field_index(name)
    if index < 0:
        return batch.append_column(name, values)
    return batch.set_column(index, batch.schema.field(index), values)

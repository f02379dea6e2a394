"""Whole documents packed for evaluation: every token, and the end of every text, scored once.

A document is its boundary token and its tokens; what is predicted are its tokens and then the
boundary token, which ends it. Documents share rows (segment ids keep them apart), so that short
texts waste nothing. A document longer than the context is cut into windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hunmin.core.errors import ContextLengthError, InputError
from hunmin.data.batch import IGNORED_LABEL, TokenBatch
from hunmin.data.permutation import Int64s
from hunmin.data.spec import MIN_CONTEXT


@dataclass(frozen=True)
class ScoringBatch(TokenBatch):
    """A batch that knows which document each token belongs to.

    Args:
        document_index: Index into the documents given, int64, shape (B, T); -1 for padding.
    """

    document_index: Tensor


@dataclass(frozen=True)
class _Piece:
    """A window of a document: inputs [start, stop), of which those from `scored` on count."""

    document: int
    start: int
    scored: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def pack_documents(
    ids: Sequence[npt.NDArray[Any]],
    *,
    context: int,
    batch_size: int,
    boundary_id: int,
    stride: int | None = None,
) -> Iterator[ScoringBatch]:
    """Pack documents into batches in which each of their tokens is scored exactly once.

    Args:
        ids: Token ids of each document, without boundary tokens; may be empty.
        context: Tokens in a row, at least 8.
        batch_size: Rows in a batch.
        boundary_id: The token that begins and ends a document.
        stride: New tokens in each further window of a long document, [1, context]. Its first
            context - stride tokens repeat what came before and are only looked back at. None means
            the context: windows do not overlap, which is quickest and scores a little worse.

    Returns:
        An iterator of batches, fullest rows first; the last batch may have fewer rows.

    Raises:
        ContextLengthError: The context is smaller than 8.
        InputError: The stride or the batch size is out of its range.

    Note:
        Rows are filled best-fit, longest piece first; the padding is what no piece fits into.
    """
    _check_sizes(context, batch_size, stride)
    pieces = _cut([len(document) for document in ids], context, stride or context)
    rows = _fill_rows(pieces, context)
    return (
        _assemble(ids, rows[first : first + batch_size], context, boundary_id)
        for first in range(0, len(rows), batch_size)
    )


def _check_sizes(context: int, batch_size: int, stride: int | None) -> None:
    if context < MIN_CONTEXT:
        raise ContextLengthError(
            "the context is too short to score text", given=context, allowed=f">= {MIN_CONTEXT}"
        )
    if stride is not None and not 1 <= stride <= context:
        raise InputError("the stride is out of range", given=stride, allowed=f"1 to {context}")
    if batch_size < 1:
        raise InputError("the batch size is out of range", given=batch_size, allowed=">= 1")


def _cut(lengths: Sequence[int], context: int, stride: int) -> list[_Piece]:
    """Cut each document, with its boundary token in front, into windows."""
    pieces = []
    for document, length in enumerate(lengths):
        scored = 0
        while scored <= length:
            stop = min(length + 1, context if scored == 0 else scored + stride)
            start = max(0, scored - (context - stride))
            pieces.append(_Piece(document, start, scored, stop))
            scored = stop
    return pieces


def _fill_rows(pieces: Sequence[_Piece], context: int) -> list[list[_Piece]]:
    """Put pieces into as few rows as best-fit-decreasing needs."""
    rows: list[list[_Piece]] = []
    rows_by_space: dict[int, list[int]] = {}
    # Bit s is set when some row has s tokens of space left.
    spaces = 0
    for piece in sorted(pieces, key=lambda piece: -piece.length):
        fitting = spaces >> piece.length
        if fitting:
            space = piece.length + (fitting & -fitting).bit_length() - 1
            row = rows_by_space[space].pop()
            if not rows_by_space[space]:
                spaces ^= 1 << space
        else:
            space, row = context, len(rows)
            rows.append([])
        rows[row].append(piece)
        left = space - piece.length
        rows_by_space.setdefault(left, []).append(row)
        spaces |= 1 << left
    return rows


def _assemble(
    ids: Sequence[npt.NDArray[Any]],
    rows: Sequence[Sequence[_Piece]],
    context: int,
    boundary_id: int,
) -> ScoringBatch:
    pieces = [piece for row in rows for piece in row]
    lengths = np.array([piece.length for piece in pieces], dtype=np.int64)
    counts = np.array([len(row) for row in rows])
    row_of_piece = np.repeat(np.arange(len(rows)), counts)
    segment_of_piece = np.arange(len(pieces)) - np.repeat(np.cumsum(counts) - counts, counts)
    before = np.cumsum(lengths) - lengths
    row_starts = before[np.cumsum(counts) - counts]
    within = np.arange(lengths.sum()) - np.repeat(before, lengths)
    slots = np.repeat(row_of_piece * context + before - row_starts[row_of_piece], lengths) + within
    inputs, labels = _inputs_and_labels(ids, pieces, boundary_id)

    def spread(values: Int64s, filler: int) -> Tensor:
        flat = np.full(len(rows) * context, filler, dtype=np.int64)
        flat[slots] = values
        return torch.from_numpy(flat.reshape(len(rows), context))

    documents = np.array([piece.document for piece in pieces], dtype=np.int64)
    # Padding is a segment of its own: one more than any row can have.
    return ScoringBatch(
        input_ids=spread(inputs, boundary_id),
        labels=spread(labels, IGNORED_LABEL),
        position_ids=spread(within, 0),
        segment_ids=spread(np.repeat(segment_of_piece, lengths), context).to(torch.int32),
        document_index=spread(np.repeat(documents, lengths), -1),
    )


def _inputs_and_labels(
    ids: Sequence[npt.NDArray[Any]], pieces: Sequence[_Piece], boundary_id: int
) -> tuple[Int64s, Int64s]:
    """Concatenated inputs and labels of the pieces."""
    inputs, labels = [], []
    for piece in pieces:
        stretch = _stretch(ids[piece.document], piece, boundary_id)
        inputs.append(stretch[:-1])
        label = stretch[1:].copy()
        label[: piece.scored - piece.start] = IGNORED_LABEL
        labels.append(label)
    return np.concatenate(inputs), np.concatenate(labels)


def _stretch(document: npt.NDArray[Any], piece: _Piece, boundary_id: int) -> Int64s:
    """The piece's inputs and the token after them, from the document between two boundaries."""
    stretch = np.full(piece.length + 1, boundary_id, dtype=np.int64)
    first = max(piece.start - 1, 0)
    part = document[first : piece.stop]
    offset = first + 1 - piece.start
    stretch[offset : offset + len(part)] = part
    return stretch

"""Pairs of what an encoder reads and a decoder says, several documents to a row.

Shapes: B rows, D documents; S tokens of the encoder and T of the decoder in a row.

A document is a segment of its own in encoder and decoder, each of which begins it with the boundary
token. So a row of many short documents is worth as much as many rows of one, without padding. With
attention across documents a row is one segment, but continuations stay apart: nobody could tell
which of several texts is to be continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hunmin.data.batch import IGNORED_LABEL, PADDING_SEGMENT, PairBatch
from hunmin.data.corruption import CorruptedRows
from hunmin.data.objectives.continuation import MarkedContinuation, PrefixLanguageModel
from hunmin.data.objectives.ragged import Bools, Ragged, join, single
from hunmin.data.permutation import Int64s

_WIDTH_MULTIPLE = 16
# One long row must not make all others pay for it.
_FITTING_SHARE = 0.99


@dataclass(frozen=True)
class PairShape:
    """Tokens in a row.

    Args:
        encoder: S.
        decoder: T.
    """

    encoder: int
    decoder: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Documents of some rows of a batch.

    Args:
        rows: Row of each in the batch, int64, shape (D,); never falls.
        read: Tokens of the encoder, D rows: the boundary token and the inputs.
        given: Tokens of the decoder, D rows: the boundary token and the targets.
        said: Labels, -100 where nothing is scored, D rows as long as those given: the targets and
            the boundary token as end.
        apart: Whether they stay apart though attention crosses documents.
    """

    rows: Int64s
    read: Ragged
    given: Ragged
    said: Ragged
    apart: bool


def pair_up(part: CorruptedRows, windows: Int64s, boundary_id: int) -> Pairs:
    """Lead each document by the boundary token, and end what is said by it.

    Args:
        part: Corrupted rows.
        windows: What they were made of, with the token after, int64, shape (B, W + 1).
        boundary_id: The token that begins a document.

    Returns:
        The pairs. The end of a continuation is scored only where the document ends in the window,
        since a text is not over where a row is; what repeats its input ends with it.
    """
    pieces, result = part.pieces, part.result
    rows = part.rows[pieces.rows]
    present = np.ones(len(rows), dtype=np.bool_)
    boundaries = np.full(len(rows), boundary_id, dtype=np.int64)
    continues = isinstance(part.objective, MarkedContinuation | PrefixLanguageModel)
    is_over = windows[rows, pieces.stops] == boundary_id
    ends = np.where(is_over | (not continues), boundary_id, IGNORED_LABEL)
    return Pairs(
        rows=rows,
        read=join(single(boundaries, present), result.inputs),
        given=join(single(boundaries, present), result.targets),
        said=join(result.labels, single(ends, present)),
        apart=continues,
    )


def fit_shape(parts: Sequence[Pairs], context: int) -> PairShape:
    """Return the smallest shape that holds nearly all rows.

    Args:
        parts: Pairs of many rows, one part for each objective.
        context: Most tokens in a row.

    Returns:
        Multiples of 16, or the context if that is less. 99 of 100 rows of each objective fit.
    """
    encoder = [_width(part.rows, part.read) for part in parts]
    decoder = [_width(part.rows, part.given) for part in parts]
    return PairShape(*(min(max(widths, default=1), context) for widths in (encoder, decoder)))


def pack_pairs(
    parts: Sequence[Pairs],
    shape: PairShape,
    *,
    num_rows: int,
    pad_id: int,
    cross_document_attention: bool,
) -> PairBatch:
    """Put pairs into the rows of a batch.

    Args:
        parts: Pairs, no two parts with the same row.
        shape: Tokens in a row.
        num_rows: B.
        pad_id: Fills what is left of a row.
        cross_document_attention: One segment per row, unless its documents have to stay apart.

    Returns:
        The batch.

    Note:
        Where the documents of a row do not fit, the last ones are left out; of a single document
        the end is. With the shape of `fit_shape` that was none of the tokens for AlexaTM's mixture,
        up to 6 in a thousand for prefixes.
    """
    encoder = _blank(num_rows, shape.encoder, (pad_id, 0, PADDING_SEGMENT))
    decoder = _blank(num_rows, shape.decoder, (pad_id, PADDING_SEGMENT, IGNORED_LABEL))
    for part in parts:
        _place(part, encoder, decoder, crossing=cross_document_attention and not part.apart)
    return PairBatch(
        input_ids=torch.from_numpy(encoder[0]),
        position_ids=torch.from_numpy(encoder[1]),
        segment_ids=torch.from_numpy(encoder[2].astype(np.int32)),
        decoder_input_ids=torch.from_numpy(decoder[0]),
        decoder_segment_ids=torch.from_numpy(decoder[1].astype(np.int32)),
        labels=torch.from_numpy(decoder[2]),
    )


def _blank(num_rows: int, width: int, fillers: tuple[int, int, int]) -> Int64s:
    """Three values for each place of each row, shape (3, B, width)."""
    blank = np.empty((3, num_rows, width), dtype=np.int64)
    blank[:] = np.array(fillers)[:, None, None]
    return blank


def _place(part: Pairs, encoder: Int64s, decoder: Int64s, *, crossing: bool) -> None:
    """Write documents into rows, one after another, as far as they fit in both."""
    read, given = part.read, part.given
    firsts = np.searchsorted(part.rows, part.rows)
    reads, says = _starts(read, firsts), _starts(given, firsts)
    fits = reads + read.lengths <= encoder.shape[2]
    fits &= says + given.lengths <= decoder.shape[2]
    fits |= reads == 0
    segments = np.zeros_like(firsts) if crossing else np.arange(len(firsts)) - firsts
    places = read.places + (read.spread(reads) if crossing else 0)
    values = np.stack([read.tokens, places, read.spread(segments)])
    _write(encoder, values, part.rows, read, reads, fits)
    values = np.stack([given.tokens, given.spread(segments), part.said.tokens])
    _write(decoder, values, part.rows, given, says, fits)


def _write(
    out: Int64s,
    values: Int64s,
    row_numbers: Int64s,
    documents: Ragged,
    starts: Int64s,
    fits: Bools,
) -> None:
    """Write the values of each token, shape (3, N), where it is in the batch."""
    width = out.shape[2]
    places = documents.spread(starts) + documents.places
    chosen = np.flatnonzero(documents.spread(fits) & (places < width))
    slots = documents.spread(row_numbers) * width + places
    out.reshape(3, -1)[:, slots[chosen]] = values[:, chosen]


def _width(row_numbers: Int64s, documents: Ragged) -> int:
    """Tokens that nearly all rows fit into."""
    firsts = np.unique(row_numbers, return_index=True)[1]
    totals = np.diff(documents.offsets[:-1][firsts], append=documents.offsets[-1])
    common = int(np.quantile(totals, _FITTING_SHARE, method="higher")) if len(totals) else 1
    return -(-common // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE


def _starts(rows: Ragged, firsts: Int64s) -> Int64s:
    """Where each document begins in its row, after the others."""
    starts: Int64s = rows.offsets[:-1] - rows.offsets[firsts]
    return starts

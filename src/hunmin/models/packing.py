"""Which tokens of a packed row attend to which: as one dense mask, or as blocks of queries.

Shapes: B rows, T tokens, W queries of one block, K keys that block can see.

    row    a a a a b b b b b c c c          block of 4 queries   keys it needs
    query  0 1 2 3|4 5 6 7|8 9 . .          0..3                 0..3
                                            4..7                 4..7     (b starts at 4)
                                            8..11                4..11    (8 is still b)

A query needs no key before its document's first token, and a causal one none after itself, so a
block of queries needs one stretch of keys. With short documents that is a small part of the row.
The same holds in encoders, up to the document's last token, in layers that look near by only, and
where a decoder reads what an encoder made of the same segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

QUERIES_PER_BLOCK = 64
KEY_ALIGNMENT = 16
"""Stretches of keys start at a multiple of this, so that products have even sizes."""


@dataclass(frozen=True)
class QueryBlock:
    """Queries [start, stop) and the keys [first_key, stop_key) they can see.

    Args:
        start: First query.
        stop: One past the last query.
        first_key: First key.
        stop_key: One past the last key.
        bias: 0 where a query may attend, -inf elsewhere; shape (B or 1, 1, 1, W, K).
    """

    start: int
    stop: int
    first_key: int
    stop_key: int
    bias: Tensor


@dataclass(frozen=True)
class PackingPlan:
    """All blocks of a batch, made once and used by every layer.

    Args:
        blocks: Of layers that see the whole document, or what of it was before.
        near: The plan for layers with a window, if the model has any.
        cross: The plan for layers in which a decoder reads an encoder, if the model has any.
    """

    blocks: tuple[QueryBlock, ...]
    near: PackingPlan | None = None
    cross: PackingPlan | None = None


def document_starts(segment_ids: Tensor) -> Tensor:
    """Return where each token's document begins in its row, int64, shape (B, T).

    Args:
        segment_ids: Equal for neighbours in one document, shape (B, T).

    Returns:
        Positions in the row.
    """
    places = torch.arange(segment_ids.shape[1], device=segment_ids.device).expand_as(segment_ids)
    is_first = torch.ones_like(segment_ids, dtype=torch.bool)
    is_first[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return places.where(is_first, 0).cummax(1).values


def dense_mask(segment_ids: Tensor) -> Tensor | None:
    """Return who may attend to whom, or None where plain causal attention does the same.

    Args:
        segment_ids: Equal for neighbours in one document, shape (B, T).

    Returns:
        bool, shape (B, 1, T, T), queries before keys; None if each row is one document.
    """
    starts = document_starts(segment_ids)
    if not bool(starts.any()):
        return None
    places = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    return _may_attend(starts, places, places).unsqueeze(1)


def document_mask(segment_ids: Tensor, window: int | None = None) -> Tensor | None:
    """Return who may attend to whom in an encoder, or None where everybody may.

    Args:
        segment_ids: Equal for neighbours in one document, -1 in padding; shape (B, T).
        window: Farthest distance of a key to either side; None: no limit.

    Returns:
        bool, shape (B, 1, T, T), queries before keys. Padding attends to padding.
    """
    near = None
    if window is not None and window < segment_ids.shape[1] - 1:
        places = torch.arange(segment_ids.shape[1], device=segment_ids.device)
        near = (places[:, None] - places).abs() <= window
    if bool((segment_ids == segment_ids[:, :1]).all()):
        return None if near is None else near.expand(len(segment_ids), 1, -1, -1)
    same = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    return same if near is None else same & near


def cross_mask(query_segments: Tensor, key_segments: Tensor) -> Tensor:
    """Return which tokens of an encoder each token of a decoder may attend to.

    Args:
        query_segments: Of the decoder, -1 in padding, shape (B, T).
        key_segments: Of the encoder, -1 in padding, shape (B, S).

    Returns:
        bool, shape (B, 1, T, S). Padding attends to everything: nobody reads what comes out, and a
        softmax over no keys would be NaN in some kernels.
    """
    same = query_segments[:, :, None] == key_segments[:, None, :]
    return (same | (query_segments < 0).unsqueeze(2)).unsqueeze(1)


def plan_packing(segment_ids: Tensor, dtype: torch.dtype) -> PackingPlan:
    """Cut a batch for a decoder into blocks of queries.

    Args:
        segment_ids: Equal for neighbours in one document, shape (B, T).
        dtype: Type of the attention scores.

    Returns:
        The plan, on the device of `segment_ids`.
    """
    starts = document_starts(segment_ids)
    places = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    return _plan(starts, (places + 1).expand_as(starts), segment_ids.shape[1], dtype)


def plan_documents(
    segment_ids: Tensor, dtype: torch.dtype, window: int | None = None
) -> PackingPlan:
    """Cut a batch for an encoder into blocks of queries.

    Args:
        segment_ids: Equal for neighbours in one document, shape (B, T).
        dtype: Type of the attention scores.
        window: Farthest distance of a key to either side; None: no limit.

    Returns:
        The plan, on the device of `segment_ids`.
    """
    length = segment_ids.shape[1]
    starts = document_starts(segment_ids)
    stops = length - document_starts(segment_ids.flip(1)).flip(1)
    if window is not None:
        places = torch.arange(length, device=segment_ids.device)
        starts = torch.maximum(starts, places - window)
        stops = torch.minimum(stops, places + window + 1)
    return _plan(starts, stops, length, dtype)


def plan_cross(query_segments: Tensor, key_segments: Tensor, dtype: torch.dtype) -> PackingPlan:
    """Cut what a decoder says into blocks of queries to what its encoder reads.

    Args:
        query_segments: Of the decoder, ascending, then -1 in padding; shape (B, T).
        key_segments: Of the encoder likewise, shape (B, S). Each segment of the decoder is there.
        dtype: Type of the attention scores.

    Returns:
        The plan. Padding attends to the keys of the last segment: nobody reads what comes out.
    """
    last = query_segments.amax(1, keepdim=True)
    wanted = query_segments.where(query_segments >= 0, last).contiguous()
    behind = torch.iinfo(key_segments.dtype).max
    ordered = key_segments.where(key_segments >= 0, behind).contiguous()
    starts = torch.searchsorted(ordered, wanted)
    stops = torch.searchsorted(ordered, wanted, right=True)
    return _plan(starts, stops, key_segments.shape[1], dtype)


def _plan(starts: Tensor, stops: Tensor, num_keys: int, dtype: torch.dtype) -> PackingPlan:
    """Make blocks of queries that each see the keys [start, stop), both of shape (B, T)."""
    if bool((starts == starts[:1]).all() and (stops == stops[:1]).all()):
        starts, stops = starts[:1], stops[:1]
    firsts, lasts = starts.amin(0), stops.amax(0)
    blocks = []
    for begin in range(0, starts.shape[1], QUERIES_PER_BLOCK):
        queries = slice(begin, min(begin + QUERIES_PER_BLOCK, starts.shape[1]))
        first_key = int(firsts[queries].amin()) // KEY_ALIGNMENT * KEY_ALIGNMENT
        stop_key = min(num_keys, -(-int(lasts[queries].amax()) // KEY_ALIGNMENT) * KEY_ALIGNMENT)
        keys = torch.arange(first_key, stop_key, device=starts.device)
        bias = _bias(starts[:, queries], stops[:, queries], keys, dtype)
        blocks.append(QueryBlock(queries.start, queries.stop, first_key, stop_key, bias))
    return PackingPlan(tuple(blocks))


def _bias(starts: Tensor, stops: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
    allowed = (keys >= starts.unsqueeze(2)) & (keys < stops.unsqueeze(2))
    bias = torch.zeros(allowed.shape, dtype=dtype, device=starts.device)
    return bias.masked_fill_(~allowed, float("-inf"))[:, None, None]


def _may_attend(starts: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    in_document = keys >= starts.unsqueeze(2)
    return in_document & (keys <= queries.unsqueeze(1))

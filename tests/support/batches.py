"""Packed batches with documents of known lengths."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hunmin.data.batch import IGNORED_LABEL, TokenBatch


def packed_batch(
    rows: Sequence[Sequence[int]], *, vocab_size: int = 200, seed: int = 0, crossing: bool = False
) -> TokenBatch:
    """Return rows of documents of the given lengths; the last label of each row is not scored."""
    generator = torch.Generator().manual_seed(seed)
    length = sum(rows[0])
    input_ids = torch.randint(2, vocab_size, (len(rows), length), generator=generator)
    labels = torch.roll(input_ids, -1, dims=1)
    labels[:, -1] = IGNORED_LABEL
    places = torch.arange(length).expand(len(rows), length)
    if crossing:
        return TokenBatch(input_ids, labels, places.clone(), torch.zeros_like(places).int())
    position_ids = torch.stack([torch.cat([torch.arange(n) for n in row]) for row in rows])
    segment_ids = torch.stack(
        [torch.cat([torch.full((n,), k) for k, n in enumerate(row)]) for row in rows]
    )
    return TokenBatch(input_ids, labels, position_ids, segment_ids.int())

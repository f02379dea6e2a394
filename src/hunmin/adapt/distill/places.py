"""Which places of a batch the teacher is asked about."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from hunmin.data.batch import IGNORED_LABEL, PADDING_SEGMENT, PairBatch, TokenBatch

Positions = Literal["scored", "all"]


def compared_places(batch: TokenBatch | PairBatch, positions: Positions) -> Tensor:
    """Return where logits are compared.

    Args:
        batch: Any batch.
        positions: "scored" where the batch has a label, "all" where it has a token.

    Returns:
        bool, shape (B, T) of the labels.
    """
    if positions == "scored":
        return batch.labels != IGNORED_LABEL
    if isinstance(batch, PairBatch):
        return batch.decoder_segment_ids != PADDING_SEGMENT
    return batch.segment_ids != PADDING_SEGMENT

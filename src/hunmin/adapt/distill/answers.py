"""Batches that carry the teacher's answers, read from disk.

Shapes: B rows, M places (the most of any row), K kept entries.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from hunmin.adapt.distill.targets import TopTargets
from hunmin.data.batch import Batch, PairBatch, TokenBatch


@dataclass(frozen=True)
class TaughtTokenBatch(TokenBatch):
    """A TokenBatch with the teacher's answers at the compared places of each row, in order.

    Args:
        teacher_ids: Its likeliest entries, int32, shape (B, M, K); rows with fewer places are
            filled with zeros.
        teacher_log_probabilities: float16, shape (B, M, K).
        teacher_log_rest: Log-probability of all other entries, float16, shape (B, M).
    """

    teacher_ids: Tensor
    teacher_log_probabilities: Tensor
    teacher_log_rest: Tensor


@dataclass(frozen=True)
class TaughtPairBatch(PairBatch):
    """A PairBatch with the teacher's answers; see TaughtTokenBatch."""

    teacher_ids: Tensor
    teacher_log_probabilities: Tensor
    teacher_log_rest: Tensor


def with_answers(
    batch: Batch, ids: Tensor, log_probabilities: Tensor, log_rest: Tensor
) -> TaughtTokenBatch | TaughtPairBatch:
    """Return the batch with answers."""
    plain = PairBatch if isinstance(batch, PairBatch) else TokenBatch
    taught = TaughtPairBatch if plain is PairBatch else TaughtTokenBatch
    own: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(plain)}
    return taught(
        **own,
        teacher_ids=ids,
        teacher_log_probabilities=log_probabilities,
        teacher_log_rest=log_rest,
    )


def cached_targets(
    batch: TaughtTokenBatch | TaughtPairBatch, is_compared_BT: Tensor, size: int
) -> TopTargets:
    """Return the answers of a batch for its compared places, row by row.

    Args:
        batch: With answers.
        is_compared_BT: The places the teacher was asked at, bool.
        size: Entries that both vocabularies have.

    Returns:
        One target for each compared place.
    """
    counts = is_compared_BT.sum(1, keepdim=True)
    places = torch.arange(batch.teacher_ids.shape[1], device=counts.device)
    is_filled = places < counts
    return TopTargets(
        batch.teacher_ids[is_filled].long(),
        batch.teacher_log_probabilities[is_filled].float(),
        batch.teacher_log_rest[is_filled].float(),
        size,
        "the cached answers of the teacher",
    )

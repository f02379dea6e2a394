"""What the teacher says at places of a batch: all of its logits, or the likeliest of them.

Shapes: N places, n of them in a chunk, V vocabulary, K kept entries, D the teacher's width.

The n x V numbers of a chunk are touched as few times as can be: for the likeliest entries it is one
softmax, one sum and one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hunmin.adapt.distill.divergences import LOG_FLOOR, divergence
from hunmin.adapt.distill.softmax import Softmax
from hunmin.core.errors import InputError


class Targets(Protocol):
    """The teacher's answers at N places."""

    @property
    def size(self) -> int:
        """Entries that both vocabularies have."""

    def compare(
        self, student: Softmax, part: slice, weights: SlopeWeights, beta: float, temperature: float
    ) -> Tensor:
        """Compare the student with the teacher, and turn its probabilities into slopes, in place.

        Args:
            student: Over the first `size` entries, at the temperature. Its `shares` become the
                slopes of the weighted divergence and of whatever else begins with them.
            part: Which of the N places they belong to.
            weights: Of the divergence and of the shares.
            beta: See `divergence`.
            temperature: By which the teacher's logits are divided.

        Returns:
            Divergences, not weighted, shape (n).
        """

    def check(self) -> None:
        """Raise InputError if an answer is not a number."""


@dataclass(frozen=True, eq=False)
class SlopeWeights:
    """What slopes of a softmax are made of, at each of n places; float32, shape (n, 1).

    Args:
        divergence: Weight of the divergence.
        shares: How much of the student's share itself is in the slope, as that of a cross-entropy
            is the share, less 1 at the label.
    """

    divergence: Tensor
    shares: Tensor


@dataclass(frozen=True, eq=False)
class FullTargets:
    """All logits of a teacher, made chunk by chunk.

    Args:
        features_ND: What its output matrix is multiplied by, shape (N, D).
        weight_VD: Its output matrix.
        bias_V: Its output bias, or None.
        size: Entries that both vocabularies have; rows beyond only pad them.
        name: How messages call the teacher.
    """

    features_ND: Tensor
    weight_VD: Tensor
    bias_V: Tensor | None
    size: int
    name: str = "teacher"

    def logits(self, part: slice) -> Tensor:
        """Return the logits of some places, float32, shape (n, size)."""
        weight = self.weight_VD[: self.size]
        logits = (self.features_ND[part].to(weight.dtype) @ weight.t()).float()
        return logits if self.bias_V is None else logits + self.bias_V[: self.size].float()

    def compare(
        self, student: Softmax, part: slice, weights: SlopeWeights, beta: float, temperature: float
    ) -> Tensor:
        """See `Targets.compare`."""
        log_p = torch.log_softmax(self.logits(part).div_(temperature), -1)
        losses, flow = divergence(log_p, student.log_probabilities(), beta)
        pull = weights.divergence * flow.sum(1, keepdim=True) / student.mass
        student.shares.mul_(weights.shares - pull).addcmul_(flow, weights.divergence)
        return losses

    def check(self) -> None:
        """See `Targets.check`."""
        step = 1024
        for start in range(0, len(self.features_ND), step):
            if not bool(self.logits(slice(start, start + step)).isfinite().all()):
                raise not_numbers(self.name)


@dataclass(frozen=True, eq=False)
class TopTargets:
    """The teacher's likeliest entries, and one outcome for all others together.

    The student is compared on the same K + 1 outcomes. That never says more than comparing all
    entries would (merging outcomes cannot raise a divergence), is 0 where the student equals the
    teacher, and needs no guess at how the rest is spread. Scaling the K up to 1 instead would ask
    the student for more certainty than the teacher has, and would leave what it gives to the rest
    without any pull.

    Args:
        ids_NK: Entries of the vocabulary, int64.
        log_probabilities_NK: Their log-probabilities at the temperature they are used at.
        log_rest_N: Log-probability of all others together; -inf if there are none.
        size: Entries that both vocabularies have.
        name: How messages call the teacher.
    """

    ids_NK: Tensor
    log_probabilities_NK: Tensor
    log_rest_N: Tensor
    size: int
    name: str = "teacher"

    def compare(
        self, student: Softmax, part: slice, weights: SlopeWeights, beta: float, temperature: float
    ) -> Tensor:
        """See `Targets.compare`; what was kept was taken at the temperature."""
        ids = self.ids_NK[part]
        kept = torch.cat((self.log_probabilities_NK[part], self.log_rest_N[part, None]), 1).float()
        log_p = torch.log_softmax(kept, -1)  # rounding on disk leaves sums a little off 1
        log_top, log_rest = student.log_probabilities(ids), student.log_rest(ids)
        losses, flow = divergence(log_p, torch.cat((log_top, log_rest), 1), beta)
        total, top = flow.sum(1, keepdim=True), log_top.exp()
        pull = flow[:, -1:] * torch.exp(-log_rest.clamp(min=LOG_FLOOR)) - total
        student.shares.mul_(weights.shares + weights.divergence * pull / student.mass)
        slopes = weights.divergence * (flow[:, :-1] - top * total)
        student.shares.scatter_(1, ids, slopes + weights.shares * top * student.mass)
        return losses

    def check(self) -> None:
        """See `Targets.check`."""
        if bool(self.log_probabilities_NK.isnan().any() | self.log_rest_N.isnan().any()):
            raise not_numbers(self.name)


def not_numbers(name: str) -> InputError:
    """Return the error about a teacher whose logits are NaN or infinite."""
    return InputError(
        "the teacher's logits are not numbers, so nobody can learn from them",
        where=name,
        given="NaN or infinity",
        hint="check that its weights are whole; if they are, let it run in float32: "
        "teacher_precision: fp32",
    )

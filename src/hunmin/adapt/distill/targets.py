"""What the teacher says at places of a batch: all of its logits, or the likeliest of them.

Shapes: N places, n of them in a chunk, V vocabulary, K kept entries, D the teacher's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hunmin.adapt.distill.divergences import LOG_FLOOR, divergence, slopes_of_scores
from hunmin.core.errors import InputError


class Targets(Protocol):
    """The teacher's answers at N places."""

    def compare(
        self, scores: Tensor, part: slice, temperature: float, beta: float
    ) -> tuple[Tensor, Tensor]:
        """Compare the student with the teacher.

        Args:
            scores: The student's logits, float32, shape (n, V).
            part: Which of the N places they belong to.
            temperature: Both are divided by it before the softmax.
            beta: See `divergence`.

        Returns:
            Divergences, shape (n), and their slopes for `scores`, shape (n, V), both times the
            square of the temperature.
        """

    def check(self) -> None:
        """Raise InputError if an answer is not a number."""


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
        self, scores: Tensor, part: slice, temperature: float, beta: float
    ) -> tuple[Tensor, Tensor]:
        """See `Targets.compare`."""
        log_p = torch.log_softmax(self.logits(part).div_(temperature), -1)
        log_q = torch.log_softmax(_tempered(scores, self.size, temperature), -1)
        losses, flow = divergence(log_p, log_q, beta)
        slopes = slopes_of_scores(flow, log_q.exp_()).mul_(temperature)
        return losses * temperature**2, _padded(slopes, scores.shape[1])

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
        self, scores: Tensor, part: slice, temperature: float, beta: float
    ) -> tuple[Tensor, Tensor]:
        """See `Targets.compare`."""
        ids = self.ids_NK[part]
        kept = torch.cat((self.log_probabilities_NK[part], self.log_rest_N[part, None]), 1).float()
        log_p = torch.log_softmax(kept, -1)  # rounding on disk leaves sums a little off 1
        log_all = torch.log_softmax(_tempered(scores, self.size, temperature), -1)
        log_top = log_all.gather(1, ids)
        rest = log_all.exp_().scatter_(1, ids, 0.0)
        log_q = torch.cat((log_top, rest.sum(1, keepdim=True).log()), 1)
        losses, flow = divergence(log_p, log_q, beta)
        total = flow.sum(1, keepdim=True)
        share = flow[:, -1:] * torch.exp(-log_q[:, -1:].clamp(min=LOG_FLOOR)) - total
        rest.mul_(share * temperature)
        rest.scatter_(1, ids, (flow[:, :-1] - log_top.exp() * total) * temperature)
        return losses * temperature**2, _padded(rest, scores.shape[1])

    def check(self) -> None:
        """See `Targets.check`."""
        if bool(self.log_probabilities_NK.isnan().any() | self.log_rest_N.isnan().any()):
            raise not_numbers(self.name)


def _tempered(scores: Tensor, size: int, temperature: float) -> Tensor:
    shared = scores[:, :size]
    return shared if temperature == 1.0 else shared / temperature


def _padded(slopes: Tensor, width: int) -> Tensor:
    """Rows that only pad the student's vocabulary have no slope."""
    missing = width - slopes.shape[1]
    return F.pad(slopes, (0, missing)) if missing else slopes


def not_numbers(name: str) -> InputError:
    """Return the error about a teacher whose logits are NaN or infinite."""
    return InputError(
        "the teacher's logits are not numbers, so nobody can learn from them",
        where=name,
        given="NaN or infinity",
        hint="check that its weights are whole; if they are, let it run in float32: "
        "teacher_precision: fp32",
    )

"""A student's softmax over some places, taken once for all losses on its logits.

Shapes: n places, V entries of the vocabulary, K some of them at each place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, eq=False)
class Softmax:
    """Probabilities of the first entries of a vocabulary, which add up to 1.

    Args:
        scores: Logits of these entries, float32, shape (n, V).
        shares: Their probabilities times `mass`; a view that may be overwritten, shape (n, V).
        peak: The highest logit of the vocabulary, shape (n, 1).
        log_sum: Logarithm of the sum of exponentials of these logits less the peak, shape (n, 1).
        mass: What all entries of the vocabulary give to these, shape (n, 1).
    """

    scores: Tensor
    shares: Tensor
    peak: Tensor
    log_sum: Tensor
    mass: Tensor

    @classmethod
    def of(cls, scores: Tensor, out: Tensor) -> Softmax:
        """Take the softmax over all entries.

        Args:
            scores: Logits, float32, shape (n, V).
            out: Memory of the same shape for the probabilities.

        Returns:
            The softmax; it holds both tensors.
        """
        torch.softmax(scores, -1, out=out)
        peak, log_sum = scores.amax(1, keepdim=True), -out.amax(1, keepdim=True).log()
        return cls(scores, out, peak, log_sum, torch.ones_like(peak))

    def first(self, size: int) -> Softmax:
        """Return the softmax over the first `size` of all entries; the memory is shared."""
        if size == self.scores.shape[1]:
            return self
        shares = self.shares[:, :size]
        mass = shares.sum(1, keepdim=True).clamp_(min=_TINY)
        return Softmax(self.scores[:, :size], shares, self.peak, self.log_sum + mass.log(), mass)

    def log_probabilities(self, ids: Tensor | None = None) -> Tensor:
        """Return log-probabilities of some entries, shape (n, K), or of all, shape (n, V)."""
        scores = self.scores if ids is None else self.scores.gather(1, ids)
        return (scores - self.peak).sub_(self.log_sum)

    def log_rest(self, ids: Tensor) -> Tensor:
        """Return the log-probability of all entries but some, and set the shares of these to 0.

        Args:
            ids: Different entries at each place, int64, shape (n, K).

        Returns:
            Shape (n, 1); -inf if no others are left.
        """
        return (self.shares.scatter_(1, ids, 0.0).sum(1, keepdim=True) / self.mass).log()

"""A linear chain over tags: the loss in torch; `decode.viterbi` finds the best tags in numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hunmin.adapt.nlu.decode import Transitions

_TINY = torch.finfo(torch.float32).tiny


class LinearChain(nn.Module):
    """Scores of a tag after another, of the first and of the last.

    Args:
        num_tags: Number of tags S.

    Source:
        Lafferty, McCallum & Pereira 2001. Transitions start at zero, where the chain equals
        choosing each tag alone.
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))

    def forward(self, logits_BPS: Tensor, tags_BP: Tensor, mask_BP: Tensor) -> Tensor:
        """Return the negative log-likelihood of tags.

        Args:
            logits_BPS: Scores of each tag at each place.
            tags_BP: The right tags; any valid number where the mask is False.
            mask_BP: True at places, which stand before the padding of their row.

        Returns:
            Nats of each row, float32, shape (B); 0 for rows without places.
        """
        with torch.autocast(logits_BPS.device.type, enabled=False):
            logits = logits_BPS.float()
            total = self._log_partition(logits, mask_BP)
            loss: Tensor = total - self._score(logits, tags_BP, mask_BP)
        return loss

    def _score(self, logits: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        places = mask.float()
        at = logits.gather(2, tags.unsqueeze(2)).squeeze(2)
        steps = self.transitions[tags[:, :-1], tags[:, 1:]]
        last = (mask.sum(1) - 1).clamp(min=0)
        ends = self.start[tags[:, 0]] + self.end[tags.gather(1, last[:, None]).squeeze(1)]
        total = (at * places).sum(1) + (steps * places[:, 1:]).sum(1)
        return total + ends * mask[:, 0]

    def _log_partition(self, logits: Tensor, mask: Tensor) -> Tensor:
        reached = self.start + logits[:, 0]
        # A product of matrices instead of a sum over all pairs: as exact while transitions are
        # nowhere near the largest float32's logarithm, 88.
        factors = self.transitions.exp()
        for place in range(1, logits.shape[1]):
            top = reached.amax(1, keepdim=True).detach()
            sums = (reached - top).exp() @ factors
            onward = sums.clamp(min=_TINY).log() + top
            here = mask[:, place, None]
            reached = torch.where(here, onward + logits[:, place], reached)
        return torch.logsumexp(reached + self.end, dim=1) * mask[:, 0]

    def as_transitions(self) -> Transitions:
        """Return the numbers for `decode.viterbi`."""
        tensors = (self.transitions, self.start, self.end)
        return Transitions(
            *(tensor.detach().cpu().numpy().astype(np.float32) for tensor in tensors)
        )

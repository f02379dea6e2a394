"""MiniLMv2: the student's attention relates tokens to one another as the teacher's does.

Shapes: B rows, T tokens, C width of the queries, keys or values (may differ between the two), R
relation heads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hunmin.core.errors import InputError
from hunmin.data.batch import PADDING_SEGMENT

MAX_RELATIONS = 1 << 24
"""Relations (rows x heads x T x T) held at one time; more rows are recomputed in backward."""
_UNRELATED = -1e4


def relation_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    segment_ids: Tensor,
    weights_BT: Tensor,
    *,
    heads: int,
    causal: bool = False,
) -> Tensor:
    """Return how far the relations of a student's layer are from those of a teacher's.

    A relation of queries is softmax(Q Q' / sqrt(C / R)) in each of R heads, into which the
    vectors are cut anew: widths and numbers of attention heads may differ. The same for keys and
    values. The loss is the sum of the three KL divergences, each the mean over heads.

    Args:
        student: Queries, keys and values, each of shape (B, T, C).
        teacher: The same of the teacher; each pair is cut into `heads` parts.
        segment_ids: Tokens are related within their segment only; int, shape (B, T), -1 is
            padding.
        weights_BT: Weight of each token's relations, float32; 0 in padding.
        heads: R, a divisor of every width.
        causal: Whether a token sees those after it.

    Returns:
        Nats, float32, a scalar with a gradient for the student.

    Raises:
        InputError: A width cannot be cut into so many heads.

    Source:
        Wang et al. 2021, MiniLMv2 (arXiv:2012.15828), eq. 3 to 5. Deviations: packed rows relate
        tokens of one document only; decoders those before a token only.
    """
    for tensor in (*student, *teacher):
        _check_heads(tensor.shape[-1], heads)
    allowed = _related(segment_ids, causal)
    length = segment_ids.shape[1]
    rows = max(1, MAX_RELATIONS // (heads * length * length))
    total = torch.zeros((), device=segment_ids.device)
    for start in range(0, len(segment_ids), rows):
        part = slice(start, start + rows)
        for mine, theirs in zip(student, teacher, strict=True):
            arguments = (mine[part], theirs[part], allowed[part], weights_BT[part], heads)
            if rows < len(segment_ids):
                total = total + checkpoint(_divergence, *arguments, use_reentrant=False)
            else:
                total = total + _divergence(*arguments)
    return total


def _divergence(
    student: Tensor, teacher: Tensor, allowed: Tensor, weights_BT: Tensor, heads: int
) -> Tensor:
    with torch.autocast(student.device.type, enabled=False):
        log_q = _log_relations(student, allowed, heads)
        with torch.no_grad():
            log_p = _log_relations(teacher, allowed, heads)
        losses = (log_p.exp() * (log_p - log_q)).sum(-1).mean(1)
    return (losses * weights_BT).sum()


def _log_relations(vectors: Tensor, allowed: Tensor, heads: int) -> Tensor:
    """Return log-probabilities, float32, shape (B, R, T, T)."""
    cut = vectors.float().unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = cut @ cut.transpose(2, 3) / math.sqrt(cut.shape[-1])
    return torch.log_softmax(scores.masked_fill(~allowed, _UNRELATED), -1)


def _related(segment_ids: Tensor, causal: bool) -> Tensor:
    """Which tokens are related, bool, shape (B, 1, T, T); every token is related to itself."""
    length = segment_ids.shape[1]
    allowed = segment_ids[:, :, None] == segment_ids[:, None, :]
    allowed = allowed & (segment_ids != PADDING_SEGMENT)[:, None, :]
    if causal:
        allowed = allowed.tril()
    return (allowed | torch.eye(length, dtype=torch.bool, device=allowed.device)).unsqueeze(1)


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        allowed = [n for n in range(1, width + 1) if width % n == 0]
        near = sorted(sorted(allowed, key=lambda n: abs(n - heads))[:4])
        raise InputError(
            "queries, keys or values cannot be cut into so many relation heads",
            where="student.relation_heads",
            given=f"{heads} heads for a width of {width}",
            allowed=f"a divisor of every width, here {', '.join(map(str, near))}",
        )

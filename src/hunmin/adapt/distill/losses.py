"""What a student loses by differing from its teacher, and from the text.

Shapes: N places, n of them in a chunk, D the student's width, V its vocabulary, B rows, T tokens.

The output projection, the softmax and its gradients are computed for one chunk of places at a time,
in one visit, as `models.loss` does: two logits of a place exist together for a chunk only. Soft and
hard loss share the softmax unless they want it at different temperatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hunmin.adapt.distill.divergences import FORWARD, divergence
from hunmin.adapt.distill.softmax import Softmax
from hunmin.adapt.distill.targets import SlopeWeights, Targets
from hunmin.data.batch import IGNORED_LABEL
from hunmin.models.precision import compute_dtype

DEFAULT_CHUNK_PLACES = 512
_NUMBERS_AT_ONCE, _FEWEST_ROWS = 1 << 20, 32
HiddenDistance = Literal["cosine", "mse"]


@dataclass(frozen=True)
class LogitMix:
    """How the losses on logits are weighed.

    Args:
        soft: Weight of the divergence from the teacher.
        hard: Weight of the cross-entropy with the token itself.
        temperature: Of the divergence, which is multiplied by its square, so that its gradient
            keeps its size.
        beta: Which divergence, see `divergences.divergence`.
    """

    soft: float = 1.0
    hard: float = 0.0
    temperature: float = 1.0
    beta: float = FORWARD


@dataclass(frozen=True, eq=False)
class Places:
    """Where the student is compared.

    Args:
        labels_N: The tokens, int64; -100 where only the teacher says something.
        weights_N: How much the teacher's answer counts at each place, float32.
    """

    labels_N: Tensor
    weights_N: Tensor


def logit_loss(
    features_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    places: Places,
    targets: Targets,
    mix: LogitMix,
    *,
    chunk_places: int = DEFAULT_CHUNK_PLACES,
) -> Tensor:
    """Return soft and hard loss, summed over places.

    Args:
        features_ND: What the student's output matrix is multiplied by.
        weight_VD: The student's output matrix.
        bias_V: Its output bias, or None.
        places: Tokens and weights.
        targets: What the teacher says there.
        mix: Weights, temperature, divergence.
        chunk_places: Places whose logits exist at one time.

    Returns:
        Nats, float32, a scalar; with gradients for features, matrix and bias.

    Raises:
        InputError: The teacher's logits are not numbers.

    Source:
        Hinton et al. 2015 (arXiv:1503.02531) for temperature and its square.
    """
    dtype = compute_dtype(features_ND)
    loss: Tensor = _LogitLoss.apply(  # type: ignore[no-untyped-call]
        features_ND, weight_VD, bias_V, places, targets, mix, chunk_places, dtype
    )
    if not bool(loss.detach().isfinite()):
        targets.check()
    return loss


class _LogitLoss(torch.autograd.Function):
    """All gradients are ready when forward returns."""

    @staticmethod
    def forward(
        ctx: Any,
        features_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        places: Places,
        targets: Targets,
        mix: LogitMix,
        chunk_places: int,
        dtype: torch.dtype,
    ) -> Tensor:
        total = torch.zeros((), device=features_ND.device)
        grad_ND = torch.empty_like(features_ND)
        grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
        grad_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=torch.float32)
        with torch.autocast(features_ND.device.type, enabled=False):
            weight = weight_VD.to(dtype)
            memory = _Memory(min(chunk_places, len(features_ND)), weight)
            for start in range(0, len(features_ND), chunk_places):
                part = slice(start, start + chunk_places)
                features = features_ND[part].to(dtype)
                products = torch.mm(features, weight.t(), out=memory.products[: len(features)])
                for numbers, rows in memory.slices(products, start):
                    scores, slopes = memory.logits(numbers, bias_V)
                    total += _compare(scores, slopes, places, rows, targets, mix)
                    if grad_V is not None:
                        grad_V += slopes.sum(0)
                    numbers.copy_(slopes)
                grad_ND[part] = products @ weight
                _add_product(grad_VD, products.t(), features)
        ctx.save_for_backward(grad_ND, grad_VD, grad_V)
        ctx.dtypes = weight_VD.dtype, None if bias_V is None else bias_V.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad_ND, grad_VD, grad_V = ctx.saved_tensors
        weight_dtype, bias_dtype = ctx.dtypes
        factor = upstream[0]
        bias = None if grad_V is None else (grad_V * factor).to(bias_dtype)
        grad_features = (grad_ND * factor).to(grad_ND.dtype)
        grad_weight = (grad_VD * factor).to(weight_dtype)
        return grad_features, grad_weight, bias, None, None, None, None, None


class _Memory:
    """Memory for the logits of a chunk, and for what becomes of some rows of them at a time.

    On a CPU these rows stay in its caches while the losses pass over them, and to get memory from
    the system anew for each step would take as long as the arithmetic does.
    """

    def __init__(self, places: int, weight_VD: Tensor) -> None:
        size = len(weight_VD)
        rows = places if weight_VD.is_cuda else max(_FEWEST_ROWS, _NUMBERS_AT_ONCE // size)
        self.products = weight_VD.new_empty(places, size)
        self._scores = self.products.new_empty(min(rows, places), size, dtype=torch.float32)
        self._slopes = torch.empty_like(self._scores)

    def slices(self, products: Tensor, start: int) -> Iterator[tuple[Tensor, slice]]:
        """Return some rows at a time, and which places they belong to."""
        for rows in products.split(max(1, len(self._scores))):
            yield rows, slice(start, start + len(rows))
            start += len(rows)

    def logits(self, products: Tensor, bias_V: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return logits of some rows, float32, and memory of their shape."""
        scores = self._scores[: len(products)].copy_(products)
        return scores if bias_V is None else scores.add_(bias_V), self._slopes[: len(products)]


def _compare(
    scores: Tensor, slopes: Tensor, places: Places, part: slice, targets: Targets, mix: LogitMix
) -> Tensor:
    """Return the loss of some places, a scalar, and write its slopes for the scores (n, V)."""
    labels = places.labels_N[part].unsqueeze(1)
    hard = (labels != IGNORED_LABEL) * mix.hard
    labels = labels.clamp(min=0)
    student = Softmax.of(scores, slopes)
    total = -(student.log_probabilities(labels) * hard).sum()
    if mix.soft and mix.temperature == 1:
        total += _soft(student.first(targets.size), hard, places, part, targets, mix)
        slopes[:, targets.size :].mul_(hard)
    else:
        slopes.mul_(hard)
        if mix.soft:
            shared = scores[:, : targets.size] / mix.temperature
            other = Softmax.of(shared, torch.empty_like(shared))
            total += _soft(other, torch.zeros_like(hard), places, part, targets, mix)
            slopes[:, : targets.size].add_(other.shares)
    slopes.scatter_add_(1, labels, -hard)
    return total


def _soft(
    student: Softmax, hard: Tensor, places: Places, part: slice, targets: Targets, mix: LogitMix
) -> Tensor:
    """Return the weighted divergence; the student's shares become slopes of both losses."""
    soft = places.weights_N[part].unsqueeze(1) * mix.soft
    weights = SlopeWeights(soft * mix.temperature, hard)
    losses = targets.compare(student, part, weights, mix.beta, mix.temperature)
    return (losses * soft.squeeze(1)).sum() * mix.temperature**2


def _add_product(total_VD: Tensor, left_VN: Tensor, right_ND: Tensor) -> None:
    if right_ND.dtype == torch.float32:
        total_VD.addmm_(left_VN, right_ND)
    else:
        total_VD.add_(left_VN @ right_ND)


def hidden_loss(
    student_NC: Tensor, teacher_NC: Tensor, weights_N: Tensor, distance: HiddenDistance
) -> Tensor:
    """Return the distance of hidden states, a weighted sum over places.

    Args:
        student_NC: The student's states, or their projections to the teacher's width.
        teacher_NC: The teacher's states.
        weights_N: Weight of each place, float32.
        distance: "cosine" is 1 - cosine; "mse" the mean squared difference over the width.

    Returns:
        float32, a scalar.
    """
    student, teacher = student_NC.float(), teacher_NC.float()
    if distance == "cosine":
        losses = 1 - F.cosine_similarity(student, teacher, dim=-1)
    else:
        losses = (student - teacher).square().mean(-1)
    return (losses * weights_N).sum()


def task_distillation(
    intent_logits: Tensor,
    slot_logits: Tensor,
    teacher_intent: Tensor,
    teacher_slot: Tensor,
    mask: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return how far a student's intents and slots are from its teacher's.

    Args:
        intent_logits: The student's, shape (B, I).
        slot_logits: The student's, shape (B, T, S).
        teacher_intent: The teacher's, shape (B, I).
        teacher_slot: The teacher's, shape (B, T, S).
        mask: Whether a token has a slot label (the first piece of a word), bool, shape (B, T).
        temperature: Both are divided by it before the softmax.

    Returns:
        Two scalars, float32, with gradients for the student: the mean over utterances for intents,
        and the mean over labelled tokens for slots (0 if there are none), both times the square of
        the temperature. How the two are weighed is up to who calls.
    """
    intent = _soft_mean(intent_logits, teacher_intent, temperature)
    is_labelled = mask.bool()
    slot = _soft_mean(slot_logits[is_labelled], teacher_slot[is_labelled], temperature)
    return intent, slot


def _soft_mean(student_NK: Tensor, teacher_NK: Tensor, temperature: float) -> Tensor:
    log_q = torch.log_softmax(student_NK.float() / temperature, -1)
    log_p = torch.log_softmax(teacher_NK.detach().float() / temperature, -1)
    losses, _ = divergence(log_p, log_q)
    return losses.sum() * temperature**2 / max(1, len(losses))


def row_weights(scored_B: Tensor, is_compared_BT: Tensor) -> Tensor:
    """Return weights that make the compared places of a row count as its scored ones do.

    A row's compared places together weigh what its scored tokens do, so that the mean over scored
    tokens of a global batch is the same however its rows are shared out.

    Args:
        scored_B: Number of scored tokens of each row.
        is_compared_BT: Places where the teacher is asked, bool.

    Returns:
        float32, shape (B, T); 0 where nothing is compared.
    """
    compared = is_compared_BT.sum(1).clamp(min=1).float()
    return is_compared_BT * (scored_B / compared).unsqueeze(1)

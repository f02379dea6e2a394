"""What a student loses by differing from its teacher, and from the text.

Shapes: N places, n of them in a chunk, D the student's width, V its vocabulary, B rows, T tokens.

The output projection, both softmaxes and their gradients are computed for one chunk of places at a
time, in one visit, as `models.loss` does: two logits of a place exist together for a chunk only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hunmin.adapt.distill.divergences import FORWARD, divergence
from hunmin.adapt.distill.targets import Targets
from hunmin.data.batch import IGNORED_LABEL
from hunmin.models.precision import compute_dtype

DEFAULT_CHUNK_PLACES = 512
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
            for start in range(0, len(features_ND), chunk_places):
                part = slice(start, start + chunk_places)
                features = features_ND[part].to(dtype)
                scores = (features @ weight.t()).float()
                if bias_V is not None:
                    scores += bias_V.float()
                loss, slopes = _compare(scores, places, part, targets, mix)
                total += loss
                if grad_V is not None:
                    grad_V += slopes.sum(0)
                slopes = slopes.to(dtype)
                grad_ND[part] = slopes @ weight
                _add_product(grad_VD, slopes.t(), features)
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


def _compare(
    scores: Tensor, places: Places, part: slice, targets: Targets, mix: LogitMix
) -> tuple[Tensor, Tensor]:
    """Return the loss of a chunk, a scalar, and its slopes for the scores, shape (n, V)."""
    slopes, total = None, scores.new_zeros(())
    if mix.soft:
        weights = places.weights_N[part] * mix.soft
        losses, slopes = targets.compare(scores, part, mix.temperature, mix.beta)
        slopes *= weights.unsqueeze(1)
        total = total + (losses * weights).sum()
    if mix.hard:
        losses, hard_slopes = _hard(scores, places.labels_N[part], mix.hard)
        slopes = hard_slopes if slopes is None else slopes.add_(hard_slopes)
        total = total + losses.sum()
    return total, torch.zeros_like(scores) if slopes is None else slopes


def _hard(scores: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    weights = (labels != IGNORED_LABEL) * weight
    index = labels.clamp(min=0).unsqueeze(1)
    log_q = torch.log_softmax(scores, -1)
    losses = -log_q.gather(1, index).squeeze(1) * weights
    slopes = log_q.exp_()
    slopes.scatter_add_(1, index, -torch.ones_like(slopes[:, :1]))
    return losses, slopes.mul_(weights.unsqueeze(1))


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

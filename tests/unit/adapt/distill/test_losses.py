"""Losses against plain implementations, and their gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hunmin.adapt.distill.divergences import check_beta, divergence
from hunmin.adapt.distill.losses import (
    LogitMix,
    Places,
    hidden_loss,
    logit_loss,
    row_weights,
    task_distillation,
)
from hunmin.adapt.distill.targets import FullTargets, TopTargets
from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL

PLACES, WIDTH, TEACHER_WIDTH, SIZE, ROWS = 11, 6, 9, 20, 24


@pytest.fixture
def student() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    shapes = ((PLACES, WIDTH), (ROWS, WIDTH), (ROWS,))
    return tuple(torch.randn(shape, requires_grad=True) for shape in shapes)


@pytest.fixture
def teacher() -> FullTargets:
    torch.manual_seed(2)
    shapes = ((PLACES, TEACHER_WIDTH), (SIZE, TEACHER_WIDTH), (SIZE,))
    return FullTargets(*(torch.randn(shape) for shape in shapes), size=SIZE)


@pytest.fixture
def places() -> Places:
    torch.manual_seed(3)
    labels = torch.randint(SIZE, (PLACES,))
    labels[::3] = IGNORED_LABEL
    return Places(labels, torch.rand(PLACES))


def top_targets(teacher: FullTargets, k: int, temperature: float, size: int = SIZE) -> TopTargets:
    log_p = torch.log_softmax(teacher.logits(slice(None)) / temperature, -1)
    values, ids = log_p.topk(k)
    rest = log_p.exp().scatter(1, ids, 0).sum(1).log()
    return TopTargets(ids, values, rest, size=size)


def plain_divergence(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
        return F.kl_div(log_b, log_a, log_target=True, reduction="none").sum(-1)

    if beta in (0, 1):
        return kl(log_p, log_q) if beta == 0 else kl(log_q, log_p)
    log_m = (beta * log_p.exp() + (1 - beta) * log_q.exp()).log()
    return beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)


def merged(log_p: Tensor, ids: Tensor) -> Tensor:
    rest = 1 - log_p.gather(1, ids).exp().sum(1, keepdim=True)
    return torch.cat((log_p.gather(1, ids), rest.log()), 1)


def plain_loss(
    student: tuple[Tensor, ...],
    teacher: FullTargets,
    places: Places,
    mix: LogitMix,
    ids: Tensor | None = None,
) -> Tensor:
    features, weight, bias = student
    scores = features @ weight.t() + bias
    log_q = torch.log_softmax(scores[:, :SIZE] / mix.temperature, -1)
    log_p = torch.log_softmax(teacher.logits(slice(None)) / mix.temperature, -1)
    if ids is not None:
        log_p, log_q = merged(log_p, ids), merged(log_q, ids)
    soft = plain_divergence(log_p, log_q, mix.beta) * mix.temperature**2
    hard = F.cross_entropy(scores, places.labels_N, ignore_index=IGNORED_LABEL, reduction="sum")
    return mix.soft * (soft * places.weights_N).sum() + mix.hard * hard


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [None, 5])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_values_and_gradients_are_those_of_a_plain_implementation(
    student, teacher, places, beta: float, k: int | None, temperature: float
) -> None:
    mix = LogitMix(soft=0.7, hard=0.4, temperature=temperature, beta=beta)
    targets = teacher if k is None else top_targets(teacher, k, temperature)
    ids = None if k is None else targets.ids_NK
    expected = plain_loss(student, teacher, places, mix, ids)
    wanted = torch.autograd.grad(expected * 3, student)
    loss = logit_loss(*student, places, targets, mix, chunk_places=4)
    found = torch.autograd.grad(loss * 3, student)
    torch.testing.assert_close(loss, expected)
    for gradient, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [None, 5])
@pytest.mark.parametrize("padding", [0, 7])
def test_losses_that_share_a_softmax_are_those_that_do_not(k: int | None, padding: int) -> None:
    """Of so many entries the rows of a chunk are looked at in several turns."""
    torch.manual_seed(4)
    entries, count = 40_000, 70
    student = [torch.randn(count, 4), torch.randn(entries + padding, 4), None]
    student[:2] = [tensor.requires_grad_() for tensor in student[:2]]
    targets = FullTargets(torch.randn(count, 4), torch.randn(entries, 4), None, entries)
    targets = targets if k is None else top_targets(targets, k, 1.0, entries)
    where = Places(torch.randint(entries, (count,)), torch.rand(count))
    found = []
    for mixes in ([LogitMix(0.7, 0.4)], [LogitMix(0.7, 0.0), LogitMix(0.0, 0.4)]):
        loss = sum(logit_loss(*student, where, targets, mix, chunk_places=64) for mix in mixes)
        found.append((loss, *torch.autograd.grad(loss, student[:2])))
    for shared, apart in zip(*found, strict=True):
        torch.testing.assert_close(shared, apart, rtol=1e-4, atol=1e-5)
    assert found[0][0].item() > 10


def test_rows_without_a_compared_place_have_no_loss(student, teacher) -> None:
    features, weight, bias = student
    nothing = Places(torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    loss = logit_loss(features[:0], weight, bias, nothing, teacher, LogitMix(0.7, 0.3))
    loss.backward()
    assert loss.item() == 0
    assert not weight.grad.any()


def test_slopes_are_finite_differences() -> None:
    torch.manual_seed(0)
    scores = torch.randn(1, 6, dtype=torch.float64)
    log_p = torch.log_softmax(torch.randn(1, 6, dtype=torch.float64), -1)

    def value(changed: Tensor) -> float:
        return float(divergence(log_p, torch.log_softmax(changed, -1), 0.4)[0])

    log_q = torch.log_softmax(scores, -1)
    flow = divergence(log_p, log_q, 0.4)[1]
    slopes = flow - log_q.exp() * flow.sum(1, keepdim=True)
    for index in range(6):
        step = torch.zeros_like(scores)
        step[0, index] = 1e-6
        difference = (value(scores + step) - value(scores - step)) / 2e-6
        assert difference == pytest.approx(float(slopes[0, index]), abs=1e-8)


def test_the_rest_as_one_outcome_never_says_more_than_all_of_them(student, teacher, places) -> None:
    mix = LogitMix()
    with torch.no_grad():
        losses = [
            float(logit_loss(*student, places, top_targets(teacher, k, 1.0), mix))
            for k in (1, 4, 8, SIZE)
        ]
        full = float(logit_loss(*student, places, teacher, mix))
    assert losses == sorted(losses)
    assert losses[0] < losses[2] < full
    assert losses[-1] == pytest.approx(full, rel=1e-5)


def test_a_student_equal_to_its_teacher_loses_nothing(teacher, places) -> None:
    mine = tuple(
        t.clone().requires_grad_() for t in (teacher.features_ND, teacher.weight_VD, teacher.bias_V)
    )
    for targets in (teacher, top_targets(teacher, 3, 2.0)):
        loss = logit_loss(*mine, places, targets, LogitMix(temperature=2.0))
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-5)
        assert float(mine[0].grad.abs().max()) < 1e-5


def test_a_student_that_rules_the_rest_out_is_pulled_back_with_finite_slopes(teacher) -> None:
    features = torch.ones(1, 1, requires_grad=True)
    weight = torch.full((SIZE, 1), -500.0)
    targets = top_targets(teacher, 2, 1.0)
    weight[targets.ids_NK[0]] = 0.0
    weight.requires_grad_()
    one = Places(torch.tensor([0]), torch.ones(1))
    part = TopTargets(
        targets.ids_NK[:1], targets.log_probabilities_NK[:1], targets.log_rest_N[:1], SIZE
    )
    loss = logit_loss(features, weight, None, one, part, LogitMix())
    loss.backward()
    assert 0 < loss.item() < 70
    assert weight.grad.isfinite().all()


def test_rows_that_pad_the_vocabulary_get_no_soft_slope(student, teacher, places) -> None:
    loss = logit_loss(*student, places, teacher, LogitMix(soft=1.0, hard=0.0))
    _, weight, bias = student
    loss.backward()
    assert not weight.grad[SIZE:].any()
    assert not bias.grad[SIZE:].any()
    assert weight.grad[:SIZE].any()


@pytest.mark.parametrize("kind", ["full", "top"])
def test_a_teacher_that_says_nan_is_named(student, teacher, places, kind: str) -> None:
    targets = teacher if kind == "full" else top_targets(teacher, 3, 1.0)
    broken = targets.features_ND if kind == "full" else targets.log_probabilities_NK
    broken[4, 0] = float("nan")
    with pytest.raises(InputError, match="teacher's logits are not numbers"):
        logit_loss(*student, places, targets, LogitMix())


def test_bf16_is_near_float32(student, teacher, places) -> None:
    mix = LogitMix(soft=0.5, hard=0.5, temperature=2.0)
    exact = logit_loss(*student, places, teacher, mix)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = logit_loss(*student, places, teacher, mix)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=0.02)


def test_hidden_losses() -> None:
    student = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    teacher = torch.tensor([[0.0, 2.0], [3.0, 3.0]])
    weights = torch.tensor([0.5, 10.0])
    assert float(hidden_loss(student, teacher, weights, "cosine")) == pytest.approx(0.5, abs=1e-5)
    assert float(hidden_loss(student, teacher, weights, "mse")) == pytest.approx(0.5 * 2.5 + 40)


def test_rows_weigh_as_their_scored_tokens_do() -> None:
    compared = torch.tensor([[True, True, True, True], [True, True, False, False]])
    weights = row_weights(torch.tensor([1, 2]), compared)
    assert weights.sum(1).tolist() == [1, 2]
    assert weights[0].tolist() == [0.25] * 4
    assert weights[1].tolist() == [1, 1, 0, 0]


def test_task_distillation_is_kl_over_utterances_and_labelled_tokens() -> None:
    torch.manual_seed(0)
    intent, slot = torch.randn(3, 4, requires_grad=True), torch.randn(3, 5, 7, requires_grad=True)
    other_intent, other_slot = torch.randn(3, 4), torch.randn(3, 5, 7)
    mask = torch.tensor([[1, 0, 1, 0, 0]] * 3)
    losses = task_distillation(intent, slot, other_intent, other_slot, mask, temperature=2.0)
    chosen = mask.bool()
    for found, mine, theirs in zip(
        losses, (intent, slot[chosen]), (other_intent, other_slot[chosen]), strict=True
    ):
        p, q = (torch.log_softmax(x / 2, -1) for x in (theirs, mine))
        assert found.item() == pytest.approx(4 * plain_divergence(p, q, 0).mean().item(), rel=1e-5)
    (losses[0] + losses[1]).backward()
    assert not slot.grad[~chosen].any()
    assert slot.grad[chosen].any()
    nothing = task_distillation(intent, slot, other_intent, other_slot, torch.zeros(3, 5))
    assert nothing[1].item() == 0


def test_a_beta_outside_is_refused() -> None:
    with pytest.raises(InputError, match="no such beta"):
        check_beta(1.5)

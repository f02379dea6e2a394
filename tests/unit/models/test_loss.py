"""The chunked loss against the plain one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.batches import packed_batch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from hunmin.core.errors import InputError
from hunmin.models.build import build_model, model_config
from hunmin.models.loss import chunked_cross_entropy, language_model_loss, token_nll
from hunmin.models.outputs import output_projection
from hunmin.models.spec import ModelSpec

SPECS = {
    "hunmin": ModelSpec(layers=2, width=128, kv_heads=1),
    "untied": ModelSpec(layers=2, width=128, tie_embeddings=False),
    "gpt2": ModelSpec(preset="kogpt2-125m", layers=2, width=96, heads=4),
}
BATCH = packed_batch([(20, 9, 3), (1, 1, 30)])


@pytest.fixture(params=SPECS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build_model(model_config(SPECS[request.param], vocab_size=200, context=32), seed=1)


def plain_losses(model: PreTrainedModel, batch: Any) -> Tensor:
    """All logits at once, through transformers alone (it finds the documents by position)."""
    logits = model(
        input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False
    ).logits
    losses = F.cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), reduction="none")
    return losses.view(batch.labels.shape)


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close_gradients(ours: dict[str, Tensor], plain: dict[str, Tensor]) -> None:
    assert ours.keys() == plain.keys()
    for name, gradient in plain.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(ours[name], gradient, rtol=1e-5, atol=1e-5 * scale, msg=name)


@pytest.mark.parametrize("chunk_tokens", [7, 64, 1000])
def test_mean_and_gradients_equal_the_plain_loss(model: PreTrainedModel, chunk_tokens: int) -> None:
    plain = plain_losses(model, BATCH).sum() / (BATCH.labels != -100).sum()
    loss = language_model_loss(model, BATCH, chunk_tokens=chunk_tokens)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(plain.item(), rel=1e-6)
    assert_close_gradients(gradients(model, loss), gradients(model, plain))


def test_sum_is_scaled_by_what_comes_from_above(model: PreTrainedModel) -> None:
    plain = plain_losses(model, BATCH).sum() / 50
    loss = language_model_loss(model, BATCH, chunk_tokens=16, reduction="sum") / 50
    assert_close_gradients(gradients(model, loss), gradients(model, plain))


def test_losses_of_tokens_can_be_weighted(model: PreTrainedModel) -> None:
    weights = torch.rand(BATCH.labels.shape, generator=torch.Generator().manual_seed(0))
    losses = language_model_loss(model, BATCH, chunk_tokens=10, reduction="none")
    assert losses.shape == BATCH.labels.shape
    torch.testing.assert_close(losses, plain_losses(model, BATCH), rtol=1e-5, atol=1e-6)
    ours = gradients(model, (losses * weights).sum())
    assert_close_gradients(ours, gradients(model, (plain_losses(model, BATCH) * weights).sum()))


def test_token_nll_has_zeros_where_nothing_is_scored(model: PreTrainedModel) -> None:
    nll = token_nll(model.eval(), BATCH, chunk_tokens=9)
    assert nll.dtype == torch.float32
    assert not nll.requires_grad
    assert not nll[:, -1].any()
    torch.testing.assert_close(nll, plain_losses(model, BATCH).detach(), rtol=1e-5, atol=1e-6)


def test_bf16_autocast_stays_near_the_full_precision(model: PreTrainedModel) -> None:
    exact = gradients(model, language_model_loss(model, BATCH))
    exact_loss = language_model_loss(model, BATCH).item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = language_model_loss(model, BATCH, chunk_tokens=16)
        nll = token_nll(model, BATCH)
    assert loss.item() == pytest.approx(exact_loss, rel=2e-3)
    assert nll.sum().item() / (BATCH.labels != -100).sum().item() == pytest.approx(
        exact_loss, rel=2e-3
    )
    rounded = gradients(model, loss)
    for name, gradient in exact.items():
        assert (rounded[name] - gradient).norm() < 0.05 * gradient.norm(), name


def test_bf16_weights_work_without_autocast() -> None:
    config = model_config(SPECS["hunmin"], vocab_size=200, context=32)
    model = build_model(config, seed=1, dtype=torch.bfloat16)
    loss = language_model_loss(model, BATCH)
    loss.backward()
    weight = output_projection(model)[0]
    assert loss.dtype == torch.float32
    assert weight.grad is not None
    assert weight.grad.dtype == torch.bfloat16


def test_backward_may_run_twice() -> None:
    hidden = torch.randn(6, 4, requires_grad=True)
    loss = chunked_cross_entropy(hidden, torch.randn(9, 4), torch.arange(6), chunk_tokens=4)
    (first,) = torch.autograd.grad(loss, hidden, retain_graph=True)
    (second,) = torch.autograd.grad(2 * loss, hidden)
    torch.testing.assert_close(second, 2 * first)


def test_nothing_to_score_is_a_loss_of_zero() -> None:
    hidden = torch.randn(5, 4, requires_grad=True)
    loss = chunked_cross_entropy(hidden, torch.randn(9, 4), torch.full((5,), -100))
    loss.backward()
    assert loss.item() == 0.0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_extreme_logits_give_finite_losses_in_bf16() -> None:
    hidden = torch.tensor([[300.0, 0.0], [0.0, 300.0]], requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_cross_entropy(hidden, torch.eye(2), torch.tensor([1, 1]))
    loss.backward()
    assert 40 < loss.item() < 44
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


@settings(max_examples=40, deadline=None)
@given(
    num_tokens=st.integers(1, 40),
    vocab_size=st.integers(2, 60),
    chunk_tokens=st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_any_shape_equals_torch(
    num_tokens: int, vocab_size: int, chunk_tokens: int, seed: int
) -> None:
    torch.manual_seed(seed)
    hidden = torch.randn(num_tokens, 8, dtype=torch.float32, requires_grad=True)
    weight = torch.randn(vocab_size, 8, requires_grad=True)
    bias = torch.randn(vocab_size, requires_grad=True)
    labels = torch.randint(0, vocab_size, (num_tokens,))
    labels[torch.rand(num_tokens) < 0.3] = -100
    labels[0] = 0
    plain = F.cross_entropy(hidden @ weight.T + bias, labels)
    loss = chunked_cross_entropy(hidden, weight, labels, bias_V=bias, chunk_tokens=chunk_tokens)
    assert loss.item() == pytest.approx(plain.item(), rel=2e-6)
    for ours, expected in zip(
        torch.autograd.grad(loss, (hidden, weight, bias)),
        torch.autograd.grad(plain, (hidden, weight, bias)),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_logits_that_are_changed_afterwards_are_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=16))
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(InputError, match="no soft cap"):
        output_projection(model)

"""Every faster layer computes what the stock one does."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from tests.support.batches import packed_batch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm, apply_rotary_pos_emb

from hunmin.models.build import build_model, model_config
from hunmin.models.fused import normalized_rotation, rms_norm
from hunmin.models.loss import language_model_loss
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec

SPECS = {
    "hunmin": ModelSpec(layers=2, width=256, kv_heads=2),
    "gpt2": ModelSpec(preset="kogpt2-125m", layers=2, width=96, heads=4),
}
BATCH = packed_batch([(70, 5, 1, 64, 20), (1, 100, 2, 37, 20)])


@pytest.fixture(params=[*SPECS, "llama"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    if request.param == "llama":
        config = LlamaConfig(
            num_hidden_layers=2,
            hidden_size=64,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=96,
            vocab_size=200,
        )
        torch.manual_seed(0)
        return LlamaForCausalLM(config)
    return build_model(model_config(SPECS[request.param], vocab_size=200, context=160), seed=1)


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    model.zero_grad()
    language_model_loss(model, BATCH).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradients_stay(model: PreTrainedModel) -> None:
    faster = optimize_model(copy.deepcopy(model))
    assert language_model_loss(faster, BATCH).item() == pytest.approx(
        language_model_loss(model, BATCH).item(), rel=1e-6
    )
    stock = gradients(model)
    for name, gradient in gradients(faster).items():
        scale = float(stock[name].abs().max())
        torch.testing.assert_close(gradient, stock[name], rtol=1e-5, atol=1e-5 * scale, msg=name)


def test_bf16_differs_no_more_than_stock_bf16_does(model: PreTrainedModel) -> None:
    exact = gradients(model)
    faster = optimize_model(copy.deepcopy(model))
    with torch.autocast("cpu", torch.bfloat16):
        stock_error = {n: (g - exact[n]).norm() for n, g in gradients(model).items()}
        faster_error = {n: (g - exact[n]).norm() for n, g in gradients(faster).items()}
    assert sum(faster_error.values()) < 1.3 * sum(stock_error.values())


def test_names_and_values_of_the_state_dict_stay(model: PreTrainedModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    after = optimize_model(model).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@torch.no_grad()
def test_generation_with_a_cache_stays(model: PreTrainedModel) -> None:
    prompt = BATCH.input_ids[:, :12]
    arguments = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 1, "eos_token_id": 1}
    expected = model.eval().generate(prompt, **arguments)
    assert torch.equal(optimize_model(model).generate(prompt, **arguments), expected)


@torch.no_grad()
def test_plain_calls_with_padding_stay(model: PreTrainedModel) -> None:
    mask = torch.ones_like(BATCH.input_ids)
    mask[0, :30] = 0
    expected = model.eval()(BATCH.input_ids, attention_mask=mask).logits
    logits = optimize_model(model)(BATCH.input_ids, attention_mask=mask).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_checkpointed_blocks_give_the_same_gradients(model: PreTrainedModel) -> None:
    optimize_model(model)
    expected = gradients(model)
    for block in model.modules():
        if isinstance(block, GradientCheckpointingLayer):
            block.gradient_checkpointing = True
            block._gradient_checkpointing_func = functools.partial(checkpoint, use_reentrant=False)
    model.train()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_fused_steps_have_correct_gradients() -> None:
    torch.manual_seed(0)
    heads = torch.randn(2, 3, 2, 8, requires_grad=True)
    norm = Qwen3RMSNorm(8)
    torch.nn.init.normal_(norm.weight)
    angles = torch.rand(2, 3, 4).repeat(1, 1, 2)
    cos, sin = angles.cos(), angles.sin()
    expected, _ = apply_rotary_pos_emb(
        norm(heads).transpose(1, 2), norm(heads).transpose(1, 2), cos, sin
    )
    half = (cos[..., :4].unsqueeze(2), sin[..., :4].unsqueeze(2))
    ours = normalized_rotation(heads, norm.weight, norm.variance_epsilon, *half)
    torch.testing.assert_close(ours, expected)
    above = torch.randn_like(ours)
    inputs = (heads, norm.weight)
    for gradient, wanted in zip(
        torch.autograd.grad(ours, inputs, above),
        torch.autograd.grad(expected, inputs, above),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted)


def test_norms_take_and_give_bf16() -> None:
    x = torch.randn(4, 16, dtype=torch.bfloat16, requires_grad=True)
    gain = torch.rand(16, requires_grad=True)
    output = rms_norm(x, gain, 1e-6)
    output.sum().backward()
    assert output.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert gain.grad is not None
    assert gain.grad.dtype == torch.float32


def test_a_norm_leaves_the_gradient_from_above_as_it_is() -> None:
    x = torch.randn(2, 3, 8, requires_grad=True)
    above = torch.randn(2, 3, 8)
    before = above.clone()
    rms_norm(x, torch.randn(8), 1e-6).backward(above)
    assert torch.equal(above, before), "another branch may use the same tensor"

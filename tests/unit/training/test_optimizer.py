"""Which parameter belongs to which optimizer, and states that come back to the last bit."""

import pytest
import torch

from hunmin.models.build import build_model, model_config
from hunmin.models.spec import ModelSpec
from hunmin.training.optimizer import OptimizerSet, split_parameters
from hunmin.training.spec import AdamWSpec, MuonSpec

HUNMIN = ModelSpec(layers=2, width=64)
GPT2 = ModelSpec(preset="kogpt2-125m", layers=2, width=64, heads=2)


def build(spec: ModelSpec):
    return build_model(model_config(spec, vocab_size=64, context=16), seed=1)


@pytest.mark.parametrize("spec", [HUNMIN, GPT2])
def test_every_parameter_is_in_one_group(spec: ModelSpec) -> None:
    model = build(spec)
    groups = split_parameters(model)
    names = [name for group in groups.values() for name, _ in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert all(parameter.ndim == 1 for _, parameter in groups["vector"])
    assert all("norm" not in name and "wte" not in name for name, _ in groups["matrix"])
    embeddings = (
        {"model.embed_tokens.weight"}
        if spec is HUNMIN
        else {
            "transformer.wte.weight",
            "transformer.wpe.weight",
        }
    )
    assert {name for name, _ in groups["embedding"]} == embeddings


def run_steps(model, optimizer: OptimizerSet, first: int, count: int) -> None:
    for step in range(first, first + count):
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.set_factor(1 / (step + 1))
        optimizer.step()


@pytest.mark.parametrize("spec", [MuonSpec(), AdamWSpec()])
def test_state_comes_back_to_the_last_bit(spec: MuonSpec | AdamWSpec) -> None:
    straight, resumed = build(HUNMIN), build(HUNMIN)
    optimizer = OptimizerSet(spec, straight)
    run_steps(straight, optimizer, 0, 2)
    saved = {name: tensor.clone() for name, tensor in optimizer.state_tensors().items()}
    resumed.load_state_dict(straight.state_dict())
    run_steps(straight, optimizer, 2, 2)
    other = OptimizerSet(spec, resumed)
    other.load_state_tensors(saved)
    run_steps(resumed, other, 2, 2)
    pairs = zip(straight.parameters(), resumed.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_factor_scales_every_learning_rate() -> None:
    optimizer = OptimizerSet(MuonSpec(learning_rate=0.01), build(HUNMIN))
    assert optimizer.set_factor(0.5) == 0.005
    assert optimizer.set_factor(1.0) == 0.01


def test_vectors_are_not_decayed() -> None:
    model = build(HUNMIN)
    optimizer = OptimizerSet(AdamWSpec(weight_decay=0.5, learning_rate=0.1), model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = before[name] if parameter.ndim == 1 else before[name] * 0.95
        torch.testing.assert_close(parameter.detach(), expected)

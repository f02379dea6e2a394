"""Which parameter belongs to which optimizer, and states that come back to the last bit."""

import pytest
import torch
from torch import nn

from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.models.build import build_model, model_config
from hunmin.models.spec import ModelSpec
from hunmin.training.muon import Muon
from hunmin.training.optimizer import AdamW, OptimizerSet, split_parameters
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


def random_steps(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    for step in range(4):
        generator = torch.Generator().manual_seed(step)
        for parameter in parameters[: step + 1]:  # the last ones get their gradients late
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        optimizer.zero_grad()


def random_parameters(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def test_muon_is_that_of_torch_to_the_last_bit() -> None:
    shapes = ((64, 64), (16, 48), (51, 7), (1, 9))
    ours, theirs = random_parameters(*shapes), random_parameters(*shapes)
    random_steps(Muon(ours, learning_rate=0.02, momentum=0.9, weight_decay=0.3), ours)
    expected = torch.optim.Muon(
        theirs, lr=0.02, momentum=0.9, weight_decay=0.3, adjust_lr_fn="match_rms_adamw"
    )
    random_steps(expected, theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], random_parameters(*shapes)[0])


def test_adamw_is_that_of_torch_to_the_last_bit() -> None:
    shapes = ((64, 33), (5,), (0, 3), ())
    ours, theirs = random_parameters(*shapes), random_parameters(*shapes)
    random_steps(AdamW(ours, lr=0.02, weight_decay=0.3, fused=True), ours)
    random_steps(torch.optim.AdamW(theirs, lr=0.02, weight_decay=0.3, fused=True), theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], random_parameters(*shapes)[0])


@pytest.mark.parametrize("spec", [MuonSpec(), AdamWSpec()])
def test_prepared_states_are_those_of_the_first_step(spec: MuonSpec | AdamWSpec) -> None:
    plain, prepared = build(GPT2), build(GPT2)
    optimizer, other = OptimizerSet(spec, plain), OptimizerSet(spec, prepared)
    assert other.state_tensors() == {}
    other.prepare_state()
    assert not any(tensor.any() for tensor in other.state_tensors().values())
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), prepared.parameters(), strict=True)
    )
    run_steps(plain, optimizer, 0, 2)
    run_steps(prepared, other, 0, 1)
    other.prepare_state()
    run_steps(prepared, other, 1, 1)
    state, expected = other.state_tensors(), optimizer.state_tensors()
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name]), name


def test_a_state_of_another_model_is_refused() -> None:
    optimizer = OptimizerSet(MuonSpec(), build(HUNMIN))
    optimizer.prepare_state()
    name, state = next(iter(optimizer.state_tensors().items()))
    with pytest.raises(ArtifactMismatchError, match="belongs to no parameter"):
        optimizer.load_state_tensors({"elsewhere|momentum_buffer": state})
    with pytest.raises(ArtifactMismatchError, match=r"allowed: shape \(64, 64\), whole"):
        optimizer.load_state_tensors({name: state[:, 1:]})
    assert optimizer.state_tensors()[name] is state


def test_muon_refuses_what_is_no_matrix() -> None:
    with pytest.raises(InputError, match=r"a parameter of shape \(3,\)"):
        Muon(random_parameters((2, 2), (3,)), learning_rate=0.1)

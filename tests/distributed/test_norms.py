"""The norm of gradients in parts is that of whole ones, with one all-reduce for each axis."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.support.collectives import CollectiveLog
from tests.support.distributed import run_ranks
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

from hunmin.core.errors import InputError
from hunmin.parallel.parts.norms import clip_gradients, gradient_norm


class Uneven(nn.Module):
    """Widths that ranks cannot share evenly, fewer rows than ranks, a layer that is not sharded."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.wide = nn.Linear(8, 259)
        self.narrow = nn.Linear(8, 1)
        self.split = nn.Linear(8, 16)
        self.copied = nn.Linear(8, 5)
        self.frozen = nn.Linear(8, 8)


def set_gradients(model: nn.Module, scale: float = 1.0) -> None:
    """Through autograd, so that every part gets what is its own."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        parameter.grad = None
        weights = torch.randn(parameter.shape, generator=generator) * scale
        if name.startswith("frozen"):
            continue
        whole = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
        whole.mul(weights).sum().backward()


def sharded(mesh: DeviceMesh) -> Uneven:
    model = Uneven()
    if mesh.ndim == 3:
        parallelize_module(model, mesh["tensor"], {"split": ColwiseParallel()})
    data = mesh["replicate", "shard"] if mesh.ndim == 3 else mesh
    fully_shard(model, mesh=data, ignored_params=set(model.copied.parameters()))
    return model


def compare(shape: tuple[int, ...]) -> dict[str, Any]:
    names = ("replicate", "shard", "tensor")[: len(shape)]
    model, whole = sharded(init_device_mesh("cpu", shape, mesh_dim_names=names)), Uneven()
    set_gradients(whole)
    set_gradients(model)
    with CollectiveLog() as log:
        norm = clip_gradients(model.parameters(), 0.5)
    expected = torch.nn.utils.clip_grad_norm_(whole.parameters(), 0.5)
    parts = [p.grad for p in model.parameters() if p.grad is not None]
    clipped = [g.full_tensor() if isinstance(g, DTensor) else g for g in parts]
    wholes = [p.grad for p in whole.parameters() if p.grad is not None]
    return {
        "norm": float(norm),
        "expected": float(expected),
        "difference": max(float((a - b).abs().max()) for a, b in zip(clipped, wholes, strict=True)),
        "calls": log.calls,
        "after": float(gradient_norm(model.parameters())),
    }


@pytest.mark.parametrize(
    ("shape", "all_reduces"), [((1, 4), 1), ((2, 2), 1), ((4, 1), 0), ((1, 2, 2), 2)]
)
def test_clipping_equals_that_of_one_process(shape: tuple[int, ...], all_reduces: int) -> None:
    results = run_ranks(4, compare, shape)
    for result in results:
        assert result["norm"] == pytest.approx(result["expected"], rel=1e-6)
        assert result["difference"] < 1e-6
        assert result["after"] == pytest.approx(0.5, rel=1e-5)
        assert [name for name, _ in result["calls"]] == ["allreduce_"] * all_reduces
        assert all(size <= 16 for _, size in result["calls"])
    assert len({result["norm"] for result in results}) == 1


def special_values() -> dict[str, Any]:
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("replicate", "shard"))
    model = sharded(mesh)
    set_gradients(model)
    before = model.wide.weight.grad.to_local().clone()
    unlimited = clip_gradients(model.parameters(), math.inf)
    is_same = torch.equal(before, model.wide.weight.grad.to_local())
    clip_gradients(model.parameters(), 1e9)
    is_same &= torch.equal(before, model.wide.weight.grad.to_local())
    if dist.get_rank() == 1:
        model.wide.weight.grad.to_local()[0, 0] = math.inf
    infinite = gradient_norm(model.parameters())
    if dist.get_rank() == 1:
        model.wide.weight.grad.to_local()[0, 0] = math.nan
    broken = clip_gradients(model.parameters(), 1.0)
    model.zero_grad()
    return {
        "values": [float(v) for v in (unlimited, infinite, broken)],
        "is same": is_same,
        "nothing": float(clip_gradients(model.parameters(), 1.0)),
    }


def test_what_is_not_finite_reaches_every_rank() -> None:
    for result in run_ranks(2, special_values):
        unlimited, infinite, broken = result["values"]
        assert math.isfinite(unlimited)
        assert infinite == math.inf
        assert math.isnan(broken)
        assert result["is same"]
        assert result["nothing"] == 0.0


def unsummed_gradient() -> str:
    mesh = init_device_mesh("cpu", (2,))
    parameter = nn.Parameter(distribute_tensor(torch.ones(4), mesh))
    parameter.grad = DTensor.from_local(torch.ones(4), mesh, [Partial()])
    with pytest.raises(InputError) as caught:
        gradient_norm([parameter])
    return str(caught.value)


def test_a_gradient_that_is_not_summed_up_is_refused() -> None:
    for message in run_ranks(2, unsummed_gradient):
        assert "placed as its parameter" in message
        assert "P(sum)" in message or "Partial" in message


def test_in_one_process_it_is_the_norm_of_torch_to_the_last_bit() -> None:
    ours, theirs = Uneven(), Uneven()
    set_gradients(ours)
    set_gradients(theirs)
    expected = torch.nn.utils.get_total_norm(
        p.grad for p in theirs.parameters() if p.grad is not None
    )
    assert torch.equal(gradient_norm(ours.parameters()), expected)
    norm = clip_gradients(ours.parameters(), 0.3)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.3))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is None or torch.equal(mine.grad, other.grad)

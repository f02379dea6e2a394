"""Tensors of any placement, saved by some ranks and loaded by others."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from hunmin.parallel.checkpoint import (
    CheckpointContent,
    CheckpointSaver,
    Ranks,
    SaveJob,
    load_tensors,
    open_checkpoint,
)
from hunmin.parallel.checkpoint.index import CheckpointIndex

WAIT = timedelta(seconds=60)
SHAPES = {"even": (8, 4), "uneven": (7, 5), "short": (3, 5), "one": (1,), "none": (0, 4)}


def values() -> dict[str, torch.Tensor]:
    """Every element has a value of its own."""
    tensors = {}
    for number, (name, shape) in enumerate(SHAPES.items()):
        first = 1000 * number
        tensors[name] = torch.arange(first, first + math.prod(shape)).reshape(shape).float()
    return tensors | {
        "half": torch.arange(30).reshape(6, 5).bfloat16(),
        "scalar": torch.tensor(5, dtype=torch.int64),
        "flags": torch.tensor([True, False, True]),
    }


def spread(tensors: dict[str, torch.Tensor], rows: int, columns: int) -> dict[str, torch.Tensor]:
    """Split matrices over a mesh of two dimensions, the second one by columns; keep the rest."""
    if rows * columns == 1:
        return {name: tensor.clone() for name, tensor in tensors.items()}
    mesh = init_device_mesh("cpu", (rows, columns))
    return {
        name: distribute_tensor(tensor, mesh, [Shard(0), Shard(1) if tensor.ndim > 1 else Shard(0)])
        if name in SHAPES or name == "half"
        else tensor.clone()
        for name, tensor in tensors.items()
    }


def save_spread(folder: Path, rows: int, columns: int) -> None:
    saver = CheckpointSaver(Ranks.join(timeout=WAIT))
    job = SaveJob(folder / "step-00000001", 1, CheckpointContent())
    saver.save(job, spread(values(), rows, columns))


def load_spread(folder: Path, rows: int, columns: int) -> dict[str, Any]:
    ranks = Ranks.join(timeout=WAIT)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in values().items()}
    targets = spread(zeros, rows, columns)
    load_tensors(open_checkpoint(folder / "step-00000001", ranks), targets, ranks)
    return {
        name: (t.full_tensor() if isinstance(t, DTensor) else t).float().numpy().copy()
        for name, t in targets.items()
    }


@pytest.mark.parametrize("saved", [(1, 1), (2, 2), (4, 1)])
def test_elements_come_back_whoever_holds_them(saved: tuple[int, int], tmp_path: Path) -> None:
    run_ranks(math.prod(saved), save_spread, tmp_path, *saved)
    index = CheckpointIndex.read(tmp_path / "step-00000001")
    for record in index.tensors.values():
        parts = [math.prod(chunk.sizes) for chunk in record.chunks]
        assert sum(parts) == math.prod(record.shape)
        assert math.prod(record.shape) == 0 or 0 not in parts
    for loaded in ((1, 1), (3, 1), (2, 2)):
        for result in run_ranks(math.prod(loaded), load_spread, tmp_path, *loaded):
            for name, tensor in values().items():
                np.testing.assert_array_equal(result[name], tensor.float().numpy(), name)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(6, 8)
        self.down = nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x))


def sharded_pair(shard: int, tensor: int) -> Pair:
    torch.manual_seed(0)
    pair = Pair()
    if shard * tensor == 1:
        return pair
    replicas = dist.get_world_size() // (shard * tensor)
    names = ("replicate", "shard", "tensor")
    mesh = init_device_mesh("cpu", (replicas, shard, tensor), mesh_dim_names=names)
    if tensor > 1:
        plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        parallelize_module(pair, mesh["tensor"], plan)
    fully_shard(pair, mesh=mesh["replicate", "shard"])
    return pair


def save_pair(folder: Path, shard: int, tensor: int) -> list[str]:
    saver = CheckpointSaver(Ranks.join(timeout=WAIT))
    pair = sharded_pair(shard, tensor)
    job = SaveJob(folder / "step-00000001", 1, CheckpointContent())
    saver.save(job, pair.state_dict())
    return [str(p.placements) if isinstance(p, DTensor) else "" for p in pair.parameters()]


def load_pair(folder: Path, shard: int, tensor: int) -> dict[str, Any]:
    ranks = Ranks.join(timeout=WAIT)
    pair = sharded_pair(shard, tensor)
    with torch.no_grad():
        for parameter in pair.parameters():
            parameter.zero_()
    load_tensors(open_checkpoint(folder / "step-00000001", ranks), pair.state_dict(), ranks)
    return {
        name: (p.full_tensor() if isinstance(p, DTensor) else p).detach().numpy().copy()
        for name, p in pair.named_parameters()
    }


@pytest.mark.parametrize("saved", [(2, 2), (1, 2)])
def test_split_matrices_within_partition_groups(saved: tuple[int, int], tmp_path: Path) -> None:
    placements = run_ranks(4, save_pair, tmp_path, *saved)[0]
    assert any("Strided" in placement for placement in placements)
    expected = dict(sharded_pair(1, 1).named_parameters())
    for ranks, shard, tensor in ((1, 1, 1), (2, 2, 1), (4, 1, 4)):
        for result in run_ranks(ranks, load_pair, tmp_path, shard, tensor):
            for name, parameter in expected.items():
                np.testing.assert_array_equal(result[name], parameter.detach().numpy(), name)


def replicated(folder: Path) -> None:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    tensors = {
        f"t{number}": distribute_tensor(torch.ones(100, 10), mesh, [Replicate()])
        for number in range(8)
    }
    job = SaveJob(folder / "step-00000001", 1, CheckpointContent())
    CheckpointSaver(Ranks.join(timeout=WAIT)).save(job, tensors)


def test_copies_are_written_once_and_all_ranks_share_the_work(tmp_path: Path) -> None:
    run_ranks(4, replicated, tmp_path)
    sizes = [file.stat().st_size for file in tmp_path.glob("*/shard-*")]
    assert len(sizes) == 4
    assert max(sizes) == min(sizes) < 2 * 4000 * 1.1

"""Checkpoints of many ranks: resharded, written beside the training, and what goes wrong."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from hunmin.core.artifact import load_artifact
from hunmin.core.errors import HunminError
from hunmin.parallel.checkpoint import Ranks
from hunmin.training.checkpoint import (
    CheckpointFolder,
    load_weights,
    restore,
    run_tensors,
    unique_tensors,
)
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec
from hunmin.training.state import TrainState
from tests.support.distributed import run_ranks
from tests.support.tiny_models import tiny_gpt2

VOCABULARY = 101
"""Not divisible by the ranks: their shards are uneven."""

Arrays = dict[str, np.ndarray[Any, Any]]


def build(group: int | None) -> tuple[PreTrainedModel, OptimizerSet]:
    """A tiny model, spread over partition groups or, for None, whole in this process."""
    model = tiny_gpt2(VOCABULARY, context=16)  # in evaluation mode: no dropout
    if group is not None:
        size = dist.get_world_size()
        mesh = init_device_mesh(
            "cpu", (size // group, group), mesh_dim_names=("replicate", "shard")
        )
        for block in model.transformer.h:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    return model, OptimizerSet(AdamWSpec(learning_rate=1e-2), model)


def train(model: PreTrainedModel, optimizer: OptimizerSet, first: int, steps: int) -> list[float]:
    losses = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(VOCABULARY, (2, 16), generator=generator)
        loss = model(input_ids=ids, labels=ids, attention_mask=torch.ones_like(ids)).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def whole(tensors: dict[str, torch.Tensor]) -> Arrays:
    full = {n: t.full_tensor() if isinstance(t, DTensor) else t for n, t in tensors.items()}
    return {name: tensor.detach().numpy().copy() for name, tensor in full.items()}


def everything(model: PreTrainedModel, optimizer: OptimizerSet) -> Arrays:
    states = optimizer.state_tensors()
    return whole(unique_tensors(model)) | whole({f"state {n}": t for n, t in states.items()})


def same(left: Arrays, right: Arrays) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[n], right[n]) for n in left)


def save_after_two_steps(folder: Path, group: int | None) -> tuple[Arrays, list[float]]:
    model, optimizer = build(group)
    train(model, optimizer, 0, 2)
    checkpoints = CheckpointFolder(folder, "identity")
    checkpoints.save(model, optimizer, TrainState(step=2, tokens=64))
    return everything(model, optimizer), train(model, optimizer, 2, 2)


def restore_and_go_on(folder: Path, group: int | None) -> tuple[Arrays, list[float], int]:
    torch.manual_seed(77)
    model, optimizer = build(group)
    checkpoint = CheckpointFolder(folder, "identity").newest_whole()
    assert checkpoint is not None
    state = restore(checkpoint, model, optimizer)
    return everything(model, optimizer), train(model, optimizer, 2, 2), state.step


# -- resharding ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_by_four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays, list[float]]:
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    arrays, losses = run_ranks(4, save_after_two_steps, folder, 2)[0]
    return folder, arrays, losses


def test_the_folder_is_an_artifact_and_no_part_is_written_twice(saved_by_four) -> None:
    folder, arrays, _ = saved_by_four
    checkpoint = load_artifact(folder / "step-00000002", "checkpoint")
    names = set(checkpoint.manifest.files)
    assert names == {"index.json", "state.json"} | {
        f"shard-{rank:05d}-of-00004.safetensors" for rank in range(4)
    }
    assert checkpoint.facts == {"step": 2, "tokens": 64, "ranks": 4}
    tensors = sum(array.nbytes for array in arrays.values())
    generators = 4 * torch.get_rng_state().numel()
    files = sum(r.bytes for n, r in checkpoint.manifest.files.items() if n.endswith("tensors"))
    assert tensors + generators < files < (tensors + generators) * 1.2  # headers
    assert not any(path.suffix in (".pt", ".pkl", ".metadata") for path in folder.rglob("*"))


@pytest.mark.parametrize(("ranks", "group"), [(1, None), (2, 1), (2, 2), (4, 4), (4, 2), (8, 4)])
def test_any_layout_goes_on_from_it(saved_by_four, ranks: int, group: int | None) -> None:
    folder, arrays, losses = saved_by_four
    results = run_ranks(ranks, restore_and_go_on, folder, group)
    for loaded, next_losses, step in results:
        assert step == 2
        assert same(loaded, arrays)
        assert next_losses == pytest.approx(losses, rel=1e-5)


def test_one_process_saves_for_many(tmp_path: Path) -> None:
    arrays, losses = save_after_two_steps(tmp_path, None)
    assert (tmp_path / "step-00000002" / "shard-00000-of-00001.safetensors").is_file()
    for loaded, next_losses, _ in run_ranks(3, restore_and_go_on, tmp_path, 3):
        assert same(loaded, arrays)
        assert next_losses == pytest.approx(losses, rel=1e-5)


def test_weights_alone_into_a_plain_model(saved_by_four) -> None:
    folder, arrays, _ = saved_by_four
    model, _ = build(None)
    load_weights(load_artifact(folder / "step-00000002"), model)
    loaded = whole(unique_tensors(model))
    assert all(np.array_equal(loaded[name], arrays[name]) for name in loaded)


def draw(folder: Path, save: bool) -> list[float]:
    model, optimizer = build(dist.get_world_size())
    checkpoints = CheckpointFolder(folder, "identity")
    torch.manual_seed(dist.get_rank())
    if save:
        checkpoints.save(model, optimizer, TrainState(step=1))
    else:
        torch.rand(5)
        restore(checkpoints.open(1), model, optimizer)
    return torch.rand(3).tolist()


def test_random_generators_go_on_or_are_seeded_anew(tmp_path: Path) -> None:
    drawn = run_ranks(2, draw, tmp_path, True)
    assert drawn[0] != drawn[1]
    assert run_ranks(2, draw, tmp_path, False) == drawn
    others = run_ranks(4, draw, tmp_path, False)
    assert len({tuple(values) for values in others + drawn}) == 6
    assert run_ranks(4, draw, tmp_path, False) == others

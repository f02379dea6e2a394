"""Tiny models spread over ranks, for tests of checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from hunmin.core.errors import HunminError
from hunmin.parallel.checkpoint import storage
from hunmin.parallel.checkpoint.model_state import module_tensors
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec
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
    return whole(module_tensors(model)) | whole({f"state {n}": t for n, t in states.items()})


def same(left: Arrays, right: Arrays) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[n], right[n]) for n in left)


class HeldWrites:
    """Writing of this rank's file waits until it is let go; something may be done then."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.original = storage.write_tensor_file

    def __enter__(self) -> HeldWrites:
        storage.write_tensor_file = self
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        storage.write_tensor_file = self.original

    def __call__(self, path: Path, *arguments: Any) -> Any:
        assert self.gate.wait(30)
        return self.original(path, *arguments)


def error_of(action: Callable[[], object]) -> tuple[str, str] | None:
    try:
        action()
    except HunminError as error:
        return type(error).__name__, str(error)
    return None

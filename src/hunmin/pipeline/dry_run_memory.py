"""What a training run will need of a device's memory, planned before it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.models.precision import choose_precision
from hunmin.parallel.layout import Layout, derive_layout, possible_groups
from hunmin.parallel.spec import ParallelSpec
from hunmin.planner.catalogue.huggingface import shape_of_config
from hunmin.planner.memory import DEVICE_PARTS, USABLE, MemoryUse, memory_use
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy
from hunmin.training.spec import MuonSpec, TrainSpec

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

MemoryFact = tuple[str, str]
"""A key of the plan, and what is known."""


def plan_memory(
    config: PreTrainedConfig,
    train: TrainSpec,
    parallel: ParallelSpec,
    *,
    context: int,
    gpu_memory: int | None,
) -> Iterator[MemoryFact]:
    """Plan the memory of a device at the peak of a step.

    Args:
        config: Of the model.
        train: Batch, optimizer, recomputation.
        parallel: Layout; the ranks are those that torchrun started, else as few as it takes.
        context: Tokens in a row.
        gpu_memory: Bytes of the device; None if there is none, so that nothing is compared.

    Yields:
        Keys and values: ranks, each part, the total, and whether it fits.
    """
    try:
        strategy, shape = _planned(config, train, parallel, context, gpu_memory)
    except InputError as error:
        yield "memory", f"not known: {error.problem}"
        return
    use = memory_use(shape, strategy)
    yield "memory.planned_for", _describe(strategy.layout)
    for name in DEVICE_PARTS:
        if getattr(use, name):
            yield f"memory.{name}", format_bytes(getattr(use, name))
    yield "memory.a_device", f"{format_bytes(use.total)} at the peak ({use.moment})"
    if gpu_memory is not None:
        yield "memory.fits", _compare(use, gpu_memory)


def find_gpu_memory() -> int | None:
    """Return the bytes of the GPU that would be used, or None if there is none."""
    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def _describe(layout: Layout) -> str:
    if layout.world_size == 1:
        return "one device"
    split = f", tensor {layout.tensor}" if layout.tensor > 1 else ""
    return f"{layout.world_size} ranks, groups of {layout.partition_group}{split}"


def _planned(
    config: PreTrainedConfig,
    train: TrainSpec,
    parallel: ParallelSpec,
    context: int,
    gpu_memory: int | None,
) -> tuple[Strategy, ModelShape]:
    if "bfloat16" in str(getattr(config, "dtype", "")):
        raise InputError("weights that are kept in bfloat16 are not planned")
    shape = shape_of_config(config.to_dict(), "model", Path("model")).with_context(context)
    strategy = _strategy(train, parallel, _layout(parallel), context)
    if parallel.partition_group != "auto" or gpu_memory is None:
        return strategy, shape
    return _smallest_fitting(shape, strategy, gpu_memory), shape


def _layout(parallel: ParallelSpec) -> Layout:
    """Lay out the ranks that there are, or as few as the recipe needs."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    if world == 1:
        group = parallel.partition_group
        world = parallel.tensor * (group if isinstance(group, int) else 1)
        known = parallel.ranks_per_node
        per_node = min(world, known) if isinstance(known, int) else world
        parallel = parallel.model_copy(update={"ranks_per_node": "auto", "hierarchical": "auto"})
    return derive_layout(parallel, world_size=world, ranks_per_node=per_node)


def _strategy(train: TrainSpec, parallel: ParallelSpec, layout: Layout, context: int) -> Strategy:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = max(1, train.batch_tokens // context // layout.data_ranks)
    micro_batch = min(rows, max(1, train.microbatch_tokens // context))
    return Strategy(
        layout=layout,
        micro_batch=micro_batch,
        microsteps=-(-rows // micro_batch),
        recompute="blocks" if train.activation_checkpointing else "none",
        precision=choose_precision(train.precision, device, where="train.precision"),
        optimizer="muon" if isinstance(train.optimizer, MuonSpec) else "adamw",
        reshard_after_forward=parallel.reshard_after_forward,
        prefetch=parallel.prefetch,
        loss_chunk=train.loss_chunk_tokens,
    )


def _smallest_fitting(shape: ModelShape, strategy: Strategy, memory: int) -> Strategy:
    """Return the strategy in the group that `auto` takes, or in the largest if none fits."""
    layout = strategy.layout
    per_node = layout.ranks_per_node // layout.tensor
    for group in possible_groups(layout.data_ranks, per_node):
        strategy = replace(strategy, layout=replace(layout, partition_group=group))
        if memory_use(shape, strategy).fits(memory):
            break
    return strategy


def _compare(use: MemoryUse, memory: int) -> str:
    usable = f"{format_bytes(USABLE * memory)}, {USABLE:.0%} of this GPU's {format_bytes(memory)}"
    return f"{'yes' if use.fits(memory) else 'no'}: {format_bytes(use.total)} of {usable}"

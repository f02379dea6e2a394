"""The smallest partition group that fits, from a measurement of one block.

Models of one block and of two are run forward on two and on three rows, and what autograd keeps
for the backward pass is counted. With n blocks and r rows that is

    fixed + n * w + r * e + n * r * a

a is what a block keeps of a row, e what embeddings and loss keep of it, w the copies of a block's
weights that autocast makes.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from hunmin.data.batch import TokenBatch
from hunmin.models.blocks import require_blocks
from hunmin.models.build import build_model
from hunmin.models.objective import CausalLMObjective
from hunmin.models.optimize import optimize_model
from hunmin.parallel.memory import Footprint, refuse_group_that_cannot_fit
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import World
from hunmin.training.machine import Machine
from hunmin.training.spec import MuonSpec, TrainSpec

_USABLE = 0.9
"""Share of a device's memory that a run may fill: the rest is the allocator's and the kernels'."""
_DTYPE_BYTES = {"bf16": 2, "fp32": 4}


def smallest_group(
    config: PreTrainedConfig,
    train: TrainSpec,
    parallel: ParallelSpec,
    machine: Machine,
    world: World,
    *,
    context: int,
) -> int:
    """Return the fewest ranks whose memory holds the model, the same on every rank.

    Args:
        config: Of the model.
        train: Microbatch, optimizer, recomputation.
        parallel: A partition group of its own is only checked.
        machine: Device and precision.
        world: All ranks.
        context: Tokens in a row.

    Returns:
        A number of data-parallel ranks.

    Raises:
        InputError: It fits nowhere, or the given partition group cannot fit.

    Note:
        Collective.
    """
    memory = device_memory(world)
    footprint = measure_footprint(config, train, parallel, machine, context=context)
    if isinstance(parallel.partition_group, int):
        refuse_group_that_cannot_fit(footprint, parallel.partition_group, memory)
        return 1
    if parallel.partition_group == "world":
        return 1
    fewest: list[int] = world.gather(footprint.smallest_group(int(memory * _USABLE)))
    return max(fewest)


def device_memory(world: World) -> int:
    """Return the bytes of this rank's GPU, or its share of what the host has left."""
    if world.device.type == "cuda":
        return int(torch.cuda.get_device_properties(world.device).total_memory)
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(line for line in lines if line.startswith("MemAvailable"))
    return int(available.split()[1]) * 1024 // world.ranks_per_node


def measure_footprint(
    config: PreTrainedConfig,
    train: TrainSpec,
    parallel: ParallelSpec,
    machine: Machine,
    *,
    context: int,
) -> Footprint:
    """Count parameters and measure the activations of a microbatch.

    Args:
        config: Of the model.
        train: Microbatch, optimizer, recomputation.
        parallel: Prefetch, tensor, type in which parameters travel.
        machine: Device and precision.
        context: Tokens in a row.

    Returns:
        The footprint.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    sizes = [sum(p.numel() for p in block.parameters()) for block in require_blocks(model)]
    total = sum(p.numel() for p in model.parameters())
    precision = machine.precision
    if parallel.gather_precision != "auto":
        precision = parallel.gather_precision
    return Footprint(
        parameters=total,
        outside_parameters=total - sum(sizes),
        block_parameters=max(sizes),
        optimizer_bytes=4 if isinstance(train.optimizer, MuonSpec) else 8,
        gather_bytes=_DTYPE_BYTES[precision],
        prefetch=parallel.prefetch,
        activation_bytes=_activation_bytes(config, train, machine, len(sizes), context),
        tensor=parallel.tensor,
    )


def _activation_bytes(
    config: PreTrainedConfig, train: TrainSpec, machine: Machine, num_blocks: int, context: int
) -> int:
    def kept(blocks: int, rows: int) -> int:
        batch = _random_rows(config, rows, context, machine.device)
        return _kept_for_backward(_shallow(config, blocks), batch, train, machine)

    rows = max(1, train.microbatch_tokens // context)
    one_two, one_three, two_two, two_three = (
        kept(blocks, few) for blocks in (1, 2) for few in (2, 3)
    )
    a = two_three - two_two - one_three + one_two
    e = one_three - one_two - a
    w = two_two - one_two - 2 * a
    a_logit = _DTYPE_BYTES[machine.precision] + 4
    logits: int = train.loss_chunk_tokens * config.vocab_size * a_logit
    fixed = one_two - w - 2 * e - 2 * a + logits + rows * e
    if train.activation_checkpointing:
        inputs: int = context * config.hidden_size * 4
        return fixed + w + rows * (num_blocks * inputs + a)
    return fixed + num_blocks * (w + rows * a)


def _shallow(config: PreTrainedConfig, num_blocks: int) -> PreTrainedConfig:
    shallow = copy.deepcopy(config)
    shallow.num_hidden_layers = num_blocks
    if getattr(shallow, "layer_types", None) is not None:
        shallow.layer_types = shallow.layer_types[:num_blocks]
    return shallow


def _random_rows(
    config: PreTrainedConfig, rows: int, context: int, device: torch.device
) -> TokenBatch:
    ids = torch.randint(0, config.vocab_size, (rows, context), device=device)
    places = torch.arange(context, device=device).expand(rows, -1)
    return TokenBatch(ids, ids.roll(-1, 1), places, torch.zeros_like(ids, dtype=torch.int32))


def _kept_for_backward(
    config: PreTrainedConfig, batch: TokenBatch, train: TrainSpec, machine: Machine
) -> int:
    """Return the bytes of all tensors that autograd keeps, parameters not counted."""
    model = optimize_model(build_model(config, seed=0, device=machine.device))
    objective: nn.Module = CausalLMObjective(model, chunk_tokens=train.loss_chunk_tokens)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), machine.autocast():
        loss = objective(batch)
    del loss
    return sum(kept.values())

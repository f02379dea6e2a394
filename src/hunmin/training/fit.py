"""The smallest partition group that fits, from a measurement of one block.

Models of one block and of two are run forward on two and on three rows, and what autograd keeps
for the backward pass is counted. With n blocks and r rows that is

    fixed + n * w + r * e + n * r * a

a is what a block keeps of a row, e what embeddings and loss keep of it, w the copies of a block's
weights that autocast makes.

All the rest (states, gathered parameters, gradients on their way, the moment of the peak) is the
planner's: `hunmin.planner.memory`. Its formulas for activations are for clusters that nobody has
rented yet. Here there is a device, and what its kernels keep (fused or not, compiled or not, any
architecture of transformers) is measured in a second; where both apply they agree.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hunmin.data.batch import PairBatch, TokenBatch
from hunmin.data.objectives.base import Layout as DataLayout
from hunmin.models.architecture import layout_of
from hunmin.models.blocks import require_blocks
from hunmin.models.build import build_model
from hunmin.models.meta import build_meta_model
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.parallel.layout import Layout
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import World
from hunmin.planner.memory.activations import Activations, chunked_loss
from hunmin.planner.memory.footprint import Footprint
from hunmin.planner.memory.habits import HUNMIN
from hunmin.planner.memory.weights import Weights
from hunmin.planner.strategy import Strategy
from hunmin.training.machine import Machine
from hunmin.training.spec import MuonSpec, TrainSpec

_DTYPE_BYTES = {"bf16": 2, "fp32": 4}
_FLOAT32 = 4
_DECODER_LAYERS = ("decoder_layers", "num_decoder_layers")
_WORKING_SHARE = 0.4
"""Gradients inside a block while its backward pass runs, as a share of what it has kept: 0.3 to
0.4 in both families that were counted (`hunmin.planner.memory.activations`)."""


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
        footprint.refuse_group(parallel.partition_group, memory)
        return 1
    if parallel.partition_group == "world":
        return 1
    fewest: list[int] = world.gather(footprint.smallest_group(memory))
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
    rows = max(1, train.microbatch_tokens // context)
    strategy = _strategy(train, parallel, machine, rows)
    weights = _count_weights(config, parallel.tensor)
    measured = measure_activations(config, train, machine, context=context)
    return Footprint(weights, _activations(config, measured, weights, strategy, machine), strategy)


@dataclass(frozen=True)
class MeasuredActivations:
    """Bytes that autograd keeps for the backward pass of n blocks and r rows.

    Args:
        fixed: Whatever n and r.
        a_block: Of each block: copies of its weights that autocast makes.
        a_row: Of each row: what embeddings and loss keep.
        a_block_row: Of each row in each block.
        context: Tokens in a row.
    """

    fixed: int
    a_block: int
    a_row: int
    a_block_row: int
    context: int

    def kept(self, blocks: int, rows: int) -> int:
        """Return the bytes that so many blocks keep of so many rows."""
        a_block = self.a_block + rows * self.a_block_row
        return self.fixed + rows * self.a_row + blocks * a_block


def measure_activations(
    config: PreTrainedConfig, train: TrainSpec, machine: Machine, *, context: int
) -> MeasuredActivations:
    """Measure on models of one and of two blocks.

    Args:
        config: Of the model.
        train: Tokens of the loss at a time.
        machine: Device and precision.
        context: Tokens in a row.

    Returns:
        What follows for any number of blocks and rows.
    """

    def kept(blocks: int, rows: int) -> int:
        batch = _random_rows(config, rows, context, machine.device)
        return _kept_for_backward(_shallow(config, blocks), batch, train, machine)

    one_two, one_three, two_two, two_three = (
        kept(blocks, few) for blocks in (1, 2) for few in (2, 3)
    )
    a = two_three - two_two - one_three + one_two
    e = one_three - one_two - a
    w = two_two - one_two - 2 * a
    return MeasuredActivations(one_two - w - 2 * e - 2 * a, w, e, a, context)


def _strategy(train: TrainSpec, parallel: ParallelSpec, machine: Machine, rows: int) -> Strategy:
    """Return how the model is trained; the partition group is not known yet."""
    travels = machine.precision
    if parallel.gather_precision != "auto":
        travels = parallel.gather_precision
    return Strategy(
        layout=Layout(parallel.tensor, parallel.tensor, 1, parallel.tensor),
        micro_batch=rows,
        microsteps=2,  # gradients of the microbatch before are there; the plan is not, yet
        recompute="blocks" if train.activation_checkpointing else "none",
        precision=travels,
        optimizer="muon" if isinstance(train.optimizer, MuonSpec) else "adamw",
        reshard_after_forward=parallel.reshard_after_forward,
        prefetch=parallel.prefetch,
        loss_chunk=train.loss_chunk_tokens,
    )


def _count_weights(config: PreTrainedConfig, tensor: int) -> Weights:
    model: Any = build_meta_model(config)
    blocks = require_blocks(model)
    sizes = [sum(p.numel() for p in block.parameters()) for block in blocks]
    shapes = [sorted(p.shape) for p in blocks[sizes.index(max(sizes))].parameters() if p.ndim == 2]
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    return Weights(
        blocks=len(sizes),
        block=max(sizes) / tensor,
        in_blocks=sum(sizes) / tensor,
        outside=sum(p.numel() for p in model.parameters()) - sum(sizes),
        output=output.weight.numel(),
        is_tied=output.weight is embedding.weight,
        matrix=max((small * large for small, large in shapes), default=0) / tensor,
        gram=max((small * small for small, _ in shapes), default=0),
    )


def _activations(
    config: PreTrainedConfig,
    measured: MeasuredActivations,
    weights: Weights,
    strategy: Strategy,
    machine: Machine,
) -> Activations:
    rows, precision = strategy.micro_batch, _DTYPE_BYTES[machine.precision]
    tokens = rows * measured.context
    # With a decoder that reads an encoder, a block of each was measured: count their mean.
    kinds = 2 if config.is_encoder_decoder else 1
    # Parameters that travel in the type of the products need no copies.
    copies = measured.a_block if strategy.precision != machine.precision else 0
    every = (rows * measured.a_block_row + copies) / kinds
    stream = float(tokens * config.hidden_size * HUNMIN.residual_bytes)
    kept = stream if strategy.recompute == "blocks" else every
    ends = measured.fixed + rows * measured.a_row - weights.output * _FLOAT32
    return Activations(
        kept=kept,
        again=max(0.0, every - kept),
        working=_WORKING_SHARE * rows * measured.a_block_row / kinds,
        once=max(0.0, ends),
        stream=stream,
        loss=chunked_loss(
            tokens, strategy.loss_chunk or tokens, config.vocab_size, config.hidden_size, precision
        ),
    )


def _shallow(config: PreTrainedConfig, num_blocks: int) -> PreTrainedConfig:
    shallow = copy.deepcopy(config)
    shallow.num_hidden_layers = num_blocks
    for name in _DECODER_LAYERS:
        if hasattr(shallow, name):
            setattr(shallow, name, num_blocks)
    if getattr(shallow, "layer_types", None) is not None:
        kinds = shallow.layer_types
        shallow.layer_types = [kinds[number % len(kinds)] for number in range(num_blocks)]
    return shallow


def _random_rows(
    config: PreTrainedConfig, rows: int, context: int, device: torch.device
) -> TokenBatch | PairBatch:
    """Return rows in which every place is scored: as many as there can be."""
    ids = torch.randint(0, config.vocab_size, (rows, context), device=device)
    places = torch.arange(context, device=device).expand(rows, -1)
    segments, labels = torch.zeros_like(ids, dtype=torch.int32), ids.roll(-1, 1)
    if layout_of(config) is DataLayout.SEQUENCE:
        return PairBatch(ids, places, segments, ids, segments, labels)
    return TokenBatch(ids, labels, places, segments)


def _kept_for_backward(
    config: PreTrainedConfig, batch: TokenBatch | PairBatch, train: TrainSpec, machine: Machine
) -> int:
    """Return the bytes of all tensors that autograd keeps, parameters not counted."""
    model = optimize_model(build_model(config, seed=0, device=machine.device))
    objective: nn.Module = LanguageModelObjective(model, chunk_tokens=train.loss_chunk_tokens)
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

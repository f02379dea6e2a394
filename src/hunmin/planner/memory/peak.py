"""The moments of a step at which most memory may be in use, and the highest of them.

    forward     all blocks have kept their activations, the last one still has its parameters
    loss        the same, with logits and the gradient of the output matrix
    backward    of the last block: all activations, its parameters and gradient
                of the one before: one block's activations less, one gradient more on its way
                of the first: no activations, all gradients
    end         the gradient of the embedding, beside that of the output matrix
    optimizer   states and gradients alone, and what an update needs

Between the second and the last backward pass every block frees its activations and adds its
gradients, so the highest is at one of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hunmin.planner.memory.activations import Activations, activations_of
from hunmin.planner.memory.habits import HUNMIN, MEGATRON, Habits
from hunmin.planner.memory.use import MemoryUse
from hunmin.planner.memory.weights import Weights, stage, weights_of
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy

_FLOAT32 = 4
_BFLOAT16 = 2
_ADAMW_STATES = 8
"""Two averages, float32."""
_MUON_STATES = 4
"""One average, float32."""


def memory_use(shape: ModelShape, strategy: Strategy, habits: Habits | None = None) -> MemoryUse:
    """Return the bytes of a rank at the peak of a training step.

    Args:
        shape: The model.
        strategy: How it is trained.
        habits: What the software does with memory; hunmin's, or Megatron's for a pipeline.

    Returns:
        The moment with the highest total, of a step after the first, where all states exist.

    Note:
        Parameters of a rank are an equal share. Parts of more ranks than rows are padded by FSDP2
        to whole rows, which is a few bytes per matrix. Allocator, kernels' workspaces and the
        communication library are not counted: `MemoryUse.fits` leaves room for them.
    """
    habits = habits or (MEGATRON if strategy.pipeline > 1 else HUNMIN)
    weights = weights_of(shape, strategy, habits)
    activations = activations_of(shape, strategy, habits)
    if strategy.pipeline == 1:
        return peak(weights, activations, strategy, habits)
    ends = (
        peak(
            stage(weights, strategy.pipeline, is_last=is_last),
            activations,
            strategy,
            habits,
            in_flight=1.0 if is_last else in_flight(strategy),
        )
        for is_last in (False, True)
    )
    return max(ends, key=lambda use: use.total)


def in_flight(strategy: Strategy) -> float:
    """Return the microbatches whose activations the first stage of a pipeline holds at most.

    Args:
        strategy: Stages, interleaving and microsteps.

    Returns:
        As many as there are stages in 1F1B, and (stages - 1) / interleaved more with groups of
        layers.

    Source:
        Korthikanti et al. 2022 (arXiv:2205.05198), section 4.2.3.
    """
    stages = strategy.pipeline
    most = stages + (stages - 1) / strategy.interleaved if strategy.interleaved > 1 else stages
    return min(float(most), float(strategy.microsteps))


def peak(
    weights: Weights,
    activations: Activations,
    strategy: Strategy,
    habits: Habits,
    *,
    in_flight: float = 1.0,
) -> MemoryUse:
    """Return the highest moment of a step.

    Args:
        weights: Parameters of a tensor-parallel rank.
        activations: Of a microbatch, counted or measured.
        strategy: Partition group, prefetch, precision, optimizer.
        habits: Of the software.
        in_flight: Microbatches whose activations exist at the same time.

    Returns:
        Bytes of a rank.
    """
    return max(
        _Step(weights, activations, strategy, habits, in_flight).moments(),
        key=lambda use: use.total,
    )


class _Moment(NamedTuple):
    """What differs from one moment to another."""

    name: str
    done: int = 0
    """Blocks whose backward pass is over."""
    gathered_blocks: float = 0.0
    scattered: float = 0.0
    """Parameters whose gradients are being scattered."""
    kept_blocks: float = 0.0
    activations: float = 0.0
    logits: float = 0.0
    working: float = 0.0


@dataclass(frozen=True)
class _Step:
    weights: Weights
    activations: Activations
    strategy: Strategy
    habits: Habits
    in_flight: float

    # -- what is there all the time --------------------------------------------------------------

    @property
    def group(self) -> int:
        return self.strategy.layout.partition_group

    @property
    def sharers(self) -> int:
        """Ranks that share parameters and states of the optimizer."""
        layout = self.strategy.layout
        return layout.data_ranks if self.habits.shares_optimizer else layout.partition_group

    @property
    def is_gathered(self) -> bool:
        """Whether parameters travel at all; one process alone has nothing to gather."""
        return self.habits.gathers and self.strategy.layout.world_size > 1

    @property
    def states(self) -> float:
        """Bytes of the optimizer's states."""
        if self.strategy.optimizer == "adamw":
            return self.weights.parameters * _ADAMW_STATES / self.sharers
        in_blocks = self.weights.in_blocks * _MUON_STATES
        return (in_blocks + self.weights.outside * _ADAMW_STATES) / self.sharers

    def gradients(self, done: int) -> float:
        """Bytes of this rank's part of the gradients after some blocks' backward passes."""
        some = self.weights.in_blocks * done / self.weights.blocks
        if self.strategy.microsteps > 1:
            some = self.weights.parameters
        a_parameter = _FLOAT32
        is_cast = self.is_gathered and self.strategy.reduce_bytes != _FLOAT32
        if is_cast and self.strategy.layout.replicas > 1:
            a_parameter += self.strategy.reduce_bytes  # FSDP2 holds on to what it has summed
        return some * a_parameter / self.group

    @property
    def host(self) -> float:
        """The copy that a checkpoint is written from: parameters and states of this rank."""
        return self.weights.parameters * _FLOAT32 / self.sharers + self.states

    # -- moments ---------------------------------------------------------------------------------

    def moments(self) -> Iterator[MemoryUse]:
        blocks = self.weights.blocks
        yield self._use(self._forward())
        yield self._use(self._loss())
        yield self._use(self._loss_backward())
        for done in sorted({0, min(1, blocks - 1), blocks - 1}):
            yield self._use(self._block_begins(done))
            yield self._use(self._block_ends(done))
        yield self._use(self._end())
        yield self._use(self._update())

    def _use(self, moment: _Moment) -> MemoryUse:
        flight = self.in_flight - 1
        beside = flight * (self.weights.blocks * self.activations.kept)
        return MemoryUse(
            parameters=self.weights.parameters * _FLOAT32 / self.sharers,
            gradients=self.gradients(moment.done),
            optimizer=self.states,
            gathered=self._gathered(moment),
            communication=moment.scattered * self.strategy.reduce_bytes,
            activations=moment.kept_blocks * self.activations.kept + moment.activations + beside,
            logits=moment.logits,
            working=moment.working,
            host=self.host,
            moment=moment.name,
        )

    def _gathered(self, moment: _Moment) -> float:
        if not self.is_gathered:
            return self._copies(moment)
        if moment.name == "optimizer":
            return 0.0
        blocks = moment.gathered_blocks
        if not self.strategy.reshard_after_forward:
            buffer = self._flat if moment.kept_blocks == self.weights.blocks else 0
            blocks = max(blocks, self.weights.blocks - moment.done + buffer)
        block = self.weights.block * self.strategy.precision_bytes
        return blocks * block + self.weights.outside * _FLOAT32

    def _copies(self, moment: _Moment) -> float:
        """Whole parameters in the precision of matrix products; in float32 there is no need.

        Autocast makes them in the forward pass and frees them with the activations.
        """
        copies = self.strategy.precision_bytes % _FLOAT32
        done = moment.done if self.habits.gathers else 0
        return (self.weights.blocks - done) * self.weights.block * copies

    @property
    def _flat(self) -> int:
        """Buffers: a group of one rank unpacks from its own part."""
        return 1 if self.group > 1 else 0

    def _ahead(self, left: int) -> int:
        return min(self.strategy.prefetch, left) * self._flat

    def _forward(self) -> _Moment:
        """The last block: the buffer it was unpacked from is freed by the next one."""
        return _Moment(
            "forward",
            gathered_blocks=1 + self._flat,
            kept_blocks=self.weights.blocks,
            activations=self.activations.again + self.activations.once,
            working=self.activations.stream,
        )

    def _loss(self) -> _Moment:
        return _Moment(
            "loss",
            gathered_blocks=self._flat,
            kept_blocks=self.weights.blocks,
            activations=self.activations.once,
            logits=self._output_gradient + self.activations.loss + 2 * self._end_stream,
        )

    def _loss_backward(self) -> _Moment:
        """The gradient of the output matrix is scaled into a second one."""
        return _Moment(
            "loss",
            gathered_blocks=self._flat,
            kept_blocks=self.weights.blocks,
            activations=self.activations.once,
            logits=2 * self._output_gradient + self._unchunked_loss + 3 * self._end_stream,
        )

    def _block_begins(self, done: int) -> _Moment:
        left = self.weights.blocks - done
        return _Moment(
            "backward",
            done=done,
            gathered_blocks=1 + self._ahead(left - 1),
            scattered=self._scattered if done else 0.0,
            kept_blocks=left,
            activations=self.activations.again + self.activations.once,
            logits=self._output_gradient,
            working=self.activations.working + self.weights.matrix * self._gradient_bytes,
        )

    def _block_ends(self, done: int) -> _Moment:
        left = self.weights.blocks - done
        return _Moment(
            "backward",
            done=done,
            gathered_blocks=1 + self._ahead(left - 1),
            scattered=self._scattered if done else 0.0,
            kept_blocks=left - 1,
            activations=self.activations.once + self.activations.stream,
            logits=self._output_gradient,
            working=2 * self.activations.stream + self.weights.block * self._gradient_bytes,
        )

    def _end(self) -> _Moment:
        """Input and output have a gradient each, of which the sum is taken if they are tied."""
        gradient = self.weights.outside * _FLOAT32
        if self.weights.is_tied:
            gradient += self._output_gradient
        return _Moment(
            "backward",
            done=self.weights.blocks,
            scattered=self._scattered,
            activations=self.activations.once,
            working=gradient + self.activations.stream,
        )

    def _update(self) -> _Moment:
        working = 0.0
        if self.strategy.optimizer == "muon":
            working = _BFLOAT16 * (_MUON_MATRICES * self._whole_matrix + 3 * self.weights.gram)
        return _Moment("optimizer", done=self.weights.blocks, working=working)

    # -- pieces ----------------------------------------------------------------------------------

    @property
    def _whole_matrix(self) -> float:
        return self.weights.matrix * self.strategy.layout.tensor

    @property
    def _scattered(self) -> float:
        return self.weights.block if self.is_gathered else 0.0

    @property
    def _gradient_bytes(self) -> int:
        """Of a block's gradient as the backward pass computes it."""
        return self.strategy.precision_bytes

    @property
    def _output_gradient(self) -> float:
        return self.weights.output * _FLOAT32

    @property
    def _end_stream(self) -> float:
        return self.activations.stream if self.weights.output else 0.0

    @property
    def _unchunked_loss(self) -> float:
        return 0.0 if self.habits.chunks_loss else self.activations.loss


_MUON_MATRICES = 9
"""Copies of a rank's whole matrix in bfloat16: two rounds on their way, and the iteration's own."""

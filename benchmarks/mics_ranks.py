"""What every rank of mics_scaling.py does: train the same model under several engines in turn.

The model has real parameters, which are really gathered, reduced and updated; in place of its
arithmetic it waits, as a rank waits whose device computes. So a small machine can hold many ranks.
"""

from __future__ import annotations

import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from tests.support.namespaces import Traffic, count_traffic
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hunmin.parallel.collectives import primitives
from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import build_mesh
from hunmin.parallel.sharding import shard_module

LEARNING_RATE = 1e-3
ROW = 256
FORWARD_SHARE = 1 / 3


@dataclass(frozen=True)
class Contender:
    """One way to train.

    Args:
        name: For tables.
        engine: fsdp2 (torch as it is, ZeRO-3), deepspeed (its ZeRO-3) or hunmin.
        ahead: Whether FSDP2 gathers parameters in the background, a block ahead. On a GPU its
            streams do so anyway; on a CPU it has to be asked, which hunmin does.
        nodes_per_group: Nodes of a partition group, for hunmin; 0 is all.
        hierarchical: As of the layout, for hunmin.
        two_hop: As of the layout, for hunmin.
    """

    name: str
    engine: str
    ahead: bool = False
    nodes_per_group: int = 0
    hierarchical: bool = False
    two_hop: bool = True

    def layout(self, nodes: int, ranks_per_node: int) -> Layout:
        """Return how ranks share the model on a cluster."""
        group_nodes = min(self.nodes_per_group or nodes, nodes)
        return Layout(
            world_size=nodes * ranks_per_node,
            ranks_per_node=ranks_per_node,
            partition_group=group_nodes * ranks_per_node,
            hierarchical=self.hierarchical and group_nodes > 1,
            two_hop=self.two_hop,
        )


@dataclass(frozen=True)
class Job:
    """What all contenders train.

    Args:
        nodes: Nodes of the cluster.
        ranks_per_node: Ranks on each.
        blocks: Blocks of the model.
        block_numbers: Parameters of each.
        microsteps: Forward and backward passes of a step.
        ring: Whether reduce-scatter sends what a ring sends, as NCCL's does; gloo's own sends twice
            that.
    """

    nodes: int
    ranks_per_node: int
    blocks: int
    block_numbers: int
    microsteps: int
    ring: bool

    @property
    def parameter_bytes(self) -> int:
        """All parameters in float32."""
        return self.blocks * self.block_numbers * 4


@dataclass(frozen=True)
class Turn:
    """One optimizer step of a contender, as one rank saw it.

    Args:
        contender: Its name.
        pause: Seconds of waiting in each microstep.
        seconds: The step took.
        traffic: Of this rank's node.
        value: One parameter after the step, for comparison.
    """

    contender: str
    pause: float
    seconds: float
    traffic: Traffic
    value: float


class Engine(Protocol):
    """A model made ready by one contender."""

    def step(self, pause: float) -> None:
        """Do one optimizer step, waiting that long in each microstep."""

    def value(self) -> float:
        """Return the mean of the parameters."""


# -- the model -----------------------------------------------------------------------------------


class Pause:
    """How long each block waits; shared by all blocks of a model."""

    def __init__(self) -> None:
        self.seconds = 0.0


class _Waiting(torch.autograd.Function):
    """Passes a number through; every entry of the weight gets its gradient."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, pause: Pause) -> Tensor:
        context.shape, context.pause = weight.shape, pause
        time.sleep(pause.seconds * FORWARD_SHARE)
        return x.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        time.sleep(context.pause.seconds * (1 - FORWARD_SHARE))
        return gradient, torch.full(context.shape, float(gradient)), None


class WaitingBlock(nn.Module):
    """A block that has parameters and waits instead of using them."""

    def __init__(self, numbers: int, pause: Pause) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(numbers // ROW, ROW))
        self.pause = pause

    def forward(self, x: Tensor) -> Tensor:
        """Wait, and return the input."""
        passed: Tensor = _Waiting.apply(x, self.weight, self.pause)
        return passed


class WaitingModel(nn.Module):
    """Blocks after one another; the forward pass is the loss."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.pause = Pause()
        self.blocks = nn.ModuleList(
            WaitingBlock(job.block_numbers, self.pause) for _ in range(job.blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss, whose gradient by every parameter is x."""
        start = torch.ones((), requires_grad=True)
        for block in self.blocks:
            start = block(start)
        return start * x


def microbatches(job: Job) -> Iterator[Tensor]:
    """Yield this rank's rows of each microstep, already divided by the microsteps."""
    for microstep in range(job.microsteps):
        yield torch.tensor((1.0 + dist.get_rank() + 10 * microstep) / job.microsteps)


def expected_value(job: Job, steps: int) -> float:
    """Return what every parameter is after some steps, by hand."""
    ranks = job.nodes * job.ranks_per_node
    mean = 1 + (ranks - 1) / 2 + 10 * (job.microsteps - 1) / 2
    return -LEARNING_RATE * mean * steps


# -- engines -------------------------------------------------------------------------------------


class ShardedEngine:
    """FSDP2 as torch has it, or under hunmin.

    Args:
        model: Already sharded.
        job: What to train.
        begin_microstep: Told before each microstep whether it is the last.
    """

    def __init__(
        self, model: WaitingModel, job: Job, begin_microstep: Callable[[bool], None] | None = None
    ) -> None:
        self._model, self._job = model, job
        self._begin = begin_microstep or (lambda is_last: None)
        self._optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)

    def step(self, pause: float) -> None:
        """Do one optimizer step, waiting that long in each microstep."""
        self._model.pause.seconds = pause / self._job.blocks
        for number, batch in enumerate(microbatches(self._job), 1):
            self._begin(number == self._job.microsteps)
            self._model(batch).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()

    def value(self) -> float:
        """Return the mean of this rank's parameters."""
        parts = [p.to_local() for p in self._model.parameters()]  # type: ignore[attr-defined]
        return float(torch.cat([part.flatten() for part in parts]).mean())


def fsdp2_engine(job: Job, contender: Contender) -> Engine:
    """ZeRO-3 by torch alone: no line of hunmin takes part."""
    model = WaitingModel(job)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    if contender.ahead:
        _gather_one_block_ahead(list(model.blocks))
        model._set_unshard_async_op(True)  # type: ignore[operator]
    return ShardedEngine(model, job)


def _gather_one_block_ahead(blocks: list[Any]) -> None:
    for index, block in enumerate(blocks):
        block.set_modules_to_forward_prefetch(blocks[index + 1 : index + 2])
        block.set_modules_to_backward_prefetch(blocks[max(0, index - 1) : index])


def hunmin_engine(job: Job, contender: Contender) -> Engine:
    """Partition groups."""
    model = WaitingModel(job)
    layout = contender.layout(job.nodes, job.ranks_per_node)
    synchronizer = shard_module(model, list(model.blocks), layout, build_mesh(layout, "cpu"))
    return ShardedEngine(model, job, lambda is_last: synchronizer.begin_microstep(is_last=is_last))


class DeepSpeedEngine:
    """ZeRO-3 of DeepSpeed, its thresholds scaled to the size of the model.

    With the defaults a model of less than 10^9 parameters stays gathered from the forward to the
    backward pass, which would be ZeRO-2.

    Args:
        job: What to train.
    """

    def __init__(self, job: Job) -> None:
        import deepspeed

        self._job = job
        self._model = WaitingModel(job)
        deepspeed.init_distributed("gloo", verbose=False)
        self._engine, *_ = deepspeed.initialize(
            model=self._model, model_parameters=self._model.parameters(), config=self._config()
        )

    def _config(self) -> dict[str, Any]:
        numbers = self._job.block_numbers
        return {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": self._job.microsteps,
            "zero_optimization": {
                "stage": 3,
                "stage3_max_live_parameters": 2 * numbers,
                "stage3_max_reuse_distance": 0,
                "stage3_prefetch_bucket_size": numbers,
                "stage3_param_persistence_threshold": 0,
                "reduce_bucket_size": numbers,
            },
            "optimizer": {"type": "SGD", "params": {"lr": LEARNING_RATE}},
            "zero_allow_untested_optimizer": True,
            "gradient_clipping": 0.0,
            "steps_per_print": 10**9,
        }

    def step(self, pause: float) -> None:
        """Do one optimizer step, waiting that long in each microstep."""
        self._model.pause.seconds = pause / self._job.blocks
        for batch in microbatches(self._job):
            # DeepSpeed divides by the microsteps itself.
            self._engine.backward(self._engine(batch * self._job.microsteps))
            self._engine.step()

    def value(self) -> float:
        """Return the mean of this rank's parameters."""
        parts = [parameter.ds_tensor.flatten() for parameter in self._model.parameters()]
        return float(torch.cat(parts).mean())


def has_deepspeed() -> bool:
    """Whether DeepSpeed is installed here."""
    return importlib.util.find_spec("deepspeed") is not None


def build_engine(job: Job, contender: Contender) -> Engine:
    """Make the model ready for a contender; collective."""
    if contender.engine == "deepspeed":
        return DeepSpeedEngine(job)
    if contender.engine == "hunmin":
        return hunmin_engine(job, contender)
    return fsdp2_engine(job, contender)


# -- reduce-scatter with the volume of a ring ----------------------------------------------------


def ring_reduce_scatter(
    output: Tensor,
    input: Tensor,
    op: Any = dist.ReduceOp.SUM,
    group: dist.ProcessGroup | None = None,
    async_op: bool = False,
) -> None:
    """Reduce-scatter in a ring: each rank sends (p-1)/p of the message, as with NCCL."""
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    chunks = list(input.reshape(-1).chunk(size)) if size > 1 else [input.reshape(-1)]
    total = chunks[(rank - 1) % size].clone()
    for turn in range(size - 1):
        arrived = torch.empty_like(total)
        sending = dist.isend(total, group=group, group_dst=(rank + 1) % size)
        dist.recv(arrived, group=group, group_src=(rank - 1) % size)
        if sending is not None:
            sending.wait()
        total = arrived.add_(chunks[(rank - turn - 2) % size])
    is_mean = op in (dist.ReduceOp.AVG, "avg")
    output.view(-1).copy_(total / size if is_mean else total)


def use_ring() -> None:
    """Let torch, hunmin and DeepSpeed all reduce-scatter in a ring."""
    for name in ("reduce_scatter_single", "reduce_scatter_tensor"):
        setattr(dist, name, ring_reduce_scatter)
    primitives._reduce_scatter = lambda part, whole, **rest: ring_reduce_scatter(
        part, whole, **rest
    )


# -- turns ---------------------------------------------------------------------------------------


def take_turns(
    job: Job, contenders: list[Contender], pauses: list[float], rounds: int
) -> list[Turn]:
    """Let contenders take turns on the ranks of a cluster; sent to each of them by name."""
    warnings.simplefilter("ignore", FutureWarning)
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if job.ring:
        use_ring()
    engines = {contender.name: build_engine(job, contender) for contender in contenders}
    steps = dict.fromkeys(engines, 0)
    for name, engine in engines.items():
        engine.step(0.0)  # Makes connections.
        steps[name] += 1
    turns = []
    for _ in range(rounds):
        for pause in pauses:
            for name, engine in engines.items():
                steps[name] += 1
                turns.append(_take_turn(name, engine, job, pause, steps[name]))
    return turns


def _take_turn(name: str, engine: Engine, job: Job, pause: float, steps: int) -> Turn:
    elapsed = math.nan

    def work() -> None:
        nonlocal elapsed
        started = time.perf_counter()
        engine.step(pause)
        dist.barrier()
        elapsed = time.perf_counter() - started

    traffic = count_traffic(work)
    value, expected = engine.value(), expected_value(job, steps)
    if not math.isclose(value, expected, rel_tol=1e-4):
        raise RuntimeError(f"{name} trains wrong: {value} after {steps} steps, not {expected}")
    return Turn(name, pause, elapsed, traffic, value)

"""What every rank of planner_emulated.py measures: collectives alone, and steps without a network.

Neither knows anything of a training step over the network: these figures are put into the planner.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from mics_ranks import (
    LEARNING_RATE,
    Contender,
    Job,
    Turn,
    WaitingModel,
    microbatches,
    take_turns,
    use_ring,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hunmin.parallel.collectives.flat import FlatAllGather, FlatReduceScatter
from hunmin.parallel.collectives.groups import build_node_groups
from hunmin.parallel.collectives.hierarchical import (
    HierarchicalAllGather,
    HierarchicalReduceScatter,
)
from hunmin.parallel.collectives.meter import CommunicationMeter
from hunmin.parallel.collectives.primitives import AllGather, ReduceScatter
from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import REPLICATE, SHARD, build_mesh

Kind = Literal["gather", "scatter", "all_reduce"]
Call = Callable[[], object]
IN_A_ROW = 4


@dataclass(frozen=True)
class Message:
    """One collective of a layout.

    Args:
        layout: Which ranks take part.
        kind: As the planner's network has them.
        numbers: Values in float32: gathered output, or input of a reduction.
    """

    layout: Layout
    kind: Kind
    numbers: int

    @property
    def bytes(self) -> int:
        """The whole message."""
        return 4 * self.numbers


@dataclass(frozen=True)
class Alone:
    """A step of one rank beside the others, without any network.

    Args:
        forward: Seconds of the forward passes of a microstep.
        backward: The same of backward passes.
        optimizer: Seconds of the update.
    """

    forward: float
    backward: float
    optimizer: float


@dataclass(frozen=True)
class Session:
    """What a rank measured on one cluster.

    Args:
        messages: Seconds of each message, round by round.
        alone: Steps without a network.
        turns: Training steps, as mics_ranks.py takes them.
    """

    messages: list[list[float]]
    alone: list[Alone]
    turns: list[Turn]


@dataclass(frozen=True)
class Plan:
    """What is measured on a cluster.

    Args:
        job: The model and its steps.
        messages: Collectives.
        pauses: Seconds of waiting in a microstep.
        contenders: Who trains; may be empty.
        rounds: Of each, before and again after the training.
    """

    job: Job
    messages: tuple[Message, ...]
    pauses: tuple[float, ...]
    contenders: tuple[Contender, ...]
    rounds: int


def measure(plan: Plan) -> Session:
    """Measure everything; sent to each rank of a cluster by name."""
    warnings.simplefilter("ignore", FutureWarning)
    use_ring()
    calls = prepare(plan.messages)
    alone = LoneModel(plan.job)
    messages: list[list[float]] = [[] for _ in calls]
    steps: list[Alone] = []

    def calibrate() -> None:
        for number in range(plan.rounds + 1):
            seconds = [time_call(call) for call in calls]
            lone = alone.step()
            if number > 0:  # The first makes connections.
                steps.append(lone)
                for found, value in zip(messages, seconds, strict=True):
                    found.append(value)

    calibrate()
    turns: list[Turn] = []
    if plan.contenders:
        turns = take_turns(plan.job, list(plan.contenders), list(plan.pauses), 2 * plan.rounds)
        calibrate()
    return Session(messages, steps, turns)


# -- collectives -----------------------------------------------------------------------------------


def prepare(messages: tuple[Message, ...]) -> list[Call]:
    """Make groups and buffers of each message; collective."""
    layouts = dict.fromkeys(message.layout for message in messages)
    channels = {layout: Channel(layout) for layout in layouts}
    return [channels[message.layout].call(message) for message in messages]


class Channel:
    """The collectives of a layout as hunmin calls them, without what measures them in training.

    Args:
        layout: Which rank lies where.
    """

    def __init__(self, layout: Layout) -> None:
        mesh = build_mesh(layout, "cpu")
        self.layout = layout
        self.shard, self.replicas = mesh.get_group(SHARD), mesh.get_group(REPLICATE)
        self.gather: AllGather = FlatAllGather()
        self.scatter: ReduceScatter = FlatReduceScatter()
        if layout.hierarchical:
            groups = build_node_groups(layout, self.shard)
            meter = CommunicationMeter(torch.device("cpu"))
            self.gather = HierarchicalAllGather(groups, meter)
            self.scatter = HierarchicalReduceScatter(groups, meter)

    def call(self, message: Message) -> Call:
        """Return what sends a message."""
        whole = torch.ones(message.numbers)
        part = torch.ones(message.numbers // self.layout.partition_group)
        if message.kind == "gather":
            return lambda: self.gather(whole, part, self.shard)
        if message.kind == "scatter":
            return lambda: self.scatter(part, whole, self.shard, dist.ReduceOp.AVG)
        return lambda: dist.all_reduce(part, dist.ReduceOp.SUM, self.replicas)


def time_call(call: Call) -> float:
    """Return the seconds of a collective, the mean of some without a pause.

    A shaped link lets a first burst pass after it has rested; in a row that hardly counts.
    """
    dist.barrier()
    started = time.perf_counter()
    for _ in range(IN_A_ROW):
        call()
    return (time.perf_counter() - started) / IN_A_ROW


# -- a step without a network ----------------------------------------------------------------------


class LoneModel:
    """The model in a group of one: torch does all that it does otherwise, and sends nothing.

    Args:
        job: What is trained.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model = WaitingModel(job)
        mesh = init_device_mesh("cpu", (dist.get_world_size(), 1), mesh_dim_names=("all", "one"))
        for module in (*self.model.blocks, self.model):
            fully_shard(module, mesh=mesh["one"])
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE)

    def step(self) -> Alone:
        """Do one step without waiting, all ranks at a time as in step with each other."""
        forward, backward = [], []
        dist.barrier()
        for batch in microbatches(self.job):
            times = [time.perf_counter()]
            loss = self.model(batch)
            times.append(time.perf_counter())
            loss.backward()
            times.append(time.perf_counter())
            forward.append(times[1] - times[0])
            backward.append(times[2] - times[1])
        started = time.perf_counter()
        self.optimizer.step()
        self.optimizer.zero_grad()
        update = time.perf_counter() - started
        return Alone(statistics.mean(forward), statistics.mean(backward), update)

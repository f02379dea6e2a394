"""A whole run: days, money and energy, its checkpoints, and what failures take.

seconds of a step ──┬── tokens/s, days, cost, energy          if nothing ever happened
model, optimizer ───┼── bytes of a checkpoint ── seconds to copy and to write it
failures, restart ──┴── time between checkpoints ── goodput ── days and cost to expect
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hunmin.core.errors import InputError
from hunmin.planner.checks import check_number
from hunmin.planner.cluster import Cluster
from hunmin.planner.run.failures import (
    DAY,
    FAILURES_PER_DEVICE_DAY,
    RESTART_SECONDS,
    TimeShares,
    best_interval,
    seconds_between_failures,
    time_shares,
)
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Optimizer, Strategy

HOST_BANDWIDTH = 12e9
"""Bytes a second that a device copies to the memory of its host: about three quarters of the
15.8 GB/s of PCIe 3.0 with 16 lanes, the slowest link that devices of the catalogue have."""
_FLOAT32 = 4
_STATES = {"adamw": 2, "muon": 1}
"""float32 values of optimizer state for each entry of a block's matrices."""
_HOUR = 3600.0
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class RunWishes:
    """What a user says about a run.

    Args:
        tokens: To train on; repeated ones count.
        price: Of a node and hour, in any money; None for no cost.
        failures_per_device_day: Of one device with its share of node and network; 0 for none.
        restart_seconds: From a failure to the first new step: finding it out, replacing a node,
            starting, and reading the checkpoint.
        checkpoint_every: Steps between checkpoints, or the best number of them.
        in_background: Whether training goes on while a checkpoint is written.
        storage_bandwidth: Bytes a second that a node writes to shared storage; None for what the
            cluster says.
        host_bandwidth: Bytes a second that a device copies to its host.

    Raises:
        InputError: A number is impossible.
    """

    tokens: int
    price: float | None = None
    failures_per_device_day: float = FAILURES_PER_DEVICE_DAY
    restart_seconds: float = RESTART_SECONDS
    checkpoint_every: int | Literal["best"] = "best"
    in_background: bool = True
    storage_bandwidth: float | None = None
    host_bandwidth: float = HOST_BANDWIDTH

    def __post_init__(self) -> None:
        check_number(self.tokens, where="tokens", at_least=1)
        check_number(self.price, where="price of a node and hour", at_least=0)
        check_number(self.failures_per_device_day, where="failures a device and day", at_least=0)
        check_number(self.restart_seconds, where="seconds of a restart", at_least=0)
        check_number(self.storage_bandwidth, where="bytes/s to storage", above=0)
        check_number(self.host_bandwidth, where="bytes/s to the host", above=0)
        if self.checkpoint_every != "best":
            check_number(self.checkpoint_every, where="steps between checkpoints", at_least=1)


@dataclass(frozen=True)
class CheckpointPlan:
    """A checkpoint, and how often there is one.

    Args:
        bytes: All files together.
        in_background: Whether it is written while training goes on.
        copy_seconds: Copying what a device holds to its host.
        write_seconds: Writing it to shared storage, all nodes at once; None if the speed of the
            storage is not known.
        pause_seconds: How long training stands still for it; None if not known.
        every_steps: Steps between two; None if not known.
        every_seconds: The same in seconds of steps.
    """

    bytes: int
    in_background: bool
    copy_seconds: float
    write_seconds: float | None
    pause_seconds: float | None
    every_steps: int | None
    every_seconds: float | None


@dataclass(frozen=True)
class Spending:
    """What a run takes.

    Args:
        days: Of all nodes.
        cost: Money; None without a price.
        energy_kwh: Of the devices alone, at the power of training all the time: processors,
            network, cooling and losses come on top. None if the catalogue knows no power.
    """

    days: float
    cost: float | None
    energy_kwh: float | None


@dataclass(frozen=True)
class RunPlan:
    """A whole run.

    Args:
        tokens_per_step: Of an optimizer step over all devices.
        steps: Optimizer steps.
        step_seconds: Of each.
        tokens_per_second: Of all devices.
        tokens_per_second_per_device: Of one.
        ideal: What steps alone take.
        checkpoint: Size, time and interval.
        seconds_between_failures: Mean; None if there are none.
        shares: Where the time goes; None if not known.
        expected: What it takes with checkpoints and failures, on average; None if not known.
        expected_failures: How many; None if not known.
        notes: What is missing, and what to do about it.
    """

    tokens_per_step: int
    steps: int
    step_seconds: float
    tokens_per_second: float
    tokens_per_second_per_device: float
    ideal: Spending
    checkpoint: CheckpointPlan
    seconds_between_failures: float | None
    shares: TimeShares | None
    expected: Spending | None
    expected_failures: float | None
    notes: tuple[str, ...]

    @property
    def goodput(self) -> float | None:
        """Share of the time in steps that count."""
        return None if self.shares is None else self.shares.goodput

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON value."""
        return {**asdict(self), "notes": list(self.notes)}


def derive_run(
    step_seconds: float,
    shape: ModelShape,
    strategy: Strategy,
    cluster: Cluster,
    wishes: RunWishes,
) -> RunPlan:
    """Derive a run; a pure function.

    Args:
        step_seconds: Of an optimizer step.
        shape: The model.
        strategy: How it is trained.
        cluster: Where; all of its nodes are taken and paid for.
        wishes: What the user says.

    Returns:
        The plan.

    Raises:
        InputError: The strategy is for another number of devices, a number is impossible, or
            failures come faster than restarts.

    Note:
        Evaluations on held-out text and the start of the run are not in it.
    """
    check_number(step_seconds, where="seconds of a step", above=0)
    _refuse_other_cluster(strategy, cluster)
    tokens_per_step = strategy.rows_per_step * shape.context
    steps = math.ceil(wishes.tokens / tokens_per_step)
    between = seconds_between_failures(strategy.devices, wishes.failures_per_device_day)
    checkpoint, shares = _plan_checkpoints(
        _size_checkpoint(shape, strategy, cluster, wishes), wishes, between, steps, step_seconds
    )
    seconds = steps * step_seconds
    total = None if shares is None else seconds / shares.goodput
    return RunPlan(
        tokens_per_step=tokens_per_step,
        steps=steps,
        step_seconds=step_seconds,
        tokens_per_second=tokens_per_step / step_seconds,
        tokens_per_second_per_device=tokens_per_step / step_seconds / strategy.devices,
        ideal=_spending(seconds, cluster, wishes.price),
        checkpoint=checkpoint,
        seconds_between_failures=between if math.isfinite(between) else None,
        shares=shares,
        expected=None if total is None else _spending(total, cluster, wishes.price),
        expected_failures=None if total is None else total / between,
        notes=tuple(_notes(cluster, checkpoint)),
    )


def _refuse_other_cluster(strategy: Strategy, cluster: Cluster) -> None:
    if strategy.devices != cluster.devices:
        raise InputError(
            "the strategy is made for another number of devices than the cluster has",
            where=cluster.name,
            given=f"{strategy.layout.describe()}, {strategy.pipeline} pipeline stages",
            allowed=f"{cluster.devices} devices: {cluster.nodes} nodes of "
            f"{cluster.devices_per_node}",
        )


def checkpoint_bytes(shape: ModelShape, optimizer: Optimizer) -> int:
    """Return the size of a checkpoint that hunmin writes.

    Args:
        shape: The model.
        optimizer: AdamW: 12 bytes a parameter (the parameter and two averages, all float32).
            Muon: 8 for matrices of blocks, which have one average, and 12 for the rest.

    Returns:
        Bytes of all tensors. Counters, the states of random generators (about 5 kB a rank) and
        the index are not in it.
    """
    matrices = shape.layers * sum(inputs * outputs for inputs, outputs in shape.block_matrices)
    others = shape.parameters - matrices
    values = matrices * (1 + _STATES[optimizer]) + others * (1 + _STATES["adamw"])
    return _FLOAT32 * values


def _size_checkpoint(
    shape: ModelShape, strategy: Strategy, cluster: Cluster, wishes: RunWishes
) -> CheckpointPlan:
    """Parts that several ranks hold are copied by each of them, and written by one of them.

    Which one is chosen so that all write about as much: every node writes its share.
    """
    size = checkpoint_bytes(shape, strategy.optimizer)
    layout = strategy.layout
    held = size / (layout.partition_group * layout.tensor * strategy.pipeline)
    copy = held / wishes.host_bandwidth
    bandwidth = wishes.storage_bandwidth or cluster.storage_bandwidth
    write = None if bandwidth is None else size / cluster.nodes / bandwidth
    # One process alone always writes at once.
    in_background = wishes.in_background and strategy.devices > 1
    pause = copy if in_background else write
    return CheckpointPlan(size, in_background, copy, write, pause, None, None)


def _plan_checkpoints(
    plan: CheckpointPlan, wishes: RunWishes, between: float, steps: int, step_seconds: float
) -> tuple[CheckpointPlan, TimeShares | None]:
    """Choose how often, in whole steps, and say where the time goes then."""
    if plan.pause_seconds is None or plan.write_seconds is None:
        return plan, None
    pause = plan.pause_seconds
    # What is written while training stands still is safe when it goes on.
    write = plan.write_seconds if plan.in_background else 0.0

    def shares(every: int) -> TimeShares:
        return time_shares(
            every * step_seconds, pause, between, restart=wishes.restart_seconds, write=write
        )

    if wishes.checkpoint_every == "best":
        best = min(best_interval(pause, between, write=write) / step_seconds, float(steps))
        candidates = {max(1, math.floor(best)), max(1, min(steps, math.ceil(best)))}
        every = max(candidates, key=lambda number: shares(number).goodput)
    else:
        every = min(wishes.checkpoint_every, steps)
    chosen = replace(plan, every_steps=every, every_seconds=every * step_seconds)
    return chosen, shares(every)


def _spending(seconds: float, cluster: Cluster, price: float | None) -> Spending:
    power = cluster.device.power
    return Spending(
        days=seconds / DAY,
        cost=None if price is None else price * cluster.nodes * seconds / _HOUR,
        energy_kwh=None if power is None else power * cluster.devices * seconds / _JOULES_PER_KWH,
    )


def _notes(cluster: Cluster, checkpoint: CheckpointPlan) -> Iterator[str]:
    if checkpoint.write_seconds is None:
        yield (
            f"how fast a node of {cluster.name} writes to shared storage is not known: give it "
            "to learn the time of a checkpoint, how often to write one, and the goodput"
        )
    if cluster.device.power is None:
        yield f"the power of {cluster.device.name} is not known: no energy"

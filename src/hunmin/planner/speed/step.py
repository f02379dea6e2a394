"""One optimizer step on a time line: what is computed, what is sent, what hides behind what.

    compute   ─── forward 1 ─ forward 2 ─ ... ─ loss ─ backward n ─ ... ─ backward 1 ─ optimizer
    network   gather 1 ─ gather 2 ─ ...   gather n-1 ─ scatter n ─ gather n-2 ─ ... ─ all-reduce

Two streams, each doing one thing at a time. A block's computation waits for its parameters; they
are asked for when the computation of the block `prefetch` places before begins. Gradients leave
when the block's backward pass has ended. In the last microstep the copies of the model are
synchronised behind each scatter.

One microstep in the middle and the last one are simulated, block by block; the step is put together
from them. Pipelines add their bubble in closed form.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hunmin.planner.cluster import Cluster
from hunmin.planner.shape import ModelShape
from hunmin.planner.software import Software
from hunmin.planner.speed.costs import StepCosts, derive_costs
from hunmin.planner.speed.timeline import OUTSIDE, Event, Timeline, simulate
from hunmin.planner.strategy import Strategy

_SIMULATED = 3
"""Microsteps on the time line: a first, one in the middle and a last one."""


@dataclass(frozen=True)
class StepTime:
    """Where the seconds of an optimizer step go; all of them add up to `seconds`.

    Args:
        seconds: The whole step.
        computing: Seconds of computing, by kind.
        exposed: Seconds in which the device waits for the network, by the kind of collective.
        optimizer: Seconds of the update.
        bubble: Seconds in which pipeline stages wait for each other.
        sending: Seconds in which the network is busy, by kind, hidden or not.
        events: Time line of the simulated microsteps and the update.
    """

    seconds: float
    computing: Mapping[str, float]
    exposed: Mapping[str, float]
    optimizer: float
    bubble: float
    sending: Mapping[str, float]
    events: tuple[Event, ...]

    @property
    def exposed_seconds(self) -> float:
        """All waiting for the network."""
        return sum(self.exposed.values())


def step_time(
    shape: ModelShape, strategy: Strategy, cluster: Cluster, software: Software
) -> StepTime:
    """Predict the time of one optimizer step.

    Args:
        shape: The model.
        strategy: Layout, microbatches, recomputation.
        cluster: Devices and links.
        software: Constants of the program.

    Returns:
        The step; every rank is taken to be as fast as the others.
    """
    return assemble_step(derive_costs(shape, strategy, cluster, software), strategy)


def assemble_step(costs: StepCosts, strategy: Strategy) -> StepTime:
    """Put a step together from what its parts cost, wherever these figures come from.

    Args:
        costs: Seconds of each part.
        strategy: Microsteps, prefetch, resharding, one hop or two, pipeline.

    Returns:
        The step.
    """
    simulated = min(strategy.microsteps, _SIMULATED)
    line = simulate(costs, strategy, simulated)
    total = _spend(line, 0.0, line.end)
    if strategy.microsteps > simulated:
        middle = _spend(line, *line.boundaries[:2])
        total = total.plus(middle, strategy.microsteps - simulated)
    bubble = (strategy.pipeline - 1) / strategy.interleaved * total.seconds / strategy.microsteps
    update = Event(
        "compute", "optimizer", OUTSIDE, simulated - 1, line.end, line.end + costs.optimizer
    )
    return StepTime(
        seconds=total.seconds + bubble + costs.optimizer,
        computing=total.computing,
        exposed=total.exposed,
        optimizer=costs.optimizer,
        bubble=bubble,
        sending=total.sending,
        events=(*line.events, update),
    )


@dataclass(frozen=True)
class _Spent:
    """Seconds of a stretch of a time line, by kind."""

    seconds: float
    computing: Mapping[str, float]
    exposed: Mapping[str, float]
    sending: Mapping[str, float]

    def plus(self, other: _Spent, times: int) -> _Spent:
        return _Spent(
            self.seconds + times * other.seconds,
            _add(self.computing, other.computing, times),
            _add(self.exposed, other.exposed, times),
            _add(self.sending, other.sending, times),
        )


def _add(ours: Mapping[str, float], theirs: Mapping[str, float], times: int) -> dict[str, float]:
    kinds = [*ours, *(kind for kind in theirs if kind not in ours)]
    return {kind: ours.get(kind, 0.0) + times * theirs.get(kind, 0.0) for kind in kinds}


def _spend(line: Timeline, start: float, end: float) -> _Spent:
    busy = [event for event in line.events if event.stream == "compute"]
    sent = [event for event in line.events if event.stream == "network"]
    pauses = list(_pauses(busy, start, end))
    return _Spent(
        end - start,
        _overlap(busy, [(start, end)]),
        _overlap(sent, pauses),
        _overlap(sent, [(start, end)]),
    )


def _pauses(busy: Sequence[Event], start: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield when nothing is computed between start and end."""
    idle_since = start
    for event in busy:
        if idle_since < min(event.start, end):
            yield idle_since, min(event.start, end)
        idle_since = max(idle_since, event.end)
    if idle_since < end:
        yield idle_since, end


def _overlap(events: Sequence[Event], windows: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Sum the seconds of events, by kind, that fall into windows; both are in order of time."""
    seconds: defaultdict[str, float] = defaultdict(float)
    ahead = iter(windows)
    window = next(ahead, None)
    for event in events:
        while window is not None:
            inside = min(event.end, window[1]) - max(event.start, window[0])
            if inside > 0:
                seconds[event.kind] += inside
            if window[1] > event.end:
                break
            window = next(ahead, None)
    return dict(seconds)

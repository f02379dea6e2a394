"""Events of microsteps on two streams: what a device computes, and what the network carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hunmin.planner.speed.costs import StepCosts, UnitCosts
from hunmin.planner.strategy import Strategy

Stream = Literal["compute", "network"]
Kind = Literal[
    "forward", "loss", "backward", "tensor", "optimizer", "gather", "scatter", "all_reduce"
]


@dataclass(frozen=True)
class Event:
    """Something that takes time.

    Args:
        stream: Where it happens.
        kind: What it is.
        block: Of which block; -1 for what is outside of the blocks.
        microstep: Of which microstep, from 0.
        start: Seconds since the step began.
        end: Seconds since the step began.
    """

    stream: Stream
    kind: Kind
    block: int
    microstep: int
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.end - self.start


OUTSIDE = -1


@dataclass(frozen=True)
class Visit:
    """A block's turn in the forward or backward pass: what it needs, does and leaves.

    Args:
        kind: Forward, loss or backward.
        block: Which.
        computing: Seconds.
        tensor: Seconds of collectives between tensor ranks, which nothing hides.
        gather: Seconds of collecting its parameters first.
        leaving: Seconds of what is sent afterwards, by kind.
    """

    kind: Kind
    block: int
    computing: float = 0.0
    tensor: float = 0.0
    gather: float = 0.0
    leaving: tuple[tuple[Kind, float], ...] = ()


def visits_of_microstep(costs: StepCosts, *, reshards: bool, synchronises: bool) -> list[Visit]:
    """List the turns of all blocks in one microstep, in their order.

    Args:
        costs: Seconds of each part.
        reshards: Whether parameters are freed after the forward pass.
        synchronises: Whether the copies of the model are synchronised in this microstep.

    Returns:
        Embeddings, blocks forward, loss, blocks backward, embeddings.
    """
    block, outside = costs.block, costs.outside
    again = block.gather if reshards else 0.0
    backward = (block.backward, block.tensor_backward, again, _leaving(block, synchronises))
    return [
        Visit("forward", OUTSIDE, gather=outside.gather),
        *(
            Visit("forward", number, block.forward, block.tensor_forward, block.gather)
            for number in range(costs.blocks)
        ),
        Visit("loss", OUTSIDE, outside.forward),
        *(Visit("backward", number, *backward) for number in reversed(range(costs.blocks))),
        Visit("backward", OUTSIDE, leaving=_leaving(outside, synchronises)),
    ]


def _leaving(unit: UnitCosts, synchronises: bool) -> tuple[tuple[Kind, float], ...]:
    scatter: tuple[Kind, float] = ("scatter", unit.scatter)
    return (scatter, ("all_reduce", unit.all_reduce)) if synchronises else (scatter,)


@dataclass
class Timeline:
    """Two streams that each do one thing at a time.

    Args:
        overlap: Share of a collective that runs beside the computation.
        interference: How much longer a computation takes while the network is busy: both need the
            device's cores and memory. 0.2 is a fifth longer.
        reduction_overlap: Share of a reduction of gradients that runs beside the computation; None
            is `overlap`.
    """

    overlap: float
    interference: float = 0.0
    reduction_overlap: float | None = None
    events: list[Event] = field(default_factory=list)
    boundaries: list[float] = field(default_factory=list)
    """When each microstep ended, with its reductions."""
    computed: float = 0.0
    sent: float = 0.0

    @property
    def end(self) -> float:
        """When both streams are idle."""
        return max(self.computed, self.sent)

    def run(self, visits: Sequence[Visit], prefetch: int) -> None:
        """Append a microstep.

        Args:
            visits: In their order.
            prefetch: How many visits ahead parameters are asked for.
        """
        arrivals: list[float] = []
        for visit in visits[:prefetch]:
            arrivals.append(self._ask(visit, self.overlap, self.computed))
        for number, visit in enumerate(visits):
            if prefetch == 0:
                arrivals.append(self._ask(visit, self.overlap, self.computed))
            # What does not run beside a computation waits until it has ended.
            rest = self._ask(visit, 1 - self.overlap, self.computed)
            start = max(self.computed, arrivals[number], rest)
            if 0 < prefetch < len(visits) - number:
                arrivals.append(self._ask(visits[number + prefetch], self.overlap, start))
            self._compute(visit, start)
            self._leave(visit)
        # FSDP, DDP and DeepSpeed all let the device wait here until the reductions have ended.
        self.computed = max(self.computed, self.sent)
        self.boundaries.append(self.computed)

    def _ask(self, visit: Visit, share: float, ready: float) -> float:
        seconds = share * visit.gather
        return self._send("gather", visit.block, ready, seconds) if seconds > 0 else 0.0

    def _compute(self, visit: Visit, start: float) -> None:
        middle = start + self._slowed(visit.computing, start)
        self.computed = middle + visit.tensor
        self._note("compute", visit.kind, visit.block, start, middle)
        self._note("compute", "tensor", visit.block, middle, self.computed)

    def _slowed(self, seconds: float, start: float) -> float:
        """Return how long a computation takes beside what the network still has to carry."""
        both = min(max(0.0, self.sent - start), seconds * (1 + self.interference))
        return seconds + both * self.interference / (1 + self.interference)

    def _leave(self, visit: Visit) -> None:
        hidden = self.overlap if self.reduction_overlap is None else self.reduction_overlap
        # What is waited for goes first: behind the rest it would take the rest's time too.
        for kind, seconds in visit.leaving:
            if hidden < 1 and seconds > 0:
                exposed = (1 - hidden) * seconds
                self.computed = self._send(kind, visit.block, self.computed, exposed)
        for kind, seconds in visit.leaving:
            self._send(kind, visit.block, self.computed, hidden * seconds)

    def _send(self, kind: Kind, block: int, ready: float, seconds: float) -> float:
        start = max(self.sent, ready)
        self.sent = start + seconds
        self._note("network", kind, block, start, self.sent)
        return self.sent

    def _note(self, stream: Stream, kind: Kind, block: int, start: float, end: float) -> None:
        if end > start:
            microstep = len(self.boundaries)
            self.events.append(Event(stream, kind, block, microstep, start, end))


def simulate(costs: StepCosts, strategy: Strategy, microsteps: int) -> Timeline:
    """Put microsteps on a time line; the last of them synchronises the copies of the model.

    Args:
        costs: Seconds of each part.
        strategy: Prefetch, resharding, one hop or two.
        microsteps: How many.

    Returns:
        The time line, without the update.
    """
    line = Timeline(costs.overlap, costs.interference, costs.reduction_overlap)
    for number in range(microsteps):
        is_last = number == microsteps - 1
        visits = visits_of_microstep(
            costs,
            reshards=strategy.reshard_after_forward,
            synchronises=is_last or not strategy.layout.two_hop,
        )
        line.run(visits, strategy.prefetch)
    return line

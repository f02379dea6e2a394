"""What communication costs: calls, bytes and seconds of a step, by collective and group.

A call is timed from when it may start to when its result is there. It is *exposed* for as long as
the computation stood still for it: from when its result was wanted, or its start if that is later,
to its end. Blocking calls are exposed altogether; prefetched ones only by the part that was not
done when the computation came for it.

    call               ├──────────┤
    computation   ══════════╡      ╞═════
                       hidden exposed
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist

from hunmin.parallel.collectives.volume import Backend, Kind, node_link_bytes, sent_bytes
from hunmin.parallel.layout import Layout

# Calls that are kept before they are added up: more than a step has, so that on a GPU nobody waits
# for one that has not ended.
_MOST_CALLS = 8192

Stamp = Any
"""A point in time: seconds on a CPU, an event in a stream on a GPU."""


class Clock(Protocol):
    """Marks points in time and measures between them later."""

    def stamp(self) -> Stamp:
        """Mark now."""

    def seconds(self, start: Stamp, end: Stamp) -> float:
        """Return the time between two marks; negative if the end came first."""


class WallClock:
    """Time as the calling thread sees it."""

    def stamp(self) -> Stamp:
        """Mark now."""
        return time.perf_counter()

    def seconds(self, start: Stamp, end: Stamp) -> float:
        """Return the time between two marks."""
        return float(end - start)


class StreamClock:
    """Time as the current stream of a GPU sees it; only reading it waits for the GPU."""

    def stamp(self) -> Stamp:
        """Mark the point that the current stream has been told to reach."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: Stamp, end: Stamp) -> float:
        """Return the time between two marks, of any streams of the device."""
        end.synchronize()
        start.synchronize()
        return float(start.elapsed_time(end)) / 1000


@dataclass
class Operation:
    """A collective as FSDP2 asks for it: one call, or the stages of a hierarchical one.

    Args:
        wanted: When the computation began to wait for it; None while it has not.
    """

    wanted: Stamp | None = None


@dataclass(frozen=True)
class CollectiveTotals:
    """What the collectives of one kind in one group cost this rank.

    Args:
        kind: all_gather, reduce_scatter or all_reduce.
        group: shard, across_nodes, within_node or replicate.
        calls: How many.
        message_bytes: Whole messages: gathered outputs, inputs to scatter, tensors to reduce.
        sent_bytes: What a ring sends from this rank, with the factor of its backend.
        seconds: From start to end, overlapping calls counted each.
        exposed_seconds: Of these, while the computation stood still.
    """

    kind: Kind
    group: str
    calls: int = 0
    message_bytes: int = 0
    sent_bytes: float = 0.0
    seconds: float = 0.0
    exposed_seconds: float = 0.0


@dataclass
class Call:
    """One collective that has begun.

    Args:
        kind: Which collective.
        group: Name of its group.
        message_bytes: The whole message.
        sent_bytes: What this rank sends.
        starts: Points that all lie before its start.
        operation: What it is part of.
        ended: When it ended.
    """

    kind: Kind
    group: str
    message_bytes: int
    sent_bytes: float
    starts: tuple[Stamp, ...]
    operation: Operation
    ended: Stamp | None = None


class CommunicationMeter:
    """Adds up what the collectives of a step cost this rank.

    Args:
        device: Where the tensors lie; it decides how time is taken.
        clock: Another way to take it.

    Note:
        Collectives: none. On a GPU every call records two events, and `take` waits for the last
        of them; nothing else makes the host wait. Calls may be ended by another thread.
    """

    def __init__(self, device: torch.device, clock: Clock | None = None) -> None:
        self.device = device
        self.clock = clock or (StreamClock() if device.type == "cuda" else WallClock())
        self._ended: deque[Call] = deque()
        self._totals: dict[str, CollectiveTotals] = {}
        self._lock = threading.Lock()
        self.last_all_reduce: Stamp | None = None

    @property
    def blocks(self) -> bool:
        """Whether the computation stands still in a collective that is not asynchronous."""
        return self.device.type != "cuda"

    def operation(self, *, async_op: bool = False) -> Operation:
        """Return the operation that is about to be issued."""
        is_wanted = self.blocks and not async_op
        return Operation(wanted=self.clock.stamp() if is_wanted else None)

    def want(self, operation: Operation) -> None:
        """Take note that the computation waits for an operation from now on."""
        if operation.wanted is None:
            operation.wanted = self.clock.stamp()

    def begin(
        self,
        kind: Kind,
        name: str,
        message_bytes: int,
        group: dist.ProcessGroup,
        operation: Operation,
        *,
        starts: tuple[Stamp, ...] = (),
    ) -> Call:
        """Start to time one collective.

        Args:
            kind: Which one.
            name: What its group is called in the totals.
            message_bytes: The whole message.
            group: Its ranks.
            operation: What it is part of.
            starts: Points before its start; now if there are none.

        Returns:
            What `end` is to be given.
        """
        backend: Backend = "gloo" if dist.get_backend(group) == "gloo" else "nccl"
        sent = sent_bytes(kind, message_bytes, group.size(), backend)
        starts = starts or (self.clock.stamp(),)
        return Call(kind, name, message_bytes, sent, starts, operation)

    def end(self, call: Call, at: Stamp | None = None) -> None:
        """Count a collective that has ended, now or at the given point."""
        call.ended = self.clock.stamp() if at is None else at
        self._ended.append(call)
        if len(self._ended) > _MOST_CALLS:
            self._add_up(_MOST_CALLS // 2)

    @contextlib.contextmanager
    def measure(
        self,
        kind: Kind,
        name: str,
        message_bytes: int,
        group: dist.ProcessGroup,
        operation: Operation,
    ) -> Iterator[None]:
        """Time the collective in this block; see `begin`."""
        call = self.begin(kind, name, message_bytes, group, operation)
        yield
        self.end(call)

    def take(self) -> dict[str, CollectiveTotals]:
        """Return what was counted since the last call, and count from nothing again.

        Returns:
            Totals by `kind/group`, for example `all_gather/shard`.
        """
        self._add_up(len(self._ended))
        with self._lock:
            totals, self._totals = self._totals, {}
        return totals

    def _add_up(self, calls: int) -> None:
        with self._lock:
            for _ in range(calls):
                call = self._ended.popleft()
                key = f"{call.kind}/{call.group}"
                before = self._totals.get(key, CollectiveTotals(call.kind, call.group))
                self._totals[key] = self._add(before, call)

    def _add(self, totals: CollectiveTotals, call: Call) -> CollectiveTotals:
        seconds = self._shortest(call.starts, call)
        wanted = call.operation.wanted
        exposed = 0.0 if wanted is None else self._shortest((*call.starts, wanted), call)
        return CollectiveTotals(
            call.kind,
            call.group,
            totals.calls + 1,
            totals.message_bytes + call.message_bytes,
            totals.sent_bytes + call.sent_bytes,
            totals.seconds + seconds,
            totals.exposed_seconds + exposed,
        )

    def _shortest(self, starts: tuple[Stamp, ...], call: Call) -> float:
        return max(0.0, min(self.clock.seconds(start, call.ended) for start in starts))


def measured_link_bytes(totals: Iterable[CollectiveTotals], layout: Layout) -> float:
    """Return the bytes that measured collectives put on a node's link, per direction.

    Args:
        totals: What one rank's meter counted; the values of `take`.
        layout: Which rank lies where.

    Returns:
        Bytes; equal to `step_volume` of what was trained.
    """
    return sum(node_link_bytes({total.group: total.sent_bytes}, layout) for total in totals)

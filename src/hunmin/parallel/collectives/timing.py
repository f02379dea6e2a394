"""What FSDP2 does not tell: when a module needs its gather, and how long its all-reduce takes."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor

from hunmin.parallel.collectives.meter import Clock, CommunicationMeter, Operation, Stamp
from hunmin.parallel.collectives.volume import REPLICATE


class Demand:
    """When one module's computation comes for its gathered parameters.

    FSDP2 lets the computing stream of a GPU wait where nobody else can see it. Hooks on both sides
    of that place tell this object: `arrived` before it, `departed` after it. The gather is issued
    in between, or was prefetched before.

    Args:
        clock: Takes the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._prefetched: Operation | None = None
        self._arrival: Stamp | None = None

    def issued(self, operation: Operation) -> None:
        """Take note of a gather."""
        if self._arrival is None:
            self._prefetched = operation
        elif operation.wanted is None:
            operation.wanted = self._arrival

    def arrived(self) -> None:
        """Take note that the computation needs the parameters now."""
        self._arrival = self._clock.stamp()
        if self._prefetched is not None and self._prefetched.wanted is None:
            self._prefetched.wanted = self._arrival
        self._prefetched = None

    def departed(self) -> None:
        """Take note that the computation has them."""
        self._arrival = None


class Reduction:
    """The way of one module's gradients: backward pass, reduce-scatter, all-reduce.

    FSDP2 calls the all-reduce itself and only then a hook. It lies between the end of the
    reduce-scatter and that hook; where nothing is scattered (p = 1) it follows the allocation of
    the output. The time of adding earlier microsteps to it is counted with it.

    Args:
        meter: Told of the all-reduce.
        is_last: Whether the module is the last of a backward pass. On a GPU only what is not done
            when that pass ends is exposed, as far as this can be seen.
    """

    def __init__(self, meter: CommunicationMeter, *, is_last: bool = False) -> None:
        self._meter = meter
        self._is_last = is_last
        self._input_allocated: Stamp | None = None
        self._ready: Stamp | None = None

    def allocated(self) -> None:
        """Take note of a buffer.

        FSDP2 asks for that of the input when the backward pass has been through the module, in the
        computing stream, and then for that of the output.
        """
        self._input_allocated, self._ready = self._ready, self._meter.clock.stamp()

    def issued(self, *, async_op: bool = False) -> Operation:
        """Take note of the reduce-scatter and return its operation."""
        operation = self._meter.operation(async_op=async_op)
        if self._is_last and operation.wanted is None:
            operation.wanted = self._input_allocated
        return operation

    def scattered(self) -> None:
        """Take note that the reduce-scatter is done."""
        self._ready = self._meter.clock.stamp()

    def all_reduced(self, reduced: Tensor, group: dist.ProcessGroup) -> None:
        """Count the all-reduce that is done.

        Args:
            reduced: Its result.
            group: The ranks with the same shard.
        """
        operation = Operation()
        if self._meter.blocks:
            operation.wanted = self._ready
        elif self._is_last:
            operation.wanted = self._input_allocated
        # All-reduces of several modules share a stream: one starts after the one before.
        earlier = (self._ready, self._meter.last_all_reduce)
        starts = tuple(stamp for stamp in earlier if stamp is not None)
        call = self._meter.begin(
            "all_reduce", REPLICATE, reduced.nbytes, group, operation, starts=starts
        )
        self._meter.end(call)
        self._meter.last_all_reduce = call.ended

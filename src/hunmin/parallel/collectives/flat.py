"""All-gather and reduce-scatter in one stage, measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hunmin.parallel.collectives.meter import Call, CommunicationMeter
from hunmin.parallel.collectives.primitives import (
    AllGather,
    PlainAllocation,
    ReduceScatter,
    all_gather,
    reduce_scatter,
)
from hunmin.parallel.collectives.timing import Demand, Reduction
from hunmin.parallel.collectives.volume import SHARD


class FlatAllGather(PlainAllocation, AllGather):
    """Gathers parameters over the whole group at once, as FSDP2 does by itself."""

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Gather the chunks of all ranks; see HierarchicalAllGather."""
        return all_gather(output_tensor, input_tensor, group, async_op=async_op)


class FlatReduceScatter(PlainAllocation, ReduceScatter):
    """Reduces gradients over the whole group at once, as FSDP2 does by itself."""

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Reduce all ranks' inputs and keep one chunk; see HierarchicalReduceScatter."""
        return reduce_scatter(output_tensor, input_tensor, group, op, async_op=async_op)


class MeteredAllGather(AllGather):
    """Measures an all-gather of one stage.

    Args:
        inner: What gathers; it may allocate as it likes.
        meter: Told of each call.
        name: What the group is called in the totals.

    Note:
        A hierarchical all-gather measures its stages itself.
    """

    def __init__(self, inner: AllGather, meter: CommunicationMeter, name: str = SHARD) -> None:
        self.inner = inner
        self.meter = meter
        self.name = name
        self.demand = Demand(meter.clock)

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Return the buffer that the inner one allocates."""
        return self.inner.allocate(size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Gather and measure; see HierarchicalAllGather."""
        operation = self.meter.operation(async_op=async_op)
        self.demand.issued(operation)
        call = self.meter.begin("all_gather", self.name, output_tensor.nbytes, group, operation)
        work = self.inner(output_tensor, input_tensor, group, async_op)
        return _measured(work, call, self.meter)


class MeteredReduceScatter(ReduceScatter):
    """Measures a reduce-scatter of one stage.

    Args:
        inner: What reduces; it may allocate as it likes.
        meter: Told of each call.
        name: What the group is called in the totals.
        is_last: Whether its module is the last of a backward pass.

    Note:
        A hierarchical reduce-scatter measures its stages itself.
    """

    def __init__(
        self,
        inner: ReduceScatter,
        meter: CommunicationMeter,
        name: str = SHARD,
        *,
        is_last: bool = False,
    ) -> None:
        self.inner = inner
        self.meter = meter
        self.name = name
        self.reduction = Reduction(meter, is_last=is_last)

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Return the buffer that the inner one allocates, and take note of the time."""
        self.reduction.allocated()
        return self.inner.allocate(size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Reduce and measure; see HierarchicalReduceScatter."""
        operation = self.reduction.issued(async_op=async_op)
        call = self.meter.begin("reduce_scatter", self.name, input_tensor.nbytes, group, operation)
        work = self.inner(output_tensor, input_tensor, group, op, async_op)
        self.reduction.scattered()
        return _measured(work, call, self.meter)


class MeteredWork(dist.Work):
    """An asynchronous call that tells the meter when it is wanted and when it is done.

    Args:
        work: The call.
        call: What the meter knows of it.
        meter: Told.

    Note:
        gloo says when a call is done. Others are counted when they are waited for, so that the
        seconds of a call that was done before are too many; the exposed seconds are right.
    """

    def __init__(self, work: dist.Work, call: Call, meter: CommunicationMeter) -> None:
        super().__init__()
        self._work = work
        self._call = call
        self._meter = meter
        self._is_open = meter.device.type != "cpu"
        if not self._is_open:
            work.get_future().add_done_callback(lambda _: meter.end(call))

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait for the call.

        Args:
            timeout: After which to give up; without, that of the group.

        Returns:
            True.
        """
        self._meter.want(self._call.operation)
        is_done = self._work.wait(timeout) if timeout else self._work.wait()
        if self._is_open:
            self._is_open = False
            self._meter.end(self._call)
        return is_done

    def is_completed(self) -> bool:
        """Whether the call is done."""
        return self._work.is_completed()


def _measured(work: dist.Work | None, call: Call, meter: CommunicationMeter) -> dist.Work | None:
    if work is not None:
        return MeteredWork(work, call, meter)
    meter.end(call)
    return None

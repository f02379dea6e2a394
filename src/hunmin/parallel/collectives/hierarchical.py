"""All-gather and reduce-scatter of a partition group that spans nodes, in two stages.

Gathering over two nodes of two ranks, as rank 0 sees it; each stage lands in its final slot, so
that nothing is put in order afterwards:

    output         [0 . . .]            its own chunk lies there already
    across nodes   [0 2]                the chunks of its position on each node, M/k bytes
    within nodes   [0 1 . .]            one gather for each node's run of chunks
                   [0 1 2 3]

Reduce-scatter is the mirror image: within the node first, then across nodes with 1/k of the bytes.
Per node link (p-k)/p of the message remains instead of (p-1)/p, and a ring of p ranks becomes rings
of p/k and k.

Source: MiCS (arXiv:2205.00119), section 3.3; one gather per node instead of a re-ordering pass, and
reduce-scatter in two stages, which MiCS does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.groups import NodeGroups
from hunmin.parallel.collectives.meter import CommunicationMeter, Operation
from hunmin.parallel.collectives.primitives import (
    AllGather,
    PlainAllocation,
    ReduceScatter,
    all_gather,
    reduce_scatter,
)
from hunmin.parallel.collectives.timing import Demand, Reduction
from hunmin.parallel.collectives.volume import ACROSS_NODES, WITHIN_NODE, Kind


class _Staged(PlainAllocation):
    """What both directions share: groups, their order, and the meter."""

    def __init__(self, groups: NodeGroups, meter: CommunicationMeter) -> None:
        self.groups = groups
        self.meter = meter

    def _measure(
        self, kind: Kind, tensor: Tensor, group: dist.ProcessGroup, operation: Operation
    ) -> AbstractContextManager[None]:
        name = ACROSS_NODES if group is self.groups.across else WITHIN_NODE
        return self.meter.measure(kind, name, tensor.nbytes, group, operation)

    def _check_group(self, group: dist.ProcessGroup) -> None:
        shard = self.groups.shard
        if group.group_name == shard.group_name:
            return
        given = dist.get_process_group_ranks(group)
        allowed = dist.get_process_group_ranks(shard)
        if given != allowed:
            raise InputError(
                "these hierarchical collectives belong to another group",
                where="parallel.hierarchical",
                given=f"ranks {given}",
                allowed=f"ranks {allowed}",
                hint="shard over the layout's partition group, and reshard after the forward pass "
                "over the same group",
            )


class HierarchicalAllGather(_Staged, AllGather):
    """Gathers parameters across nodes, then within them.

    Args:
        groups: The groups of this rank.
        meter: Told of each stage.

    Note:
        Collectives: 1 across nodes and one per node of the partition group within this node, the
        same on every rank. Memory: M/k beside the output. Deterministic: equal to the flat one to
        the bit.
    """

    def __init__(self, groups: NodeGroups, meter: CommunicationMeter) -> None:
        super().__init__(groups, meter)
        self.demand = Demand(meter.clock)

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Gather the chunks of all ranks in the order of the group.

        Args:
            output_tensor: All chunks, shape (p · n,).
            input_tensor: This rank's, shape (n,); may be its slot of the output.
            group: The partition group.
            async_op: Whether to return before it is done.

        Returns:
            What to wait for if asynchronous, else None.

        Raises:
            InputError: A group other than that of the constructor.
        """
        self._check_group(group)
        operation = self.meter.operation(async_op=async_op)
        self.demand.issued(operation)
        return self.groups.stages.run(
            lambda: self._gather(output_tensor, input_tensor, operation),
            output_tensor.device,
            async_op=async_op,
            on_wait=lambda: self.meter.want(operation),
        )

    def _gather(self, output: Tensor, chunk: Tensor, operation: Operation) -> None:
        across, within = self.groups.across, self.groups.within
        mine = chunk.new_empty(self.groups.nodes, chunk.numel())
        with self._measure("all_gather", mine, across, operation):
            all_gather(mine.view(-1), chunk, across)
        for part, run in zip(mine, output.chunk(self.groups.nodes), strict=True):
            with self._measure("all_gather", run, within, operation):
                all_gather(run, part, within)


class HierarchicalReduceScatter(_Staged, ReduceScatter):
    """Reduces gradients within nodes, then across them.

    Args:
        groups: The groups of this rank.
        meter: Told of each stage.
        is_last: Whether its module is the last of a backward pass.

    Note:
        Collectives: one per node of the partition group within this node and 1 across nodes, the
        same on every rank. Memory: M/k beside input and output. The mean of a group is the mean of
        its nodes' means because they have equally many ranks; sums are taken in another order
        than flat.
    """

    def __init__(
        self, groups: NodeGroups, meter: CommunicationMeter, *, is_last: bool = False
    ) -> None:
        super().__init__(groups, meter)
        self.reduction = Reduction(meter, is_last=is_last)

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Return a buffer, and take note of the time; see PlainAllocation."""
        self.reduction.allocated()
        return super().allocate(size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> dist.Work | None:
        """Reduce all ranks' inputs and keep this rank's chunk.

        Args:
            output_tensor: The reduced chunk, shape (n,).
            input_tensor: This rank's values for all chunks, shape (p · n,).
            group: The partition group.
            op: ReduceOp.SUM or ReduceOp.AVG.
            async_op: Whether to return before it is done.

        Returns:
            What to wait for if asynchronous, else None.

        Raises:
            InputError: A group other than that of the constructor, or another operation.
        """
        self._check_group(group)
        _check_operation(op)
        operation = self.reduction.issued(async_op=async_op)
        return self.groups.stages.run(
            lambda: self._scatter(output_tensor, input_tensor, op, operation),
            input_tensor.device,
            async_op=async_op,
            on_wait=lambda: self.meter.want(operation),
        )

    def _scatter(self, chunk: Tensor, whole: Tensor, op: Any, operation: Operation) -> None:
        across, within = self.groups.across, self.groups.within
        mine = chunk.new_empty(self.groups.nodes, chunk.numel())
        for part, run in zip(mine, whole.chunk(self.groups.nodes), strict=True):
            with self._measure("reduce_scatter", run, within, operation):
                reduce_scatter(part, run, within, op)
        with self._measure("reduce_scatter", mine, across, operation):
            reduce_scatter(chunk, mine.view(-1), across, op)
        self.reduction.scattered()


def _check_operation(op: Any) -> None:
    if op in (dist.ReduceOp.SUM, dist.ReduceOp.AVG):
        return
    raise InputError(
        "gradients are reduced in two stages only by sum or mean",
        where="parallel.hierarchical",
        given=op,
        allowed="ReduceOp.SUM, ReduceOp.AVG",
        hint="set no gradient divide factor, or force sums for communication",
    )

"""torch's all-gather and reduce-scatter of one tensor, and the interfaces FSDP2 calls them by.

The interfaces are not exported publicly (torch 2.9 to 2.15); this is the one place that imports
them, and the one place that knows both names of the collectives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp._fully_shard._fsdp_api import AllGather, ReduceScatter

__all__ = ["AllGather", "PlainAllocation", "ReduceScatter", "all_gather", "reduce_scatter"]

_Collective = Callable[..., "dist.Work | None"]
# torch 2.13 renamed both and warns of the old names.
_all_gather: _Collective = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter: _Collective = (
    getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
)


class PlainAllocation:
    """Buffers from the ordinary allocator, one for each call."""

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Return an uninitialised buffer.

        Args:
            size: Its shape.
            dtype: Its type.
            device: Where it lies.

        Returns:
            The buffer.
        """
        return torch.empty(*size, dtype=dtype, device=device)


def all_gather(
    output: Tensor, part: Tensor, group: dist.ProcessGroup, *, async_op: bool = False
) -> dist.Work | None:
    """Gather the parts of all ranks into `output`, in the order of the group."""
    return _all_gather(output, part, group=group, async_op=async_op)


def reduce_scatter(
    part: Tensor, whole: Tensor, group: dist.ProcessGroup, op: Any, *, async_op: bool = False
) -> dist.Work | None:
    """Reduce `whole` over all ranks and keep this rank's part of it."""
    return _reduce_scatter(part, whole, op=op, group=group, async_op=async_op)

"""What a rank will write, as it is now: a plan and local tensors that training may not change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import (
    DefaultSavePlanner,
    create_default_local_save_plan,
)
from torch.distributed.checkpoint.metadata import StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, WriteItem
from torch.distributed.tensor import DTensor


@dataclass(frozen=True)
class StagedTensors:
    """This rank's part of a state.

    Args:
        items: Which box of which tensor each part is.
        values: The parts by name.
    """

    items: list[WriteItem]
    values: dict[str, Tensor]

    def num_bytes(self) -> int:
        """Return the size of the parts."""
        return sum(value.numel() * value.element_size() for value in self.values.values())


class StagingBuffers:
    """Memory of the host that holds a copy of this rank's part; used again for each checkpoint."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def copy(self, staged: StagedTensors) -> StagedTensors:
        """Copy the parts, so that training can go on while they are written.

        Args:
            staged: Parts that are views of live tensors.

        Returns:
            The same parts in memory of their own; valid until the next call.
        """
        copies = {name: self._copy(name, value) for name, value in staged.values.items()}
        if any(value.is_cuda for value in staged.values.values()):
            torch.cuda.current_stream().synchronize()
        return StagedTensors(staged.items, copies)

    def _copy(self, name: str, value: Tensor) -> Tensor:
        buffer = self._buffers.get(name)
        if buffer is None or (buffer.shape, buffer.dtype) != (value.shape, value.dtype):
            buffer = torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda)
            self._buffers[name] = buffer
        return buffer.copy_(value, non_blocking=True)


class Planner:
    """Plans what this rank holds of a state, without a copy and without a collective.

    Note:
        torch lists every index of a split dimension to find out where a part lies. That is done
        once for all tensors that are split alike, and not again for the next checkpoint.
    """

    def __init__(self) -> None:
        self._items: dict[Hashable, list[WriteItem]] = {}

    def stage(self, tensors: Mapping[str, Tensor]) -> StagedTensors:
        """Plan the parts of a state.

        Args:
            tensors: Plain tensors, which are the same on all ranks that have that name, and
                DTensors.

        Returns:
            This rank's parts, as views.
        """
        items = [item for name, tensor in tensors.items() for item in self._plan(name, tensor)]
        return StagedTensors(items, {i.index.fqn: local_part(tensors[i.index.fqn]) for i in items})

    def _plan(self, name: str, tensor: Tensor) -> list[WriteItem]:
        geometry = _geometry(tensor)
        if geometry not in self._items:
            items = create_default_local_save_plan({name: tensor}, False).items
            self._items[geometry] = [item for item in items if not _is_empty_part(item)]
        return [replace(i, index=replace(i.index, fqn=name)) for i in self._items[geometry]]


def _geometry(tensor: Tensor) -> Hashable:
    split = (tensor.device_mesh, tensor.placements) if isinstance(tensor, DTensor) else None
    return tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad, split


def local_part(tensor: Tensor) -> Tensor:
    """Return what this rank holds of a tensor."""
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local.detach()


def _is_empty_part(item: WriteItem) -> bool:
    """A rank that got no row of a short tensor has nothing to write, unless all of it is empty."""
    data = item.tensor_data
    return data is not None and 0 in data.chunk.sizes and 0 not in data.size


class StagedPlanner(DefaultSavePlanner):
    """Plans what was staged; torch's planner spreads parts that several ranks hold over them.

    Args:
        staged: This rank's part.
    """

    def __init__(self, staged: StagedTensors) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._staged = staged

    def set_up_planner(
        self,
        state_dict: dict[str, Any],
        storage_meta: StorageMeta | None = None,
        is_coordinator: bool = False,
    ) -> None:
        """Take note of the role; the state is the staged one."""
        self.state_dict = state_dict
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> SavePlan:
        """Return what this rank holds."""
        self.plan = SavePlan(list(self._staged.items))
        return self.plan

    def resolve_data(self, write_item: WriteItem) -> Tensor:
        """Return the part that an item of the plan stands for."""
        return self._staged.values[write_item.index.fqn]

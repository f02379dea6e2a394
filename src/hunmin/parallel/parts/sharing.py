"""Which part of a tensor each rank holds, read off a DTensor without its dispatcher.

*axis* counts dimensions of the mesh of ranks, *dim* those of a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from hunmin.core.errors import InputError

Block = tuple[slice, ...]
"""Where a part lies in its whole tensor, one slice for each dim."""


@dataclass(frozen=True)
class Sharing:
    """How the ranks of a mesh share a tensor.

    Args:
        mesh: The ranks.
        sharded: Axes of more than one rank along which each holds another part.
        copied: Axes of more than one rank along which all hold the same.
    """

    mesh: DeviceMesh
    sharded: tuple[int, ...]
    copied: tuple[int, ...]


@dataclass(frozen=True)
class Circle:
    """Ranks that differ from this one along some axes only.

    Args:
        group: Their process group; None if this rank is the only one.
        coordinates: Mesh coordinate of each, in the order of the group.
        rank: Position of this rank among them.
    """

    group: ProcessGroup | None
    coordinates: tuple[tuple[int, ...], ...]
    rank: int

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.coordinates)


ALONE = Circle(None, ((),), 0)
"""This rank, where there is no mesh."""


def local_part(tensor: Tensor) -> Tensor:
    """Return what this rank holds of a tensor: storage that is shared with it, not a copy."""
    if not isinstance(tensor, DTensor):
        return tensor
    with torch.no_grad():
        return tensor.to_local()


def sharing_of(tensor: DTensor) -> Sharing:
    """Tell along which axes a tensor is sharded and along which it is copied.

    Args:
        tensor: A parameter, gradient or state.

    Returns:
        Its mesh and axes; an axis of one rank is in neither list.

    Raises:
        InputError: The tensor waits to be summed up over ranks.
    """
    mesh = tensor.device_mesh
    axes = [axis for axis in range(mesh.ndim) if mesh.size(axis) > 1]
    if any(tensor.placements[axis].is_partial() for axis in axes):
        raise InputError(
            "a tensor that is still to be summed up over ranks has no parts",
            given=f"placements {tensor.placements}",
            allowed="Shard and Replicate",
            hint="redistribute it first",
        )
    copied = tuple(axis for axis in axes if tensor.placements[axis].is_replicate())
    return Sharing(mesh, tuple(axis for axis in axes if axis not in copied), copied)


def block_of(tensor: DTensor, coordinate: Sequence[int]) -> Block:
    """Return where the part of one rank lies in the whole tensor.

    Args:
        tensor: Split as torch.chunk does.
        coordinate: Of the rank in the tensor's mesh.

    Returns:
        One slice for each dim; empty where there were more ranks than rows.
    """
    spans: list[tuple[int, int]] = [(0, size) for size in tensor.shape]
    split = [(a, p) for a, p in enumerate(tensor.placements) if hasattr(p, "dim")]
    # A strided placement is put on a dim that a later axis has split already (FSDP over tensor
    # parallelism): later axes come first there.
    for axis, placement in sorted(split, key=lambda item: hasattr(item[1], "split_factor")):
        dim = placement.dim
        spans[dim] = _chunk(spans[dim], tensor.device_mesh.size(axis), coordinate[axis])
    return tuple(slice(*span) for span in spans)


def _chunk(span: tuple[int, int], parts: int, index: int) -> tuple[int, int]:
    start, stop = span
    size = -(-(stop - start) // parts)
    return min(start + index * size, stop), min(start + (index + 1) * size, stop)


def shape_of(block: Block) -> tuple[int, ...]:
    """Return the shape of the part that lies there."""
    return tuple(span.stop - span.start for span in block)


def shard_like(whole: Tensor, like: DTensor) -> DTensor:
    """Take this rank's part of a tensor that every rank has whole; nothing is sent.

    Args:
        whole: Of the global shape of `like`.
        like: Says which part goes where.

    Returns:
        A tensor placed as `like`, of the dtype of `whole`.
    """
    block = block_of(like, _coordinate(like.device_mesh))
    return DTensor.from_local(
        whole[block].to(like.device, copy=True).contiguous(),  # not a view that keeps the whole
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=whole.shape,
        stride=whole.stride(),
    )


def circle_over(mesh: DeviceMesh, axes: Sequence[int]) -> Circle:
    """Return the ranks that share all coordinates with this one but those of some axes.

    Args:
        mesh: The ranks.
        axes: Axes along which they may differ; none for this rank alone.

    Returns:
        The ranks and their process group.

    Raises:
        InputError: Ranks of the mesh do not ascend along the axes.

    Note:
        Collective over these ranks if there are several axes: a process group is made then.
    """
    mine = _coordinate(mesh)
    ranges = [range(mesh.size(a)) if a in axes else (mine[a],) for a in range(mesh.ndim)]
    by_rank = {int(mesh.mesh[coordinate]): coordinate for coordinate in product(*ranges)}
    if len(by_rank) == 1:
        return Circle(None, (mine,), 0)
    if list(by_rank) != sorted(by_rank):
        raise InputError(
            "ranks must ascend along each axis of a mesh",
            given=mesh,
            hint="build it with hunmin.parallel.mesh.build_mesh",
        )
    group = _process_group(mesh, tuple(axes), list(by_rank))
    return Circle(group, tuple(by_rank.values()), dist.get_rank(group))


def _process_group(
    mesh: DeviceMesh, axes: tuple[int, ...], ranks: list[int]
) -> ProcessGroup | None:
    if len(axes) == 1:
        return mesh.get_group(axes[0])
    if len(ranks) == dist.get_world_size():
        return dist.group.WORLD
    group: ProcessGroup = dist.new_group(
        ranks, timeout=_timeout_of(mesh), use_local_synchronization=True
    )
    return group


def _timeout_of(mesh: DeviceMesh) -> timedelta | None:
    """Return what a new group must be told, as it would not take it from the others."""
    backend = mesh.get_group(0)._get_backend(torch.device(mesh.device_type))
    timeout: timedelta | None = getattr(getattr(backend, "options", None), "_timeout", None)
    return timeout


def _coordinate(mesh: DeviceMesh) -> tuple[int, ...]:
    coordinate = mesh.get_coordinate()
    if coordinate is None:
        raise InputError("this rank holds no part: it is not in the mesh", given=mesh)
    return tuple(coordinate)

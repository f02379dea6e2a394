"""Which part of a whole tensor this process holds; arithmetic, no collectives.

A sharded parameter is a DTensor: its shape is the whole one, its memory this rank's part. Along
each dimension the rank holds a few stretches of indices. A product of stretches is a piece: a box
of the whole that is a box of the part as well.

    eight rows in two sections, each cut for two ranks     rank 0 holds  0 1 - - 4 5 - -
    two pieces: rows 0:2 and 4:6 of the whole lie at 0:2 and 2:4 of the part
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from hunmin.core.errors import StageFailedError

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Piece:
    """A box of a whole tensor that this process holds.

    Args:
        whole: Where it lies in the whole tensor, a slice for each dimension.
        part: Where it lies in the part that is held.
    """

    whole: Box
    part: Box


@torch.no_grad()
def held_part(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor: a view without gradients."""
    if isinstance(tensor, DTensor):
        part: Tensor = tensor.to_local()
        return part
    return tensor.detach()


def held_pieces(tensor: Tensor) -> list[Piece]:
    """Return the boxes this process holds of a tensor; none if its part is empty.

    Args:
        tensor: Any tensor; one that is not sharded is one piece.

    Returns:
        Pieces that do not overlap, in the order of the whole.

    Raises:
        StageFailedError: This version of torch cuts tensors in a way that is not known here.
    """
    if not isinstance(tensor, DTensor):
        whole = tuple(slice(0, size) for size in tensor.shape)
        return [Piece(whole, whole)] if tensor.numel() else []
    coordinate = tensor.device_mesh.get_coordinate()
    if coordinate is None:
        return []
    expected, found = part_shape(tensor, coordinate), tuple(held_part(tensor).shape)
    if expected != found:
        raise StageFailedError(
            "this version of torch places the parts of a tensor in another way",
            given=f"torch {torch.__version__}, a part of {found}",
            allowed=f"a part of {expected}",
            hint="install a version of torch that hunmin was tested with",
        )
    return pieces_at(tensor, coordinate)


def pieces_at(tensor: DTensor, coordinate: Sequence[int]) -> list[Piece]:
    """Return the boxes that the rank at a coordinate of the tensor's mesh holds."""
    boxes = itertools.product(*map(_stretches, _indices_at(tensor, coordinate)))
    return [Piece(tuple(w for w, _ in box), tuple(p for _, p in box)) for box in boxes]


def part_shape(tensor: DTensor, coordinate: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of what the rank at a coordinate of the tensor's mesh holds."""
    return tuple(map(len, _indices_at(tensor, coordinate)))


def _indices_at(tensor: DTensor, coordinate: Sequence[int]) -> list[np.ndarray]:
    """Indices of the whole along each dimension."""
    indices = [np.arange(size) for size in tensor.shape]
    for placement, count, place in zip(
        tensor.placements, tensor.device_mesh.shape, coordinate, strict=True
    ):
        dim = getattr(placement, "dim", None)
        if dim is not None:
            factor = getattr(placement, "split_factor", 1)
            indices[dim] = _take(indices[dim], int(factor), count, place)
    return indices


def write_rows(tensor: Tensor, first_row: int, rows: Tensor) -> None:
    """Write rows of the whole tensor, as far as this process holds them.

    Args:
        tensor: The tensor to fill.
        first_row: Index of the first of them in the whole.
        rows: Some rows of the whole, all other dimensions complete.
    """
    part = held_part(tensor)
    for piece in held_pieces(tensor):
        start = max(piece.whole[0].start, first_row)
        stop = min(piece.whole[0].stop, first_row + len(rows))
        if start < stop:
            shift = piece.part[0].start - piece.whole[0].start
            target = part[(slice(start + shift, stop + shift), *piece.part[1:])]
            target.copy_(rows[(slice(start - first_row, stop - first_row), *piece.whole[1:])])


def _take(index: np.ndarray, factor: int, count: int, place: int) -> np.ndarray:
    """Cut into `factor` sections, each of them into `count` chunks; take chunk `place` of each."""
    sections = [_chunk(index, factor, section) for section in range(factor)]
    return np.concatenate([_chunk(section, count, place) for section in sections])


def _chunk(index: np.ndarray, count: int, place: int) -> np.ndarray:
    """As `torch.chunk`: all of one size but the last ones."""
    size = -(-len(index) // count)
    return index[place * size : (place + 1) * size]


def _stretches(index: np.ndarray) -> Sequence[tuple[slice, slice]]:
    """Cut indices where they jump: (slice of the whole, slice of the part) for each stretch."""
    return list(_each_stretch(index)) if len(index) else []


def _each_stretch(index: np.ndarray) -> Iterator[tuple[slice, slice]]:
    jumps = np.flatnonzero(np.diff(index) != 1) + 1
    for start, stop in itertools.pairwise([0, *jumps.tolist(), len(index)]):
        first = int(index[start])
        yield slice(first, first + stop - start), slice(start, stop)

"""A function of whole matrices, where each rank holds a part of every matrix.

Three ranks, three matrices a round: all-to-all, the function, all-to-all back.

    rank 0   a0 b0 c0        a0 a1 a2 ─ f ─ f(a)        f(a)0 f(b)0 f(c)0
    rank 1   a1 b1 c1   ──>  b0 b1 b2 ─ f ─ f(b)   ──>  f(a)1 f(b)1 f(c)1
    rank 2   a2 b2 c2        c0 c1 c2 ─ f ─ f(c)        f(a)2 f(b)2 f(c)2

Each function value is computed once, not once a rank. Where there are copies of the model, each
takes a share of the matrices and hands its results to the others in an all-gather.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from hunmin.core.errors import InputError
from hunmin.parallel.parts.sharing import (
    ALONE,
    Block,
    Circle,
    Sharing,
    block_of,
    circle_over,
    local_part,
    shape_of,
    sharing_of,
)

_all_gather = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)  # torch 2.13 renames


@dataclass(frozen=True)
class _Round:
    """Matrices that are worked on at the same time: `turns[copy][member]` is one's number."""

    turns: tuple[tuple[int, ...], ...]


@dataclass
class _Transfer:
    """Something on its way; `sent` lives until it has arrived."""

    sent: Tensor
    received: Tensor
    work: Any = None

    def wait(self) -> Tensor:
        if self.work is not None:
            self.work.wait()
        return self.received


class WholeMatrices:
    """Matrices that the same ranks share in the same way.

    Args:
        matrices: Plain tensors or DTensors, 2-D, all shared alike (`groups_alike`), in the same
            order on every rank.
        divide_copies: Whether copies of the model divide the work among them.

    Raises:
        InputError: A part has not the shape that its placement says.

    Note:
        Collective when matrices are sharded, or copied, along several axes: a process group is
        made then.
    """

    def __init__(self, matrices: Sequence[Tensor], *, divide_copies: bool = True) -> None:
        sharing = _sharing(matrices[0])
        self._members = circle_over(sharing.mesh, sharing.sharded) if sharing else ALONE
        copied = sharing.copied if sharing and divide_copies else ()
        self._copies = circle_over(sharing.mesh, copied) if sharing else ALONE
        self._device = matrices[0].device
        self._shapes = [tuple(matrix.shape) for matrix in matrices]
        self._blocks = [_blocks(matrix, self._members) for matrix in matrices]
        for matrix, blocks in zip(matrices, self._blocks, strict=True):
            _check_part(matrix, blocks[self._members.rank])

    def map(
        self,
        function: Callable[[Tensor], Tensor],
        part: Callable[[int], Tensor],
        numbers: Sequence[int],
        dtype: torch.dtype,
    ) -> Iterator[tuple[int, Tensor]]:
        """Apply a function to whole matrices.

        Args:
            function: From a matrix to one of its shape; it may change its argument.
            part: From the number of a matrix to what this rank holds of it, which may be changed.
                Not called for matrices that another copy of the model works on.
            numbers: Which matrices, the same on every rank.
            dtype: In which they travel, and in which `function` gets and returns them.

        Yields:
            The number of a matrix and this rank's part of its function value; each once, in an
            order that is the same on every rank.

        Note:
            Collectives, for m matrices of N elements together, P ranks that shard them and C
            copies: 2 ceil(m / PC) all-to-alls, in which a rank sends 2 N (P-1) / (P² C) elements,
            and ceil(m / PC) all-gathers over copies, in which it receives N (C-1) / (P C); exact
            where P C divides the matrices of each shape, and P their rows. The parts of one round
            travel while the function works on the round before.
        """
        if self._members.size * self._copies.size == 1:
            yield from ((n, function(part(n).to(dtype))) for n in numbers)
            return
        rounds = self._rounds(numbers)
        ahead = self._start_gather(rounds[0], part, dtype) if rounds else None
        behind: tuple[_Round, _Transfer | None] | None = None
        for this, following in zip(rounds, [*rounds[1:], None], strict=True):
            whole = self._assemble(this, ahead)
            ahead = self._start_gather(following, part, dtype) if following else None
            value = None if whole is None else function(whole)
            if behind is not None:
                yield from self._finish(*behind, dtype)
            behind = (this, self._start_return(this, value, dtype))
        if behind is not None:
            yield from self._finish(*behind, dtype)

    # -- who works on what -----------------------------------------------------------------------

    def _rounds(self, numbers: Sequence[int]) -> list[_Round]:
        """Largest first, so that those of one round take about equally long."""
        copies, size = self._copies.size, self._members.size * self._copies.size
        order = sorted(numbers, key=lambda number: (-_cost(self._shapes[number]), number))
        chunks = [tuple(order[start : start + size]) for start in range(0, len(order), size)]
        return [_Round(tuple(chunk[copy::copies] for copy in range(copies))) for chunk in chunks]

    def _turns(self, this: _Round) -> tuple[int, ...]:
        """Matrices that this copy of the model works on, one for each of its first members."""
        return this.turns[self._copies.rank]

    def _own(self, this: _Round) -> int | None:
        """The matrix that this rank works on."""
        turns, rank = self._turns(this), self._members.rank
        return turns[rank] if rank < len(turns) else None

    def _sizes_by_owner(self, this: _Round) -> list[int]:
        """Elements of this rank's part of the matrix that each member works on."""
        sizes = [self._part_size(number) for number in self._turns(this)]
        return sizes + [0] * (self._members.size - len(sizes))

    def _sizes_of_own(self, this: _Round) -> list[int]:
        """Elements of each member's part of the matrix that this rank works on."""
        own = self._own(this)
        if own is None:
            return [0] * self._members.size
        return [math.prod(shape_of(block)) for block in self._blocks[own]]

    def _part_shape(self, number: int) -> tuple[int, ...]:
        return shape_of(self._blocks[number][self._members.rank])

    def _part_size(self, number: int) -> int:
        return math.prod(self._part_shape(number))

    # -- there and back --------------------------------------------------------------------------

    def _start_gather(
        self, this: _Round, part: Callable[[int], Tensor], dtype: torch.dtype
    ) -> _Transfer | None:
        turns = self._turns(this)
        if not turns:
            return None
        parts = torch.cat([part(number).to(dtype).flatten() for number in turns])
        return self._exchange(parts, self._sizes_by_owner(this), self._sizes_of_own(this))

    def _assemble(self, this: _Round, transfer: _Transfer | None) -> Tensor | None:
        flat = transfer.wait() if transfer else None
        own = self._own(this)
        if flat is None or own is None:
            return None
        blocks = self._blocks[own]
        if _are_stacked(blocks, self._shapes[own]):
            return flat.view(self._shapes[own])
        whole = flat.new_empty(self._shapes[own])
        for block, piece in zip(blocks, flat.split(self._sizes_of_own(this)), strict=True):
            whole[block] = piece.view(shape_of(block))
        return whole

    def _start_return(
        self, this: _Round, value: Tensor | None, dtype: torch.dtype
    ) -> _Transfer | None:
        own = self._own(this)
        if not self._turns(this):
            return None
        if value is None or own is None:
            parts = torch.empty(0, dtype=dtype, device=self._device)
        else:
            parts = torch.cat([value[block].flatten() for block in self._blocks[own]])
        return self._exchange(parts, self._sizes_of_own(this), self._sizes_by_owner(this))

    def _exchange(self, parts: Tensor, sizes_out: list[int], sizes_in: list[int]) -> _Transfer:
        if self._members.size == 1:
            return _Transfer(parts, parts)
        received = parts.new_empty(sum(sizes_in))
        work = dist.all_to_all_single(
            received, parts, sizes_in, sizes_out, group=self._members.group, async_op=True
        )
        return _Transfer(parts, received, work)

    def _finish(
        self, this: _Round, transfer: _Transfer | None, dtype: torch.dtype
    ) -> Iterator[tuple[int, Tensor]]:
        empty = torch.empty(0, dtype=dtype, device=self._device)
        flat = transfer.wait() if transfer else empty
        for turns, parts in zip(this.turns, self._over_copies(this, flat), strict=True):
            for number in turns:
                piece, parts = parts.tensor_split([self._part_size(number)])
                yield number, piece.view(self._part_shape(number))

    def _over_copies(self, this: _Round, flat: Tensor) -> Sequence[Tensor]:
        """Return what each copy has worked out for this rank's parts."""
        if self._copies.size == 1:
            return [flat]
        longest = max(sum(self._part_size(number) for number in turns) for turns in this.turns)
        if longest == 0:
            return [flat] * self._copies.size
        padded = torch.nn.functional.pad(flat, (0, longest - flat.numel()))
        gathered = flat.new_empty(self._copies.size * longest)
        _all_gather(gathered, padded, group=self._copies.group)
        return list(gathered.split(longest))


def groups_alike(tensors: Sequence[Tensor]) -> list[list[int]]:
    """Return the numbers of the tensors that the same ranks share in the same way, by group."""
    groups: dict[Sharing | None, list[int]] = {}
    for number, tensor in enumerate(tensors):
        groups.setdefault(_sharing(tensor), []).append(number)
    return list(groups.values())


def _sharing(tensor: Tensor) -> Sharing | None:
    return sharing_of(tensor) if isinstance(tensor, DTensor) else None


def _blocks(matrix: Tensor, members: Circle) -> list[Block]:
    if isinstance(matrix, DTensor):
        return [block_of(matrix, coordinate) for coordinate in members.coordinates]
    return [tuple(slice(0, size) for size in matrix.shape)]


def _check_part(matrix: Tensor, block: Block) -> None:
    if tuple(local_part(matrix).shape) != shape_of(block):
        raise InputError(
            "a part of a matrix has not the shape that its placement says",
            given=f"{tuple(local_part(matrix).shape)}, matrix {tuple(matrix.shape)}",
            allowed=shape_of(block),
            hint="split it as torch.chunk does",
        )


def _are_stacked(blocks: Sequence[Block], shape: tuple[int, ...]) -> bool:
    """Whether parts are whole rows in their order, so that nothing has to be moved."""
    rows, columns = zip(*blocks, strict=True)
    in_order = all(a.stop == b.start for a, b in pairwise(rows))
    return in_order and all(column == slice(0, shape[1]) for column in columns)


def _cost(shape: tuple[int, ...]) -> int:
    """Products that grow with the cube of the smaller side, as in Newton-Schulz iterations."""
    small, large = sorted(shape)
    return small * small * (small + 2 * large)

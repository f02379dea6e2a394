"""What to change where a strategy needs more memory than a device has.

Only changes that were found to fit are named: each is tried alone, and where none is enough, on top
of recomputed blocks and single rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.parallel.layout import Layout
from hunmin.planner.memory.footprint import first_enough
from hunmin.planner.memory.habits import Habits
from hunmin.planner.memory.peak import memory_use
from hunmin.planner.memory.use import USABLE, MemoryUse
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Recompute, Strategy

_MOST_RANKS = 65_536
"""No partition group beyond this is looked for."""
_SMALLEST_CHUNK = 256
"""Tokens whose logits exist at a time; fewer slow the loss down."""


def check_fits(
    shape: ModelShape, strategy: Strategy, device_memory: int, habits: Habits | None = None
) -> MemoryUse:
    """Refuse a strategy that a device cannot hold.

    Args:
        shape: The model.
        strategy: How it would be trained.
        device_memory: Bytes of a device.
        habits: What the software does with memory; see `memory_use`.

    Returns:
        What it needs.

    Raises:
        InputError: It does not fit; the message names changes with which it does.
    """
    use = memory_use(shape, strategy, habits)
    if use.fits(device_memory):
        return use
    ways = ways_to_fit(shape, strategy, device_memory, habits)
    raise InputError(
        f"{shape.name} does not fit {strategy.devices} x {format_bytes(device_memory)}",
        where="parallel.partition_group",
        given=f"{strategy.layout.describe()}; a rank needs {use.describe()}",
        allowed=f"{format_bytes(USABLE * device_memory)}: the rest of a device is the allocator's",
        hint="it needs " + ", or ".join([*ways, f"devices of {format_bytes(use.needed)}"]),
    )


def ways_to_fit(
    shape: ModelShape, strategy: Strategy, device_memory: int, habits: Habits | None = None
) -> tuple[str, ...]:
    """Return changes with which a strategy fits.

    Args:
        shape: The model.
        strategy: What does not fit.
        device_memory: Bytes of a device.
        habits: What the software does with memory; see `memory_use`.

    Returns:
        For people, each one enough by itself; none if nothing that is known here helps.
    """
    trial = _Trial(shape, device_memory, habits)
    alone = tuple(trial.changes(strategy))
    if alone:
        return alone
    smallest = replace(strategy, recompute="blocks", micro_batch=1)
    if smallest == strategy:
        return ()
    both = "recomputed blocks and 1 row a microbatch"
    if trial.fits(smallest):
        return (both,)
    return tuple(f"{both} and {change}" for change in trial.changes(smallest))


@dataclass(frozen=True)
class _Trial:
    shape: ModelShape
    device_memory: int
    habits: Habits | None

    def fits(self, strategy: Strategy) -> bool:
        return memory_use(self.shape, strategy, self.habits).fits(self.device_memory)

    def changes(self, strategy: Strategy) -> Iterator[str]:
        yield from self._larger_group(strategy)
        yield from self._more_tensor(strategy)
        yield from self._recomputation(strategy)
        yield from self._fewer_rows(strategy)
        yield from self._smaller_chunk(strategy)

    def _larger_group(self, strategy: Strategy) -> Iterator[str]:
        layout = strategy.layout
        sizes = _group_sizes(layout)
        size = first_enough(
            sizes, lambda size: self.fits(replace(strategy, layout=_group(layout, size)))
        )
        if size is None:
            return
        world = _group(layout, size).world_size
        more = f" ({world} in all)" if world > layout.world_size else ""
        yield f"a partition group of at least {size} devices{more}"

    def _more_tensor(self, strategy: Strategy) -> Iterator[str]:
        for tensor in range(strategy.layout.tensor + 1, strategy.layout.ranks_per_node + 1):
            layout = _split(self.shape, strategy.layout, tensor)
            if layout is not None and self.fits(replace(strategy, layout=layout)):
                same = layout.partition_group == strategy.layout.partition_group
                yield f"tensor {tensor}" + (
                    "" if same else f" with partition groups of {layout.partition_group}"
                )
                return

    def _recomputation(self, strategy: Strategy) -> Iterator[str]:
        kinds: tuple[Recompute, ...] = ("none", "attention", "blocks")
        for kind in kinds[kinds.index(strategy.recompute) + 1 :]:
            if self.fits(replace(strategy, recompute=kind)):
                yield f"recomputed {kind}"
                return

    def _fewer_rows(self, strategy: Strategy) -> Iterator[str]:
        fewer = range(1, strategy.micro_batch)
        most = first_enough(
            fewer[::-1], lambda rows: self.fits(replace(strategy, micro_batch=rows))
        )
        if most is not None:
            yield f"at most {most} {'row' if most == 1 else 'rows'} a microbatch"

    def _smaller_chunk(self, strategy: Strategy) -> Iterator[str]:
        chunk = strategy.loss_chunk or strategy.micro_batch * self.shape.context
        while chunk > _SMALLEST_CHUNK:
            chunk = max(_SMALLEST_CHUNK, chunk // 2)
            if self.fits(replace(strategy, loss_chunk=chunk)):
                yield f"a loss over {chunk} tokens at a time"
                return


def _group_sizes(layout: Layout) -> list[int]:
    """Larger groups: those that the ranks can be shared out in, then some of more ranks."""
    per_node = layout.ranks_per_node // layout.tensor
    within = [size for size in range(1, per_node) if per_node % size == 0]
    across = range(per_node, _MOST_RANKS // layout.tensor + 1, per_node)
    return [
        size
        for size in [*within, *across]
        if size > layout.partition_group
        and (size > layout.data_ranks or layout.data_ranks % size == 0)
    ]


def _group(layout: Layout, size: int) -> Layout:
    """Return the layout with another group, on more ranks if it takes more."""
    world = max(layout.world_size, size * layout.tensor)
    return replace(layout, world_size=world, partition_group=size)


def _split(shape: ModelShape, layout: Layout, tensor: int) -> Layout | None:
    """Return the layout of the same ranks with matrices split, in groups as large as they can be.

    Groups are no larger than before.
    """
    sides = (shape.heads, shape.kv_heads, shape.feedforward)
    if layout.ranks_per_node % tensor or any(side % tensor for side in sides):
        return None
    for size in range(layout.partition_group, 0, -1):
        try:
            return replace(layout, tensor=tensor, partition_group=size)
        except InputError:
            continue
    return None

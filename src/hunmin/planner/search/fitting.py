"""Which strategies fit the memory of a device, asked of thousands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hunmin.planner.memory import HUNMIN, Habits, MemoryUse, memory_use
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy

Key = tuple[object, ...]
_RECOMPUTES = ("blocks", "attention", "none")
"""The more is computed again, the less is kept."""


@dataclass
class Fitting:
    """Memory of strategies of one model; what needs the same is worked out once.

    Args:
        shape: The model.
        device_memory: Bytes of a device.
        habits: What the software does with memory.
    """

    shape: ModelShape
    device_memory: int
    habits: Habits = HUNMIN
    _uses: dict[Key, MemoryUse] = field(default_factory=dict)
    _too_many_rows: dict[Key, int] = field(default_factory=dict)

    def use(self, strategy: Strategy) -> MemoryUse:
        """Return the bytes of a rank."""
        key = (*_all_but_rows(strategy), strategy.micro_batch)
        if key not in self._uses:
            self._uses[key] = memory_use(self.shape, strategy, self.habits)
        return self._uses[key]

    def fits(self, strategy: Strategy) -> bool:
        """Tell whether a strategy fits; more rows than too many do not."""
        key = _all_but_rows(strategy)
        if strategy.micro_batch >= self._too_many_rows.get(key, strategy.micro_batch + 1):
            return False
        if self.use(strategy).fits(self.device_memory):
            return True
        self._too_many_rows[key] = strategy.micro_batch
        return False

    def smallest(self, strategies: Iterable[Strategy]) -> Strategy:
        """Return the strategy that needs least memory, looking at the likely ones only.

        Args:
            strategies: At least one.

        Returns:
            Among those with fewest rows, most computed again and the smallest share of the model.
        """
        several = list(strategies)
        least = min(map(_size, several))
        likely = [strategy for strategy in several if _size(strategy) == least]
        return min(likely, key=lambda strategy: self.use(strategy).total)


def _size(strategy: Strategy) -> tuple[int, int, bool, int]:
    layout = strategy.layout
    return (
        strategy.micro_batch,
        _RECOMPUTES.index(strategy.recompute),
        not strategy.reshard_after_forward,
        -layout.partition_group * layout.tensor,
    )


def _all_but_rows(strategy: Strategy) -> Key:
    """Return what memory depends on within a request, but for the rows of a microbatch.

    How collectives go changes nothing; gradients of several microsteps are added up.
    """
    layout = strategy.layout
    return (
        layout.partition_group,
        layout.tensor,
        strategy.recompute,
        strategy.reshard_after_forward,
        strategy.microsteps > 1,
    )

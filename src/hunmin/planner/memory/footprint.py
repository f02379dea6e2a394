"""The memory of a model of any family, from counted parameters and measured activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.parallel.layout import Layout
from hunmin.planner.memory.activations import Activations
from hunmin.planner.memory.habits import HUNMIN
from hunmin.planner.memory.peak import peak
from hunmin.planner.memory.use import USABLE, MemoryUse
from hunmin.planner.memory.weights import Weights
from hunmin.planner.strategy import Strategy

_MOST_RANKS = 65_536
"""No partition group beyond this is looked for."""


@dataclass(frozen=True)
class Footprint:
    """What decides how much memory a model needs while it trains.

    Args:
        weights: Its parameters, those of a block for one tensor-parallel rank.
        activations: Of a microbatch.
        strategy: How it is trained; of its layout only the tensor degree counts.
    """

    weights: Weights
    activations: Activations
    strategy: Strategy

    def use(self, partition_group: int) -> MemoryUse:
        """Return the bytes of a rank at the peak of a step, in groups of so many ranks."""
        tensor = self.strategy.layout.tensor
        layout = Layout(2 * partition_group * tensor, tensor, partition_group, tensor)
        strategy = replace(self.strategy, layout=layout)
        return peak(self.weights, self.activations, strategy, HUNMIN)

    def kept_bytes(self, partition_group: int) -> float:
        """Return the bytes of a rank's weights, gradients and optimizer states."""
        use = self.use(partition_group)
        return 2 * use.parameters + use.optimizer

    def smallest_group(self, memory: int) -> int:
        """Return the fewest ranks of a partition group that fit their memory.

        Args:
            memory: Bytes of a device, of which `USABLE` may be filled.

        Returns:
            At least 1; a group may have to be larger to divide the ranks.

        Raises:
            InputError: What does not depend on the group alone is too much.
        """
        fewest = first_enough(range(1, _MOST_RANKS + 1), lambda p: self.use(p).fits(memory))
        if fewest is None:
            raise self._too_large(memory)
        return fewest

    def refuse_group(self, partition_group: int, memory: int) -> None:
        """Refuse a partition group whose states alone are larger than a device.

        Args:
            partition_group: What the recipe says.
            memory: Bytes of a device.

        Raises:
            InputError: It cannot fit.
        """
        needed = self.kept_bytes(partition_group)
        if needed > memory:
            raise InputError(
                "weights, gradients and optimizer states of this partition group do not fit a "
                "device",
                where="parallel.partition_group",
                given=f"{partition_group} ranks with {format_bytes(needed)} each, "
                f"{format_bytes(memory)} there are",
                allowed=f"at least {-(-int(self.kept_bytes(1)) // memory)}",
                hint="take a larger group, or auto",
            )

    def _too_large(self, memory: int) -> InputError:
        use = self.use(_MOST_RANKS)
        return InputError(
            "activations and gathered parameters alone do not fit a device",
            where="parallel.partition_group",
            given=f"{format_bytes(use.total)} of {format_bytes(USABLE * memory)} that may be "
            f"filled, of which {format_bytes(use.activations + use.logits)} activations",
            hint="lower train.microbatch_tokens or train.loss_chunk_tokens, set "
            "train.activation_checkpointing, or raise parallel.tensor",
        )


def first_enough(candidates: Sequence[int], is_enough: Callable[[int], bool]) -> int | None:
    """Return the first candidate that is enough, where all that follow it are too.

    Args:
        candidates: Ascending, or descending where less is easier.
        is_enough: False up to some candidate, then true.

    Returns:
        The candidate; None if none is enough.
    """
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(candidates[middle]) else (middle + 1, high)
    return candidates[low] if low < len(candidates) else None

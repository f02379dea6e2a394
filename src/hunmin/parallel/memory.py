"""How much memory a rank needs for its part of a model, and the smallest group that has it.

    per rank =  parameters * (weights + gradients + optimizer) / (p * t)      kept all the time
              + embeddings and ends, gathered                                 root of the model
              + (1 + prefetch) blocks, gathered, and a gradient of one        while it computes
              + activations of a microbatch                                   measured

Plain arithmetic, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes

_FLOAT32 = 4
_KEPT = 2 * _FLOAT32
"""Bytes of a parameter and its gradient, both float32."""


@dataclass(frozen=True)
class Footprint:
    """What decides how much memory a model needs while it trains.

    Args:
        parameters: All of them.
        outside_parameters: Those outside of the blocks.
        block_parameters: Those of the largest block.
        optimizer_bytes: Bytes of optimizer state a parameter, 8 for AdamW, 4 for Muon.
        gather_bytes: Bytes of a gathered parameter of a block.
        prefetch: Blocks gathered ahead.
        activation_bytes: Activations of a microbatch, the loss included.
        tensor: Ranks that split each matrix.
    """

    parameters: int
    outside_parameters: int
    block_parameters: int
    optimizer_bytes: int
    gather_bytes: int
    prefetch: int
    activation_bytes: int
    tensor: int = 1

    def kept_bytes(self, partition_group: int) -> int:
        """Return bytes of weights, gradients and optimizer states of a rank."""
        a_parameter = _KEPT + self.optimizer_bytes
        return self.parameters * a_parameter // (partition_group * self.tensor)

    def working_bytes(self) -> int:
        """Return bytes that come and go in a step, whatever the group."""
        gathered = (1 + self.prefetch) * self.block_parameters * self.gather_bytes
        # The gradient of a block in the type it is computed in, and its float32 copy on the way.
        gradients = self.block_parameters * (self.gather_bytes + _FLOAT32)
        outside = self.outside_parameters * 2 * _FLOAT32
        return (gathered + gradients) // self.tensor + outside + self.activation_bytes

    def bytes_per_rank(self, partition_group: int) -> int:
        """Return the bytes a rank needs at most, allocator overhead not included."""
        return self.kept_bytes(partition_group) + self.working_bytes()

    def smallest_group(self, memory: int) -> int:
        """Return the fewest ranks of a partition group that fit their memory.

        Args:
            memory: Bytes that a rank may use.

        Returns:
            At least 1; a group may have to be larger to divide the ranks.

        Raises:
            InputError: What does not depend on the group alone is too much.
        """
        left = memory - self.working_bytes()
        if left <= 0:
            raise InputError(
                "activations and gathered parameters alone do not fit a device",
                where="parallel.partition_group",
                given=f"{format_bytes(self.working_bytes())} of {format_bytes(memory)}, of which "
                f"{format_bytes(self.activation_bytes)} activations",
                hint="lower train.microbatch_tokens or train.loss_chunk_tokens, set "
                "train.activation_checkpointing, or raise parallel.tensor",
            )
        return max(1, -(-self.kept_bytes(1) // left))


def refuse_group_that_cannot_fit(footprint: Footprint, partition_group: int, memory: int) -> None:
    """Refuse a partition group whose states alone are larger than a device.

    Args:
        footprint: Of the model.
        partition_group: What the recipe says.
        memory: Bytes of a device.

    Raises:
        InputError: It cannot fit.
    """
    needed = footprint.kept_bytes(partition_group)
    if needed > memory:
        raise InputError(
            "weights, gradients and optimizer states of this partition group do not fit a device",
            where="parallel.partition_group",
            given=f"{partition_group} ranks with {format_bytes(needed)} each, "
            f"{format_bytes(memory)} there are",
            allowed=f"at least {-(-footprint.kept_bytes(1) // memory)}",
            hint="take a larger group, or auto",
        )

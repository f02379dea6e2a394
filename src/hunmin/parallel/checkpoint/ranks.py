"""What the ranks of a run say to each other about a checkpoint: small messages over gloo."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from hunmin.core.errors import HunminError


@dataclass(frozen=True)
class Ranks:
    """The ranks that write and read one checkpoint together.

    Args:
        rank: Number of this one.
        size: How many there are.
        group: Their process group, which can send CPU tensors; None for the default one.
    """

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None

    @staticmethod
    def join(*, timeout: timedelta) -> Ranks:
        """Return all ranks of this run, to speak with from the main thread.

        Args:
            timeout: Of a group that is made because the default one cannot send CPU tensors.

        Returns:
            The ranks; this process alone where torch.distributed is not in use.

        Note:
            Collective.
        """
        if _is_alone():
            return Ranks()
        if "cpu:" in dist.get_backend_config():
            return Ranks(dist.get_rank(), dist.get_world_size())
        return Ranks.join_apart(timeout=timeout)

    @staticmethod
    def join_apart(*, timeout: timedelta) -> Ranks:
        """Return all ranks of this run with a process group that nobody else uses.

        Args:
            timeout: After which a message that does not arrive is an error.

        Returns:
            The ranks, for a thread beside the training: collectives of two threads in one group
            would be taken for each other and never end.

        Note:
            Collective.
        """
        if _is_alone():
            return Ranks()
        group = dist.new_group(backend="gloo", timeout=timeout)
        return Ranks(dist.get_rank(), dist.get_world_size(), group)

    @property
    def is_first(self) -> bool:
        """Whether this rank does what is done once."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every rank, in their order, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def share(self, value: Any) -> Any:
        """Return the first rank's value on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def smallest(self, number: int) -> int:
        """Return the smallest of all ranks' numbers."""
        if self.size == 1:
            return number
        tensor = torch.tensor(number)
        dist.all_reduce(tensor, dist.ReduceOp.MIN, group=self.group)
        return int(tensor)

    def raise_together(self, error: HunminError | None) -> None:
        """Raise the error of the first rank that has one, on every rank.

        Args:
            error: What went wrong on this rank, if anything did.

        Raises:
            HunminError: Something went wrong on some rank; the message names it.

        Note:
            Collective.
        """
        place = f"rank {self.rank} on {socket.gethostname()}"
        failures = [found for found in self.gather(error and (place, error)) if found is not None]
        if failures:
            first_place, first_error = failures[0]
            raise name_place(first_error, first_place) if self.size > 1 else first_error


def name_place(error: HunminError, place: str) -> HunminError:
    """Return the same error with the rank it happened on.

    Args:
        error: What happened.
        place: Such as "rank 3 on node-2".

    Returns:
        An error of the same class.
    """
    return type(error)(
        f"{error.problem} ({place})",
        where=error.where,
        given=error.given,
        allowed=error.allowed,
        hint=error.hint,
    )


def _is_alone() -> bool:
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1

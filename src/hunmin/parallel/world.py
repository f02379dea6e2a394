"""The ranks of a run: who they are, where they lie, and how they are joined and left."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """This process among all that train together.

    Args:
        rank: Its number.
        size: How many there are.
        local_rank: Its number on this node.
        ranks_per_node: How many torchrun started on this node.
        device: Where its part of the model lies.
    """

    rank: int
    size: int
    local_rank: int
    ranks_per_node: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this rank writes what is written once."""
        return self.rank == 0

    @property
    def node(self) -> int:
        """Number of the node this rank lies on."""
        return self.rank // self.ranks_per_node

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier()

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every rank, in their order, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

"""The ranks of a run: who they are, where they lie, and how they are joined and left."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from hunmin.core.errors import InputError
from hunmin.core.logs import rank as rank_of_environment
from hunmin.core.logs import world_size
from hunmin.parallel.watch.store import PrefixStore, Store, agree_on_start

_SECONDS_TO_MEET = 600.0


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

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values


def local_world(device: torch.device | str = "cpu") -> World:
    """Return the world of a process that trains alone."""
    return World(rank=0, size=1, local_rank=0, ranks_per_node=1, device=torch.device(device))


@functools.cache
def meeting_place() -> Store:
    """Return the store through which the ranks of this run find each other.

    Returns:
        That of torchrun, under a prefix of this start: torchrun keeps what was in it when it
        starts the ranks again.

    Raises:
        UnreachableError: The store, or the other ranks, do not answer.

    Note:
        Collective at the first call: every rank has to come within ten minutes.
    """
    rank, size = rank_of_environment(), world_size()
    store: Store = next(rendezvous("env://", rank, size))[0]
    start = agree_on_start(store, rank=rank, size=size, seconds=_SECONDS_TO_MEET)
    return PrefixStore(start, store)


@contextlib.contextmanager
def join_world(*, timeout: float) -> Iterator[World]:
    """Join the process group that torchrun's environment describes, and leave it at the end.

    Args:
        timeout: Seconds after which a collective that does not end is an error.

    Yields:
        The world: this process alone where torchrun did not start it.

    Note:
        Collective. Ranks of a node take its CUDA devices in order; without any they compute on
        the CPU over gloo.
    """
    if world_size() == 1:
        yield local_world("cuda" if torch.cuda.is_available() else "cpu")
        return
    world = _world_of_environment()
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    backend = "cpu:gloo,cuda:nccl" if world.device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend,
        store=meeting_place(),
        rank=world.rank,
        world_size=world.size,
        timeout=timedelta(seconds=timeout),
    )
    try:
        yield world
        dist.barrier()  # a rank that leaves while others still talk aborts them
    finally:
        dist.destroy_process_group()


def _world_of_environment() -> World:
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        if local_rank >= torch.cuda.device_count():
            raise InputError(
                "there are more ranks on this node than GPUs",
                where=socket.gethostname(),
                given=f"{per_node} ranks, {torch.cuda.device_count()} GPUs",
                hint="start torchrun with --nproc-per-node gpu",
            )
        device = torch.device("cuda", local_rank)
    return World(rank_of_environment(), world_size(), local_rank, per_node, device)

"""Copies of the last steps in the nodes' memory, to go on after a loss without reading a disk.

    node 0   /dev/shm/hunmin-<run>/step-…20.p2.t1.shard-00000   step-…20.p2.t1.shard-00001
    node 1   /dev/shm/hunmin-<run>/step-…20.p2.t1.shard-00000   step-…20.p2.t1.shard-00001

Each shard of a model exists once in every copy of it, so that with two copies on different nodes
either may be lost. Files in a memory file system outlive the processes that torchrun starts anew; a
node that comes new gets its shards over the network from one that holds them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hunmin.core.errors import CorruptArtifactError, HunminError
from hunmin.core.logs import get_logger
from hunmin.parallel.checkpoint.index import CheckpointIndex, TensorRecord
from hunmin.parallel.checkpoint.load import refuse_differences
from hunmin.parallel.checkpoint.memory_files import (
    GENERATIONS,
    Holding,
    holdings_of,
    remove_others,
    space_error,
)
from hunmin.parallel.checkpoint.random_states import PREFIX
from hunmin.parallel.checkpoint.ranks import Ranks
from hunmin.parallel.checkpoint.staging import local_part
from hunmin.parallel.checkpoint.tensor_file import (
    explain_failed_write,
    file_size,
    write_memory_file,
)
from hunmin.parallel.checkpoint.transfer import Transfer, carry_out
from hunmin.parallel.layout import Layout

logger = get_logger(__name__)

MEMORY_FILE_SYSTEM = Path("/dev/shm")


class MemoryCopies:
    """The in-memory copies of one run.

    Args:
        run: Name of this run and no other: letters, digits, hyphens.
        layout: Which rank holds what.
        ranks: All ranks, with a process group that no other thread uses.
        root: A memory file system.

    Note:
        All methods but `__init__` are collective. Every rank raises the same errors.
    """

    def __init__(
        self, run: str, layout: Layout, ranks: Ranks, *, root: Path = MEMORY_FILE_SYSTEM
    ) -> None:
        self.folder = root / f"hunmin-{run}"
        self._layout = layout
        self._ranks = ranks
        self._num_shards = layout.partition_group * layout.tensor
        self._kept: int | None = None
        self._has_space = False

    # -- writing ---------------------------------------------------------------------------------

    def save(self, step: int, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> float:
        """Copy the state of a step into the memory of this node.

        Args:
            step: Of the state.
            tensors: Plain tensors and DTensors by name, this rank's random generators among them.
            content: What is no tensor, as a JSON value.

        Returns:
            Seconds that training stood still for it.

        Raises:
            DiskFullError: The memory file system of some node is too small; says what is needed.

        Note:
            The copy of the step before stays until this one is complete everywhere.
        """
        started = time.perf_counter()
        parts = {name: local_part(tensor) for name, tensor in tensors.items()}
        parts |= self._random_states_of_holders(parts)
        notes = {
            "index": _describe(tensors, self._ranks.size).model_dump_json(),
            "content": json.dumps(content),
        }
        self._check_space(parts, notes)
        error = None
        try:
            self._write(step, parts, notes)
        except HunminError as found:
            error = found
        self._ranks.raise_together(error)
        self._kept = step
        return time.perf_counter() - started

    def _write(self, step: int, parts: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        with explain_failed_write(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A run that went back to an earlier step does not go on from what it left.
        kept = None if self._kept is None or self._kept >= step else self._kept
        remove_others(self.folder, steps={kept, step})
        if self._is_writer(self._ranks.rank):
            write_memory_file(self.folder / self._holding(step, self._shard).name, parts, notes)

    def _random_states_of_holders(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the generators of all ranks that hold this shard: one of them may be lost."""
        own = {name: value.cpu() for name, value in parts.items() if name.startswith(PREFIX)}
        gathered: list[dict[str, Tensor]] = self._ranks.gather(own)
        return {
            name: value
            for states in gathered[self._shard :: self._num_shards]
            for name, value in states.items()
        }

    def _check_space(self, parts: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        """Say before the first copy what all copies will need."""
        if self._has_space:
            return
        rank, node = self._ranks.rank, self._node(self._ranks.rank)
        size = GENERATIONS * file_size(parts, notes) if self._is_writer(rank) else 0
        needs = [need for other, need in self._ranks.gather((node, size)) if other == node]
        self._ranks.raise_together(space_error(self.folder, sum(needs)))
        self._has_space = True

    @property
    def _shard(self) -> int:
        return self._ranks.rank % self._num_shards

    def _node(self, rank: int) -> int:
        return rank // self._layout.ranks_per_node

    def _is_writer(self, rank: int) -> bool:
        """The first rank of a node that holds a shard writes it; the others hold the same."""
        return self._node(rank - self._num_shards) != self._node(rank)

    def _holding(self, step: int, shard: int) -> Holding:
        return Holding(step, self._layout.partition_group, self._layout.tensor, shard)

    # -- reading ---------------------------------------------------------------------------------

    def newest(self) -> MemoryCopy | None:
        """Return the newest step whose shards all lie in the memory of some node.

        Returns:
            The copy; None if there is none, which is logged unless no node holds anything.
        """
        held: list[list[Holding]] = self._ranks.gather(holdings_of(self.folder))
        fitting = [[h for h in holdings if self._fits(h)] for holdings in held]
        shards_by_step: dict[int, set[int]] = {}
        for holding in (holding for holdings in fitting for holding in holdings):
            shards_by_step.setdefault(holding.step, set()).add(holding.shard)
        whole = [s for s, shards in shards_by_step.items() if len(shards) == self._num_shards]
        if not whole:
            self._explain_absence(held, shards_by_step)
            return None
        self._kept = max(whole)
        return MemoryCopy(self, self._kept, fitting)

    def _fits(self, holding: Holding) -> bool:
        return holding == self._holding(holding.step, holding.shard)

    def _explain_absence(
        self, held: Sequence[Sequence[Holding]], shards_by_step: Mapping[int, set[int]]
    ) -> None:
        if not self._ranks.is_first or not any(held):
            return
        if shards_by_step:
            step = max(shards_by_step)
            missing = sorted(set(range(self._num_shards)) - shards_by_step[step])
            reason = f"no node is left that held shard {missing[0]} of step {step}"
        else:
            other = next(holding for holdings in held for holding in holdings)
            reason = (
                f"they are of partition groups of {other.partition_group}, tensor {other.tensor}; "
                f"these are {self._layout.partition_group}, tensor {self._layout.tensor}"
            )
        logger.warning("in-memory copies are of no use: %s; looking for a checkpoint", reason)

    def fetch(self, step: int, held: Sequence[Sequence[Holding]]) -> Path:
        """Bring this rank's shard into the memory of this node, if it is not there.

        Args:
            step: Of a complete copy.
            held: What each rank's node holds.

        Returns:
            The file.

        Raises:
            DiskFullError: The memory file system of some node is too small.
        """
        wanted = [self._holding(step, rank % self._num_shards) for rank in range(len(held))]
        missing = [
            rank
            for rank, holding in enumerate(wanted)
            if holding not in held[rank] and self._is_writer(rank)
        ]
        senders = _choose_senders(missing, wanted, held)
        transfers = [
            Transfer(sender, rank, wanted[rank].name)
            for sender, rank in zip(senders, missing, strict=True)
        ]
        self._ranks.raise_together(carry_out(transfers, self.folder, self._ranks))
        if transfers and self._ranks.is_first:
            logger.info("%d shards came over the network from other nodes", len(transfers))
        return self.folder / wanted[self._ranks.rank].name

    def agree(self, error: HunminError | None) -> None:
        """Raise an error of any rank on all of them."""
        self._ranks.raise_together(error)

    def clean(self) -> None:
        """Give the memory back at the end of a run."""
        self._ranks.gather(None)  # others may still read
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class MemoryCopy:
    """A complete copy of a step in the memory of the nodes.

    Args:
        copies: Of the run.
        step: Which step.
        held: What each rank's node holds.
    """

    copies: MemoryCopies
    step: int
    held: Sequence[Sequence[Holding]]

    def open(self) -> OpenCopy:
        """Return this rank's shard, from its node's memory or from another node.

        Returns:
            The shard.

        Raises:
            CorruptArtifactError: A file cannot be read.
            DiskFullError: The memory file system of some node is too small.

        Note:
            Collective; every rank raises the same error.
        """
        path = self.copies.fetch(self.step, self.held)
        found, error = _try_to_open(path, self.copies)
        self.copies.agree(error)
        if found is None:
            raise CorruptArtifactError("a memory copy was not opened", where=path)
        return found


@dataclass(frozen=True)
class OpenCopy:
    """A rank's shard of a memory copy.

    Args:
        path: The file.
        index: Shape and type of each whole tensor.
        content: What is no tensor.
        copies: Of the run.
    """

    path: Path
    index: CheckpointIndex
    content: dict[str, Any]
    copies: MemoryCopies

    def has(self, name: str) -> bool:
        """Tell whether a tensor is in it."""
        with safe_open(self.path, framework="pt") as file:
            return name in file.keys()  # noqa: SIM118

    def load(self, targets: Mapping[str, Tensor]) -> None:
        """Fill this rank's parts of tensors.

        Args:
            targets: Plain tensors and DTensors by name, filled in place.

        Raises:
            ArtifactMismatchError: A tensor is not in the copy, or has another shape or type.
            CorruptArtifactError: The file cannot be read.

        Note:
            Collective; every rank raises the same error.
        """
        error = None
        try:
            shared = {n: t for n, t in targets.items() if not n.startswith(PREFIX)}
            refuse_differences(self.index, shared, self.path)
            self._fill(targets)
        except HunminError as found:
            error = found
        self.copies.agree(error)

    @torch.no_grad()
    def _fill(self, targets: Mapping[str, Tensor]) -> None:
        try:
            with safe_open(self.path, framework="pt") as file:
                for name, target in targets.items():
                    local_part(target).copy_(file.get_tensor(name))
        except (OSError, SafetensorError) as error:
            raise _unreadable(self.path, error) from error


def _try_to_open(
    path: Path, copies: MemoryCopies
) -> tuple[OpenCopy | None, CorruptArtifactError | None]:
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata()
        index = CheckpointIndex.model_validate_json(notes["index"])
        return OpenCopy(path, index, json.loads(notes["content"]), copies), None
    except (OSError, SafetensorError) as error:
        return None, _unreadable(path, error)


def _unreadable(path: Path, error: Exception) -> CorruptArtifactError:
    return CorruptArtifactError(
        "a copy in memory cannot be read",
        where=path,
        given=str(error),
        hint="delete its folder on all nodes: the newest checkpoint on disk is used then",
    )


def _describe(tensors: Mapping[str, Tensor], world_size: int) -> CheckpointIndex:
    records = {
        name: TensorRecord(
            shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."), chunks=()
        )
        for name, tensor in tensors.items()
        if not name.startswith(PREFIX)
    }
    return CheckpointIndex(world_size=world_size, tensors=records)


def _choose_senders(
    missing: Sequence[int], wanted: Sequence[Holding], held: Sequence[Sequence[Holding]]
) -> list[int]:
    """Choose a rank of a node that holds each missing shard, the least busy one."""
    sends = [0] * len(held)
    chosen = []
    for rank in missing:
        holders = [other for other, holdings in enumerate(held) if wanted[rank] in holdings]
        sender = min(holders, key=lambda other: sends[other])
        sends[sender] += 1
        chosen.append(sender)
    return chosen

"""The files of in-memory copies: their names, which there are, and the space they need."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hunmin.core.errors import DiskFullError
from hunmin.core.units import format_bytes

GENERATIONS = 2
"""The last complete copy, and the one being written."""

_NAME = re.compile(r"step-(\d{8})\.p(\d+)\.t(\d+)\.shard-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Holding:
    """A file in the memory of a node.

    Args:
        step: Of the state.
        partition_group: Ranks that shared a copy of the model.
        tensor: Ranks that split each matrix.
        shard: Which of their shards it is.
    """

    step: int
    partition_group: int
    tensor: int
    shard: int

    @property
    def name(self) -> str:
        """Of the file."""
        return (
            f"step-{self.step:08d}.p{self.partition_group}.t{self.tensor}"
            f".shard-{self.shard:05d}.safetensors"
        )


def holdings_of(folder: Path) -> list[Holding]:
    """Return what lies in the memory of this node."""
    names: Iterable[str] = (f.name for f in folder.iterdir()) if folder.is_dir() else ()
    matches = (_NAME.fullmatch(name) for name in sorted(names))
    return [Holding(*map(int, match.groups())) for match in matches if match]


def space_error(folder: Path, needed: int) -> DiskFullError | None:
    """Compare what the copies of a node need with what there is, older copies included.

    Args:
        folder: Of the copies.
        needed: Bytes.

    Returns:
        An error that says what is missing; None if nothing is.
    """
    root = folder.parent
    if not root.is_dir():
        return DiskFullError(
            "there is no memory file system here",
            where=root,
            hint="name another one, or train without in-memory copies",
        )
    present = [file.stat().st_size for file in folder.glob("*")] if folder.is_dir() else []
    available = shutil.disk_usage(root).free + sum(present)
    if needed <= available:
        return None
    return DiskFullError(
        f"the memory file system of {socket.gethostname()} is too small for in-memory copies",
        where=root,
        given=f"{format_bytes(available)} free",
        allowed=f"at least {format_bytes(needed)} for {GENERATIONS} copies of this node's shards",
        hint="enlarge it (docker run --shm-size, a Kubernetes emptyDir with medium: Memory, "
        "mount -o remount,size=), or train without in-memory copies",
    )


def remove_others(folder: Path, *, steps: set[int | None]) -> None:
    """Delete the copies of all other steps than these, and what writing them left behind."""
    for file in list(folder.iterdir()):
        found = _NAME.search(file.name)
        if found and int(found[1]) not in steps:
            file.unlink(missing_ok=True)

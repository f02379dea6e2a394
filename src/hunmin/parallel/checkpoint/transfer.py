"""Files sent from rank to rank."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from hunmin.core.errors import HunminError
from hunmin.parallel.checkpoint.ranks import Ranks
from hunmin.parallel.checkpoint.tensor_file import explain_failed_write

_BLOCK = 64 * 2**20


@dataclass(frozen=True)
class Transfer:
    """A file that one rank sends to another.

    Args:
        sender: Rank.
        receiver: Rank.
        name: Of the file.
    """

    sender: int
    receiver: int
    name: str


def carry_out(transfers: Sequence[Transfer], folder: Path, ranks: Ranks) -> HunminError | None:
    """Send and receive files, each rank its own, in the same order everywhere.

    Args:
        transfers: The same ones on every rank.
        folder: Where the files lie and shall lie.
        ranks: All ranks.

    Returns:
        What went wrong on this rank; a receiver that cannot write still takes all blocks, so that
        its sender does not wait forever.
    """
    error = None
    for transfer in transfers:
        try:
            if ranks.rank == transfer.sender:
                _send(folder / transfer.name, transfer.receiver, ranks)
            elif ranks.rank == transfer.receiver:
                _receive(folder / transfer.name, transfer.sender, ranks)
        except HunminError as found:
            error = error or found
    return error


def _send(path: Path, receiver: int, ranks: Ranks) -> None:
    size = path.stat().st_size
    dist.send(torch.tensor(size), receiver, group=ranks.group)
    content = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    for block in content.split(_BLOCK):
        dist.send(block.contiguous(), receiver, group=ranks.group)


def _receive(path: Path, sender: int, ranks: Ranks) -> None:
    size = torch.tensor(0)
    dist.recv(size, sender, group=ranks.group)
    draft = path.with_name(f".{path.name}.tmp")
    left = int(size)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(draft.unlink, missing_ok=True)
        with explain_failed_write(path):
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with draft.open("wb") as file:
                    while left:
                        block = _receive_block(left, sender, ranks)
                        left -= len(block)
                        file.write(block.numpy().data)
                draft.replace(path)
            except OSError:
                while left:
                    left -= len(_receive_block(left, sender, ranks))
                raise


def _receive_block(left: int, sender: int, ranks: Ranks) -> torch.Tensor:
    block = torch.empty(min(left, _BLOCK), dtype=torch.uint8)
    dist.recv(block, sender, group=ranks.group)
    return block

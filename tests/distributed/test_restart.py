"""Ranks that torchrun starts again find one another, not the addresses of the dead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from torch.distributed import HashStore, Store

from hunmin.core.errors import UnreachableError
from hunmin.parallel.watch.store import agree_on_start

SIZE = 4


def start(store: Store, delays: dict[int, float] | None = None) -> list[str]:
    """All ranks come to the store, some later, each with a connection of its own."""
    names = [""] * SIZE

    def come(rank: int) -> None:
        names[rank] = agree_on_start(store, rank=rank, size=SIZE, seconds=20)

    late = delays or {}
    timers = [threading.Timer(late.get(rank, 0.0), come, [rank]) for rank in range(SIZE)]
    for timer in timers:
        timer.start()
    for timer in timers:
        timer.join(30)
    return names


@pytest.fixture(autouse=True)
def _forget_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUNMIN_START", "")


@pytest.mark.parametrize("late", [0, 3])
def test_each_start_has_a_name_of_its_own_however_late_a_rank_is(late: int) -> None:
    store = HashStore()
    names = [start(store, {late: 0.3}) for _ in range(3)]
    assert [len(set(told)) for told in names] == [1, 1, 1]
    assert len({told[0] for told in names}) == 3
    assert all(len(told[0]) == 16 for told in names)


def test_tokens_of_an_earlier_start_do_not_stand_in_for_a_rank() -> None:
    store = HashStore()
    start(store)
    with pytest.raises(UnreachableError, match="not all 4 ranks came"):
        agree_on_start(store, rank=0, size=SIZE, seconds=0.5)
    with pytest.raises(UnreachableError, match="not all 4 ranks came"):
        agree_on_start(store, rank=2, size=SIZE, seconds=0.5)


DIE_ONCE = """
import os, signal
from datetime import timedelta
import torch, torch.distributed as dist
from torch.distributed.rendezvous import rendezvous
from hunmin.parallel.watch.store import PrefixStore, agree_on_start
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
store = next(rendezvous("env://", rank, size))[0]
name = agree_on_start(store, rank=rank, size=size, seconds=60)
wait = timedelta(seconds=20)
store = PrefixStore(name, store)
dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=wait)
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
numbers = torch.ones(1)
dist.all_reduce(numbers)
os.write(1, f"sum {int(numbers)} of {size}\\n".encode())
dist.barrier()
dist.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_torchrun_starts_the_ranks_again(tmp_path: Path) -> None:
    script = tmp_path / "die_once.py"
    script.write_text(DIE_ONCE, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1"]
    place = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    done = subprocess.run(
        [*torchrun, *place, "--nproc-per-node", "2", "--max-restarts", "1", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sum 2 of 2\n" * 2

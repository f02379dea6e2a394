"""Several ranks on this machine, over gloo: forked from a server that has imported torch once.

    losses = run_ranks(4, train_a_little, 3)     # [result of rank 0, of rank 1, ...]

`train_a_little` is a function of a module (it is sent by name). Each rank sees the environment that
torchrun would give it; `ranks_per_node` says how many of them pretend to share a node.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_PRELOADED = (
    "pytest",
    "torch",
    "torch.distributed.fsdp",
    "torch.distributed.tensor.parallel",
    "torch.distributed.checkpoint",
    "torch.optim",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.qwen3.modeling_qwen3",
    "hunmin.models.build",
    "hunmin.training.train",
)
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(_PRELOADED))


def run_ranks(
    size: int,
    function: Callable[..., Any],
    *arguments: Any,
    ranks_per_node: int | None = None,
    start_group: bool = True,
    seconds: float = 120,
    environment: Sequence[dict[str, str]] | None = None,
) -> list[Any]:
    """Run a function on `size` ranks and return what each returned; fail if one fails.

    `start_group=False` leaves it to the function to join the process group, as `join_world` does.
    `environment` gives each rank variables of its own.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    with tempfile.TemporaryDirectory() as folder:
        started = [
            _start(
                size,
                rank,
                Path(folder) / "store",
                ranks_per_node or size,
                start_group,
                {**meeting, **(environment or [{}] * size)[rank]},
                function,
                arguments,
            )
            for rank in range(size)
        ]
        return _collect(started, time.monotonic() + seconds)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _start(size: int, rank: int, *rest: Any) -> tuple[BaseProcess, Connection]:
    receiver, sender = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_rank_main, args=(sender, size, rank, *rest), daemon=True)
    process.start()
    sender.close()
    return process, receiver


def _collect(started: list[tuple[BaseProcess, Connection]], deadline: float) -> list[Any]:
    results: list[Any] = []
    failures: list[str] = []
    for rank, (process, receiver) in enumerate(started):
        try:
            if not receiver.poll(max(0.1, deadline - time.monotonic())):
                failures.append(f"rank {rank}: no result in time")
                continue
            is_good, value = pickle.loads(receiver.recv_bytes())
        except EOFError:
            process.join(5)
            failures.append(f"rank {rank}: ended with exit code {process.exitcode}")
            continue
        if is_good:
            results.append(value)
        else:
            failures.append(f"rank {rank}:\n{value}")
    for process, _ in started:
        process.join(0.1 if failures else 20)
        if process.is_alive():
            process.kill()
            process.join()
    if failures:
        raise AssertionError("\n".join(failures))
    return results


def enter_namespace(name: str) -> None:
    """Move the calling thread, and those it starts later, into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (NAMESPACES / name).open("rb") as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter network namespace {name}")


def _rank_main(
    sender: Connection,
    size: int,
    rank: int,
    store: Path,
    ranks_per_node: int,
    start_group: bool,
    environment: dict[str, str],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank % ranks_per_node),
        "LOCAL_WORLD_SIZE": str(ranks_per_node),
        "GROUP_RANK": str(rank // ranks_per_node),
        "HUNMIN_STORE": f"file://{store}",
        **environment,
    }
    try:
        if "HUNMIN_TEST_NAMESPACE" in os.environ:
            enter_namespace(os.environ["HUNMIN_TEST_NAMESPACE"])
        if start_group:
            dist.init_process_group(
                "gloo",
                init_method=f"file://{store}",
                rank=rank,
                world_size=size,
                timeout=timedelta(seconds=60),
            )
        result = function(*arguments)
        sender.send_bytes(pickle.dumps((True, result)))
        if start_group and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
    except BaseException:  # noqa: BLE001 - the test raises it again
        sender.send_bytes(pickle.dumps((False, traceback.format_exc())))
        raise SystemExit(1) from None

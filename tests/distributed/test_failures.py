"""A rank that dies or hangs: the others end in bounded time and name it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import init_device_mesh

from hunmin.core.errors import CollectiveError, InputError, TrainingDivergedError
from hunmin.parallel.watch.failures import (
    bound_collectives,
    collective_timeout,
    failed_collective,
    watch_ranks,
)
from hunmin.parallel.world import World

SIZE, CULPRIT = 4, 2
BEAT = 0.2
TIMEOUT = 3.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(function: Callable[..., Any], *arguments: object, size: int = SIZE) -> list[Any]:
    """Ranks that meet at a TCP store, as those of torchrun do; two of them share a node."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return run_ranks(
        size,
        function,
        *arguments,
        ranks_per_node=2,
        start_group=False,
        environment=[meeting] * size,
        seconds=40,
    )


def join(timeout: float = TIMEOUT) -> World:
    dist.init_process_group("gloo", timeout=timedelta(seconds=timeout))
    local, per_node = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return World(dist.get_rank(), dist.get_world_size(), local, per_node, torch.device("cpu"))


def all_reduce(world: World) -> None:
    dist.all_reduce(torch.ones(1000))


def all_gather_objects(world: World) -> None:
    world.gather({"rank": world.rank})


# -- one rank is harmed, the others tell -----------------------------------------------------------


def train_until_harm(folder: Path, harm: str, collective: Callable[[World], None]) -> None:
    """A few steps; in the last one the culprit is harmed. What the victims learn goes to files."""
    world = join()
    culprit = world.gather(os.getpid())[CULPRIT]
    try:
        with watch_ranks(world, timeout=TIMEOUT, every=BEAT) as heartbeat:
            for step in range(1, 6):
                heartbeat.mark(step, "forward and backward")
                if step == 4 and world.rank == CULPRIT:
                    time.sleep(3 * BEAT)  # so that the mark is told
                    do_harm(harm)
                collective(world)
    except (CollectiveError, ZeroDivisionError) as error:
        report = {"kind": type(error).__name__, "message": str(error)}
        (folder / f"rank-{world.rank}.json").write_text(json.dumps(report), encoding="utf-8")
    if world.rank == 0:
        wait_for_reports(folder, SIZE - (harm != "error"))
        os.kill(culprit, signal.SIGKILL)  # a stopped process ends by nothing else
    os._exit(0)


def do_harm(harm: str) -> None:
    if harm == "error":
        raise ZeroDivisionError("this batch is broken")
    os.kill(os.getpid(), signal.Signals[harm])


def wait_for_reports(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 20
    while len(list(folder.glob("rank-*.json"))) < number and time.monotonic() < deadline:
        time.sleep(0.05)


def reports_of_victims(folder: Path, harm: str, collective: Callable[[World], None]) -> list[str]:
    with pytest.raises(AssertionError, match="ended with exit code"):
        run(train_until_harm, folder, harm, collective)
    reports = {p.name: json.loads(p.read_text("utf-8")) for p in folder.glob("rank-*.json")}
    culprit = reports.pop(f"rank-{CULPRIT}.json", None)
    assert (culprit is not None) == (harm == "error")
    assert {report["kind"] for report in reports.values()} == {"CollectiveError"}
    assert len(reports) == SIZE - 1
    return [report["message"] for report in reports.values()]


@pytest.mark.parametrize(
    ("harm", "collective", "words"),
    [("SIGKILL", all_reduce, "onnection"), ("SIGSTOP", all_gather_objects, "Timed out waiting")],
)
def test_a_rank_that_dies_or_hangs_is_named_by_all_others(
    tmp_path: Path, harm: str, collective: Callable[[World], None], words: str
) -> None:
    host = socket.gethostname()
    messages = reports_of_victims(tmp_path, harm, collective)
    for message in messages:
        assert "step 4, forward and backward: rank 2 does not answer" in message
        assert f"rank 2 on {host} (node 1): last heard of in step 4, forward" in message
        assert f"next:    look at {host}" in message
        assert ".cc:" not in message
    # A victim may also see another one close its connection.
    assert any(words in message for message in messages)


def test_a_rank_that_ends_with_an_error_is_named_with_it(tmp_path: Path) -> None:
    for message in reports_of_victims(tmp_path, "error", all_reduce):
        assert "rank 2 ended with an error" in message
        assert "ZeroDivisionError: this batch is broken" in message


# -- the store goes with the rank that holds it ----------------------------------------------------


def lose_the_store() -> str:
    world = join()
    try:
        with watch_ranks(world, timeout=TIMEOUT, every=BEAT) as heartbeat:
            # Both watch now: a rank that is still connecting to the store says something else.
            world.barrier()
            heartbeat.mark(1, "gathering")
            if world.rank == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            world.gather(world.rank)
    except CollectiveError as error:
        return fail_with(str(error))
    return "nothing was noticed"


def fail_with(message: str) -> str:
    raise AssertionError(message)  # what the parent prints of this rank


def test_a_lost_store_is_said_to_be_lost_with_the_rank_that_held_it() -> None:
    with pytest.raises(AssertionError) as failure:
        run(lose_the_store, size=2)
    told = str(failure.value)
    assert "rank 0: ended with exit code -9" in told
    assert "the store of the run does not answer; rank 0 holds it" in told
    assert "look whether node 0 is up" in told


# -- groups of a mesh, and a rank that is alive and elsewhere --------------------------------------


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def wait_for_a_late_rank() -> dict[str, Any]:
    """Rank 3 reads data while rank 2 waits for it; the others wait for both."""
    world = join(timeout=30)
    groups = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")).get_all_groups()
    log = Lines()
    logging.getLogger("hunmin").addHandler(log)
    result: dict[str, Any] = {"before": [collective_timeout(g, "cpu") for g in groups]}
    bound_collectives(groups, 2.0)
    result["after"] = [collective_timeout(g, "cpu") for g in groups]
    try:
        with watch_ranks(world, timeout=2.0, every=BEAT) as heartbeat:
            heartbeat.mark(7, "reading data" if world.rank == 3 else "gathering parameters")
            if world.rank == 2:
                dist.all_reduce(torch.ones(4), group=groups[1])
            world.gather("here")
    except CollectiveError as error:
        world.gather("here now")
        result["error"] = str(error)
    return {**result, "log": log.lines}


def test_a_rank_that_is_alive_and_late_is_named_with_what_it_does() -> None:
    results = run(wait_for_a_late_rank)
    assert min(results[0]["before"]) > 30  # torch's own, not what the default group was given
    assert [set(result["after"]) for result in results] == [{2.0}] * 4
    assert ["error" in result for result in results] == [False, False, True, False]
    assert "step 7, gathering parameters: rank 3 is behind" in results[2]["error"]
    assert "(node 1): in step 7, reading data, for" in results[2]["error"]
    assert any("rank 0 on" in line and "rank 3 is behind" in line for line in results[0]["log"])


def test_other_errors_stay_what_they_are() -> None:
    run(raise_other_errors, size=2)


def raise_other_errors() -> None:
    world = join()
    for error in (
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("the DataLoader timed out"),
        TrainingDivergedError("the loss is not a number any more"),
        ConnectionResetError("Connection reset by peer"),
    ):
        with (
            pytest.raises(type(error)) as caught,
            watch_ranks(world, timeout=TIMEOUT, every=BEAT),
        ):
            raise error
        assert caught.value is error
    world.barrier()


def test_a_failure_inside_a_checkpoint_is_found() -> None:
    gone = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.0.0.2]:1")
    assert failed_collective(CheckpointException("saving", {2: (gone, None)})) is gone
    assert failed_collective(CheckpointException("saving", {2: (OSError("full"), None)})) is None


def test_a_time_out_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match=r"parallel.timeout: a time-out is above 0[^$]*: +0"):
        bound_collectives([], 0)

"""A link that is cut says nothing; both sides of it do, in bounded time."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.support.namespaces import Cluster, cluster, why_not

from hunmin.core.errors import CollectiveError
from hunmin.parallel.watch.failures import watch_ranks
from hunmin.parallel.world import World

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no namespaces: {why_not()}")

TIMEOUT = 3.0


def talk_until_cut(first_node: str, ready: Path) -> tuple[str, float]:
    """Steps without end; returns what was told, and how long after the last good step."""
    os.environ |= {"MASTER_ADDR": first_node, "MASTER_PORT": "29500"}
    dist.init_process_group("gloo", timeout=timedelta(seconds=TIMEOUT))
    local, per_node = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    world = World(dist.get_rank(), dist.get_world_size(), local, per_node, torch.device("cpu"))
    last, end = time.monotonic(), time.monotonic() + 60
    try:
        with watch_ranks(world, timeout=TIMEOUT, every=0.3) as heartbeat:
            for step in range(1, 10_000):
                heartbeat.mark(step, "gradients")
                dist.all_reduce(torch.ones(100))
                last = time.monotonic()
                if step == 20 and world.is_first:
                    ready.touch()
                if last > end:
                    break
                time.sleep(0.02)
    except CollectiveError as error:
        return str(error), time.monotonic() - last
    return "nothing was noticed", 0.0


def cut_when(ready: Path, emulated: Cluster) -> None:
    while not ready.exists():
        time.sleep(0.05)
    emulated.cut(1)


def test_both_sides_of_a_cut_link_say_so(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with cluster(2, 2) as emulated:
        threading.Thread(target=cut_when, args=(ready, emulated), daemon=True).start()
        told = emulated.run(talk_until_cut, emulated.address(0), ready, start_group=False)
    messages = [message for message, _ in told]
    # The side of the store hears nothing of the other; that one does not reach the store.
    for message in messages[:2]:
        assert "ranks 2, 3 do not answer" in message
        assert "(node 1): last heard of in step" in message
    for message in messages[2:]:
        assert "the store of the run does not answer; rank 0 holds it" in message
        assert "look whether node 0 is up" in message
    assert max(seconds for _, seconds in told) < 45  # never, without heartbeats and time-outs

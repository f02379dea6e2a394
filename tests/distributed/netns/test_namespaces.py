"""The emulated cluster itself: addresses, rates, counters, cut links, what a killed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.support.namespaces import (
    Cluster,
    Traffic,
    cluster,
    count_traffic,
    remove_stale,
    stale_namespaces,
    why_not,
)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no namespaces: {why_not()}")


def count_all_gather(numbers: int) -> tuple[Traffic, float]:
    mine = torch.ones(numbers)
    everyone = [torch.empty(numbers) for _ in range(dist.get_world_size())]
    started = time.monotonic()
    traffic = count_traffic(lambda: dist.all_gather(everyone, mine))
    return traffic, time.monotonic() - started


@pytest.mark.parametrize("nodes", [2, 3])
def test_an_all_gather_puts_its_bytes_on_every_link(nodes: int) -> None:
    numbers = 250_000
    with cluster(nodes, 2, mbit=400) as emulated:
        counted = emulated.run(count_all_gather, numbers)
    ranks = 2 * nodes
    expected = 4 * numbers * (ranks - 1)
    for traffic, seconds in counted:
        assert traffic.sent == pytest.approx(expected, rel=0.01)
        assert traffic.received == pytest.approx(expected, rel=0.01)
        # A link cannot be faster than it is; how much slower depends on the machine.
        assert seconds > 0.8 * expected * 8 / 400e6


def count_on_one_node() -> int:
    return count_all_gather(250_000)[0].sent


def test_ranks_of_one_node_do_not_use_the_link() -> None:
    with cluster(1, 2, mbit=400) as emulated:
        assert max(emulated.run(count_on_one_node)) < 10_000


def run_on(emulated: Cluster, node: int, *command: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"]}
    return emulated.start(
        node,
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def ping(emulated: Cluster, source: int, target: int) -> bool:
    """Whether a datagram and its answer get through."""
    code = (
        "import socket; s = socket.socket(); s.settimeout(0.3); "
        f"print(s.connect_ex(('{emulated.address(target)}', 9)))"
    )
    with run_on(emulated, source, "-c", code) as process:
        output = process.communicate(timeout=20)[0]
    # Nobody listens: a connection is refused if the packets arrive, and times out if they do not.
    return output.strip() == str(111)


def test_a_link_is_cut_and_restored() -> None:
    with cluster(3, 1) as emulated:
        assert ping(emulated, 0, 1)
        emulated.cut(1)
        assert not ping(emulated, 0, 1)
        assert not ping(emulated, 1, 2)
        assert ping(emulated, 0, 2)
        emulated.restore(1)
        assert ping(emulated, 0, 1)
        assert all(link.sent > 0 for link in emulated.traffic())


def test_all_processes_of_a_node_are_killed() -> None:
    with cluster(2, 1) as emulated:
        sleep = ("-c", "import time; time.sleep(60)")
        with run_on(emulated, 0, *sleep) as first, run_on(emulated, 1, *sleep) as second:
            deadline = time.monotonic() + 10
            while not emulated.processes(0) or not emulated.processes(1):
                assert time.monotonic() < deadline
            emulated.kill(0)
            assert first.wait(10) == -signal.SIGKILL
            assert emulated.processes(0) == []
            assert second.poll() is None
            emulated.kill(1)


ABANDON = """
import os, signal, subprocess, sys
sys.path.insert(0, {repository!r})
from tests.support.namespaces import cluster
with cluster(2, 1) as emulated:
    emulated.start(1, [sys.executable, "-c", "import time; time.sleep(60)"], env=dict(os.environ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not emulated.processes(1):
        pass
    print(emulated.name, emulated.processes(1)[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_alive(process: str) -> bool:
    """Whether a process runs; one that only waits to be taken note of does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_a_killed_process_left_is_removed(repository: Path) -> None:
    code = ABANDON.format(repository=str(repository))
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr
    name, process = result.stdout.split()
    assert [each for each in stale_namespaces() if each.startswith(name)]
    remove_stale()
    assert not [each for each in stale_namespaces() if each.startswith(name)]
    deadline = time.monotonic() + 10
    while is_alive(process):
        assert time.monotonic() < deadline


def test_what_a_living_process_uses_stays() -> None:
    with cluster(2, 1) as first, cluster(2, 1) as second:
        remove_stale()
        assert first.name != second.name
        assert ping(first, 0, 1)
        assert ping(second, 0, 1)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probe = why_not.__wrapped__
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe() == "no command ip or tc (iproute2)"
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert probe() == "network namespaces need root"


def test_a_kernel_that_cannot_shape_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for tool, content in {"ip": "exit 0", "tc": "echo 'kind is unknown' >&2; exit 2"}.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{content}\n", encoding="utf-8")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "kind is unknown" in str(why_not.__wrapped__())

"""Clusters emulated on this machine: each node is a network namespace with a shaped link.

    with cluster(nodes=4, ranks_per_node=2, mbit=400) as emulated:
        results = emulated.run(train_a_little, 3)      # on 8 ranks, two in each namespace

All links meet in a bridge, in a namespace of its own, and are shaped at both ends, so that a node
neither sends nor receives faster. Ranks of one node talk over their loopback device at memory
speed, which puts no byte on the link. Needs root, `ip` and `tc`; `why_not()` says what is missing.

Names carry the process that made them: several test workers get along, and what a killed one left
behind is removed when the next cluster starts.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.distributed import NAMESPACES, run_ranks

DEVICE = "eth0"
_PREFIX = "hunmin"
_BURST_BYTES = 128 * 1024
_QUEUE_BYTES = 4 * 1024 * 1024
_numbers = itertools.count()


@dataclass(frozen=True)
class Traffic:
    """Bytes on the link of one node since it was made, as its network device counts them.

    Args:
        sent: Bytes that left the node.
        received: Bytes that arrived.
    """

    sent: int
    received: int

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.sent - earlier.sent, self.received - earlier.received)


def link_traffic(process: int | str = "thread-self") -> Traffic:
    """Return the traffic of the node that a process lies on, the calling one by default."""
    for line in Path(f"/proc/{process}/net/dev").read_text("ascii").splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == DEVICE:
            columns = figures.split()
            return Traffic(int(columns[8]), int(columns[0]))
    raise RuntimeError(f"process {process} is on no node: it has no device {DEVICE}")


def count_traffic(work: Callable[[], object]) -> Traffic:
    """Return what the node of this rank sends and receives while every rank does some work.

    Note:
        Collective: four barriers, two of which are counted.
    """
    import torch.distributed as dist

    dist.barrier()
    before = link_traffic()
    dist.barrier()  # Nobody works before everybody has read.
    work()
    dist.barrier()
    traffic = link_traffic() - before
    dist.barrier()
    return traffic


class Cluster:
    """Nodes of an emulated cluster; made by `cluster`.

    Args:
        name: Start of the names of its namespaces.
        nodes: How many.
        ranks_per_node: Processes on each.
        mbit: Rate of each link in each direction; None for one without a limit.
    """

    def __init__(self, name: str, nodes: int, ranks_per_node: int, mbit: float | None) -> None:
        self.name = name
        self.nodes = nodes
        self.ranks_per_node = ranks_per_node
        self.mbit = mbit

    @property
    def size(self) -> int:
        """All ranks."""
        return self.nodes * self.ranks_per_node

    def namespace(self, node: int) -> str:
        """Name of a node's namespace."""
        return f"{self.name}-node{node}"

    @property
    def switch(self) -> str:
        """Name of the namespace in which the links meet."""
        return f"{self.name}-switch"

    @staticmethod
    def address(node: int) -> str:
        """Address of a node inside the cluster."""
        return f"10.77.0.{node + 1}"

    @staticmethod
    def environment() -> dict[str, str]:
        """Variables that make a process use the link of its node."""
        return {"GLOO_SOCKET_IFNAME": DEVICE, "TP_SOCKET_IFNAME": DEVICE}

    def run(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        start_group: bool = True,
        seconds: float = 120,
    ) -> list[Any]:
        """Run a function on every rank, each on its node; as `run_ranks`."""
        variables = [
            self.environment() | {"HUNMIN_TEST_NAMESPACE": self.namespace(node)}
            for node in range(self.nodes)
            for _ in range(self.ranks_per_node)
        ]
        return run_ranks(
            self.size,
            function,
            *arguments,
            ranks_per_node=self.ranks_per_node,
            start_group=start_group,
            seconds=seconds,
            environment=variables,
        )

    def start(
        self, node: int, command: Sequence[str], **options: Any
    ) -> subprocess.Popen[bytes] | subprocess.Popen[str]:
        """Start a command on a node, as `subprocess.Popen` does; its environment must be given."""
        prefix = ["ip", "netns", "exec", self.namespace(node)]
        options["env"] = options["env"] | self.environment()
        return subprocess.Popen([*prefix, *command], **options)

    def traffic(self) -> list[Traffic]:
        """Return the traffic of each node's link."""
        found = []
        for node in range(self.nodes):
            lines = _run("ip", "netns", "exec", self.namespace(node), "cat", "/proc/net/dev")
            columns = next(line for line in lines.splitlines() if DEVICE in line).split()
            found.append(Traffic(int(columns[9]), int(columns[1])))
        return found

    def cut(self, node: int) -> None:
        """Take the link of a node down: packets vanish, nobody is told."""
        self._set_port(node, "down")

    def restore(self, node: int) -> None:
        """Bring the link of a node up again."""
        self._set_port(node, "up")

    def _set_port(self, node: int, state: str) -> None:
        # At the switch, so that the node itself keeps its routes and sees no change.
        _run("ip", "-n", self.switch, "link", "set", f"port{node}", state)

    def processes(self, node: int) -> list[int]:
        """Return the processes of a node."""
        return _processes_in(self.namespace(node))

    def kill(self, node: int) -> None:
        """Kill all processes of a node."""
        _kill_all_in(self.namespace(node))


@contextlib.contextmanager
def cluster(nodes: int, ranks_per_node: int, mbit: float | None = None) -> Iterator[Cluster]:
    """Make an emulated cluster and remove it with all its processes.

    Args:
        nodes: How many nodes, 1 to 250.
        ranks_per_node: Ranks that `Cluster.run` starts on each.
        mbit: Rate of each node's link in Mbit/s and direction; None for no limit.

    Yields:
        The cluster.
    """
    if reason := why_not():
        raise RuntimeError(f"no emulated cluster: {reason}")
    remove_stale()
    made = Cluster(f"{owner_name()}-{next(_numbers)}", nodes, ranks_per_node, mbit)
    try:
        _build(made)
        yield made
    finally:
        for namespace in _our_namespaces(made.name):
            _remove(namespace)


@functools.cache
def why_not() -> str | None:
    """Return why no cluster can be emulated here; None if it can."""
    if os.name != "posix" or not Path("/proc/self/ns/net").exists():
        return "the kernel has no network namespaces"
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if missing:
        return f"no command {' or '.join(missing)} (iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        _try_out()
    except RuntimeError as error:
        return str(error)
    return None


def remove_stale() -> None:
    """Remove what clusters of processes that are no more left behind."""
    for namespace in stale_namespaces():
        _remove(namespace)


def stale_namespaces() -> list[str]:
    """Return the namespaces whose process is no more."""
    return [name for name in _our_namespaces(_PREFIX) if is_abandoned(name)]


def is_abandoned(name: str) -> bool:
    """Whether the process that made something of this name is no more."""
    owner = re.match(rf"{_PREFIX}-(\d+)-(\d+)", name)
    return owner is not None and _started(owner[1]) != owner[2]


def _try_out() -> None:
    """Build a cluster of one node, so that whatever is missing says so."""
    trial = Cluster(f"{owner_name()}-{next(_numbers)}", 1, 1, 100)
    try:
        _build(trial)
    finally:
        for namespace in _our_namespaces(trial.name):
            _remove(namespace)


def _build(made: Cluster) -> None:
    _run("ip", "netns", "add", made.switch)
    bridge = ["link add bridge0 type bridge", "link set bridge0 up"]
    _batch("ip", made.switch, bridge)
    for node in range(made.nodes):
        namespace = made.namespace(node)
        _run("ip", "netns", "add", namespace)
        _batch(
            "ip",
            made.switch,
            [
                f"link add port{node} type veth peer name {DEVICE} netns {namespace}",
                f"link set port{node} master bridge0 up",
            ],
        )
        _batch(
            "ip",
            namespace,
            [
                "link set lo up",
                f"addr add {made.address(node)}/24 dev {DEVICE}",
                f"link set {DEVICE} up",
            ],
        )
        if made.mbit is not None:
            _shape(namespace, DEVICE, made.mbit)
            _shape(made.switch, f"port{node}", made.mbit)


def _shape(namespace: str, device: str, mbit: float) -> None:
    shape = f"rate {mbit}mbit burst {_BURST_BYTES} limit {_QUEUE_BYTES}"
    _run("tc", "-n", namespace, *f"qdisc add dev {device} root tbf {shape}".split())


def _batch(tool: str, namespace: str, lines: Sequence[str]) -> str:
    return _run(tool, "-n", namespace, "-batch", "-", given="\n".join(lines) + "\n")


def _run(*command: str, given: str | None = None) -> str:
    result = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=30
    )
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


def owner_name() -> str:
    """Start of the names of what this process makes: its number alone could come again."""
    return f"{_PREFIX}-{os.getpid()}-{_started(os.getpid())}"


def _started(process: int | str) -> str | None:
    """When a process started, in ticks since the machine did; None if it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _our_namespaces(start: str) -> list[str]:
    if not NAMESPACES.is_dir():
        return []
    return sorted(entry.name for entry in NAMESPACES.glob(f"{start}-*"))


def _processes_in(namespace: str) -> list[int]:
    return [int(word) for word in _run("ip", "netns", "pids", namespace).split()]


def _kill_all_in(namespace: str) -> None:
    for _ in range(100):
        processes = _processes_in(namespace)
        if not processes:
            return
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    raise RuntimeError(f"processes in {namespace} do not end: {processes}")


def _remove(namespace: str) -> None:
    # Another worker may be removing the same stale namespace.
    with contextlib.suppress(RuntimeError):
        _kill_all_in(namespace)
    with contextlib.suppress(RuntimeError):
        _run("ip", "netns", "del", namespace)

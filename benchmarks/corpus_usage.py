"""What a command and all the processes it starts take: CPU seconds, peak memory, wall time.

CPU is exact: this process adopts the orphans among the command's descendants (Linux: "child
subreaper"), waits for them all, and asks the system for the sum. Where a process lets its children
go uncounted, as Ray does, what each was last seen to have used counts instead. Memory is the sum of
PSS (each shared page counted once) over the descendants, read five times a second.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
INTERVAL = 0.2
# So long may processes stay that the command leaves behind.
GRACE_SECONDS = 20.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Args:
        cpu_seconds: User and system time of all its processes.
        peak_bytes: Most memory of all processes together, sum of PSS.
        wall_seconds: From start to end of the command.
    """

    cpu_seconds: float
    peak_bytes: int
    wall_seconds: float

    def as_json(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def measure(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Usage:
    """Run a command and measure it; nothing else may be started meanwhile.

    Args:
        command: Program and arguments.
        log: Takes what the command prints.
        environment: Variables beside those of this process.
        folder: Where to run it.

    Returns:
        What it took.

    Raises:
        SystemExit: The command failed; the end of its output is shown.
    """
    _adopt_orphans()
    before = _cpu_of_children()
    variables = {**os.environ, **(environment or {})}
    started = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=variables, cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        peak, seen = 0, dict[int, float]()
        while child.poll() is None:
            found = _descendants(os.getpid())
            peak = max(peak, sum(map(_pss, found)))
            for process in found:
                seen[process] = max(seen.get(process, 0.0), _cpu_of(process))
            time.sleep(INTERVAL)
    wall = time.perf_counter() - started
    _wait_for_the_rest()
    if child.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{' '.join(command)}\nended with {child.returncode}\n{text[-4000:]}")
    cpu = max(_cpu_of_children() - before, sum(seen.values()))
    return Usage(cpu, peak, wall)


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "processes cannot be adopted; this needs Linux")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_for_the_rest() -> None:
    """Wait for processes that the command left behind, and end those that stay."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _reap() and time.monotonic() < deadline:
        time.sleep(INTERVAL)
    while _reap():
        for pid in _descendants(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        time.sleep(INTERVAL)


def _reap() -> bool:
    """Take note of ended children; tell whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


def _cpu_of(process: int) -> float:
    """User and system time of a process so far; 0 if it has ended."""
    try:
        text = (PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _parent(entry: Path) -> int | None:
    """The parent of a process; None if it has ended."""
    try:
        text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent, *_ = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(parent)


def _pss(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0

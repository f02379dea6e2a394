"""Faults against a real run: what breaks it, and what becomes of it.

job = TrainingJob(recipe, run, ranks_per_node=2, emulated=cluster_or_none)
with job.running():
    outcomes = inject(job, draw_faults(seed=1, count=20, num_steps=200, ...), seconds=1200)
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.launched import TrainingJob, Worker
from tests.support.namespaces import is_abandoned, owner_name

KILL, STOP, CUT, FILL, CORRUPT, NODE = "kill", "stop", "cut", "fill", "corrupt", "node"
FAULTS = {
    KILL: "kill -9 of a rank",
    STOP: "a rank is stopped",
    CUT: "the link of a node is cut",
    FILL: "the disk is full",
    CORRUPT: "a rank dies, and the newest checkpoint is damaged",
    NODE: "all processes of a node die",
}
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Args:
        kind: One of FAULTS.
        step: It happens when this step was recorded.
        node: Where.
        local_rank: To which rank of that node.
    """

    kind: str
    step: int
    node: int
    local_rank: int


@dataclass(frozen=True)
class Outcome:
    """What became of a fault.

    Args:
        fault: The fault.
        step: The last step that was recorded before all processes of the time had ended.
        safe_step: The newest checkpoint that the run had called safe, and that is not damaged.
        resumed_step: The run went on after this step.
        detection_seconds: Until the first process that the fault did not hit gave up.
        recovery_seconds: Until the first step after the fault was recorded.
    """

    fault: Fault
    step: int
    safe_step: int
    resumed_step: int
    detection_seconds: float
    recovery_seconds: float

    @property
    def lost_steps(self) -> int:
        """Steps that had to be done again."""
        return self.step - self.resumed_step


def draw_faults(
    seed: int,
    count: int,
    num_steps: int,
    *,
    nodes: int,
    ranks_per_node: int,
    kinds: Sequence[str] = tuple(FAULTS),
    first_step: int = 2,
) -> list[Fault]:
    """Draw faults, each kind as often as the others, at random steps, nodes and ranks.

    None happens before `first_step`: without a checkpoint there is none to be damaged.
    """
    chance = random.Random(seed)
    drawn = [kinds[index % len(kinds)] for index in range(count)]
    chance.shuffle(drawn)
    steps = sorted(chance.sample(range(first_step, num_steps - 2), count))
    return [
        Fault(kind, step, chance.randrange(nodes), chance.randrange(ranks_per_node))
        for kind, step in zip(drawn, steps, strict=True)
    ]


def inject(job: TrainingJob, faults: Sequence[Fault], *, seconds: float) -> list[Outcome]:
    """Let faults happen to a running job and wait until it has come to its end.

    Args:
        job: Started.
        faults: In the order of their steps.
        seconds: For all of it.

    Returns:
        What became of each fault.

    Raises:
        TimeoutError: The run did not recover or end in time.
    """
    if job.emulated is None and any(fault.kind == CUT for fault in faults):
        raise ValueError("a link can be cut in an emulated cluster only")
    watch = _Watch(job, time.monotonic() + seconds)
    outcomes = []
    for fault in faults:
        watch.until(partial(_has_reached, job, fault.step), f"step {fault.step}")
        outcomes.append(_inject_one(job, fault, watch))
    watch.until(job.tend, "the end")
    return outcomes


@dataclass(frozen=True)
class _Watch:
    job: TrainingJob
    deadline: float

    def until(self, condition: Callable[[], bool], goal: str) -> None:
        while not condition():
            self.job.tend()
            if time.monotonic() > self.deadline:
                logs = "\n".join(self.job.log(node)[-3000:] for node in range(self.job.nodes))
                raise TimeoutError(f"the run did not come to {goal}:\n{logs}")
            time.sleep(_POLL_SECONDS)


def _has_reached(job: TrainingJob, step: int) -> bool:
    """Whether the present processes have done a step; what earlier ones did may be lost."""
    records = job.records()
    newest = max((n for n, each in enumerate(records) if each["event"] == "start"), default=0)
    return any(each["event"] == "step" and each["step"] >= step for each in records[newest:])


def _inject_one(job: TrainingJob, fault: Fault, watch: _Watch) -> Outcome:
    workers = job.workers()
    hit = [w for w in workers if w.node == fault.node]
    if fault.kind in (KILL, STOP, CORRUPT):
        hit = [w for w in hit if w.local_rank == fault.local_rank]
    others = workers if fault.kind in (CUT, FILL) else [w for w in workers if w not in hit]
    started = time.monotonic()
    mend = _break(job, fault, hit)
    # Where nobody else is there the launcher's next process is the first to know.
    watch.until(lambda: not all(w.is_alive() for w in others or hit), f"notice {fault}")
    detected = time.monotonic() - started
    mend()
    watch.until(lambda: not any(w.is_alive() for w in workers), f"end all after {fault}")
    damaged = damage_newest(job.checkpoints).parent.name if fault.kind == CORRUPT else None
    before = job.records()
    watch.until(lambda: _went_on(job.records()[len(before) :]), f"go on after {fault}")
    recovered = time.monotonic() - started
    resumed = [r for r in job.records()[len(before) :] if r["event"] == "start"][-1]
    last_step = max(each["step"] for each in before if each["event"] == "step")
    safe_step = newest_safe_step(before, damaged)
    return Outcome(fault, last_step, safe_step, resumed["resumed_step"], detected, recovered)


def _went_on(records: Sequence[dict[str, Any]]) -> bool:
    """Whether the newest start is followed by a step."""
    events = [each["event"] for each in records if each["event"] in ("start", "step")]
    return "start" in events and events[-1] == "step"


def newest_safe_step(records: Sequence[dict[str, Any]], damaged: str | None = None) -> int:
    """Return the newest step whose checkpoint was recorded as safe; 0 for the start of the run."""
    names = {each["path"] for each in records if each["event"] == "checkpoint"} - {damaged}
    return max((int(name.rpartition("-")[2]) for name in names), default=0)


def _break(job: TrainingJob, fault: Fault, hit: Sequence[Worker]) -> Callable[[], None]:
    """Let a fault happen; return what mends it once it was noticed."""
    if fault.kind == NODE:
        job.kill_node(fault.node)
    elif fault.kind == FILL:
        filler = fill_disk(job.run / "train")
        return lambda: filler.unlink()
    elif fault.kind == CUT and job.emulated is not None:
        job.emulated.cut(fault.node)
        return partial(job.emulated.restore, fault.node)
    else:
        for worker in hit:
            worker.send(signal.SIGSTOP if fault.kind == STOP else signal.SIGKILL)
    return lambda: None


def fill_disk(folder: Path) -> Path:
    """Leave no byte free on a small disk; return the file that takes the space."""
    filler = folder / "filler"
    if os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize > 2**30:
        raise ValueError(f"{folder} is no small disk of its own: it must not be filled")
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(65536)):
            pass
    return filler


def damage_newest(checkpoints: Path) -> Path:
    """Change some bytes in the middle of the largest file of the newest checkpoint."""
    newest = max(path.parent for path in checkpoints.glob("step-*/manifest.json"))
    file = max(newest.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(os.urandom(64))
    return file


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small file system in memory on a folder; remove those of killed processes."""
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        name, place, *_ = line.split()
        if is_abandoned(name):
            _unmount(place)
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", owner_name(), str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield folder
    finally:
        _unmount(str(folder))


def _unmount(place: str) -> None:
    subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)

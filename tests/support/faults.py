"""Faults against a real run: torchrun on one or several (emulated) nodes, and what breaks it.

    job = TrainingJob(recipe, run, ranks_per_node=2, emulated=cluster_or_none)
    with job.running():
        outcomes = inject(job, draw_faults(seed=1, count=20, num_steps=200, ...), seconds=1200)

Each node's torchrun that ends with an error is started again, as Slurm or Kubernetes would do.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.namespaces import Cluster, is_abandoned, owner_name

KILL, STOP, CUT, FILL, CORRUPT, NODE = "kill", "stop", "cut", "fill", "corrupt", "node"
FAULTS = {
    KILL: "kill -9 of a rank",
    STOP: "a rank is stopped",
    CUT: "the link of a node is cut",
    FILL: "the disk is full",
    CORRUPT: "a rank dies, and the newest checkpoint is damaged",
    NODE: "all processes of a node die",
}
_PORT = 29400
_POLL_SECONDS = 0.05
_MOST_STARTS = 100
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Without it a node that comes back waits for an address that nobody publishes again.
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    # A stopped process does not end when it is asked to.
    "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "5",
}


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


@dataclass(frozen=True)
class Worker:
    """A rank's process.

    Args:
        process: Its number.
        node: Where it runs.
        local_rank: Its number on that node.
    """

    process: int
    node: int
    local_rank: int

    def is_alive(self) -> bool:
        """Whether it runs or is stopped."""
        fields = _stat(self.process)
        return fields is not None and fields[0] not in "ZX"

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)


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


class TrainingJob:
    """`torchrun -m hunmin train RECIPE`, on this machine or on the nodes of an emulated cluster.

    Args:
        recipe: The recipe.
        run: Folder of the run; its `train` folder is where checkpoints and metrics lie.
        ranks_per_node: Ranks that each torchrun starts.
        emulated: The cluster; None for one node on this machine, without namespaces.
        overrides: KEY.PATH=VALUE for the recipe.
        cwd: Folder from which it is started.
    """

    def __init__(
        self,
        recipe: Path,
        run: Path,
        *,
        ranks_per_node: int,
        emulated: Cluster | None = None,
        overrides: Sequence[str] = (),
    ) -> None:
        self.recipe, self.run = recipe, run
        self.ranks_per_node, self.emulated = ranks_per_node, emulated
        self.nodes = emulated.nodes if emulated else 1
        self.overrides = tuple(overrides)
        self.starts = 0
        self._launchers: dict[int, subprocess.Popen[Any]] = {}

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.run / "train" / "checkpoints"

    @contextlib.contextmanager
    def running(self) -> Iterator[TrainingJob]:
        """Start it, and end all its processes at the end of the block."""
        try:
            for node in range(self.nodes):
                self._start(node)
            yield self
        finally:
            workers = self.workers()
            for launcher in self._launchers.values():
                launcher.kill()
                launcher.wait()
            for worker in workers:
                worker.send(signal.SIGKILL)

    def tend(self) -> bool:
        """Start launchers again that ended with an error.

        Returns:
            Whether the run has come to its end on every node.

        Raises:
            RuntimeError: They end again and again.
        """
        for node, launcher in list(self._launchers.items()):
            if launcher.poll() not in (None, 0):
                self._start(node)
        return all(launcher.poll() == 0 for launcher in self._launchers.values())

    def _start(self, node: int) -> None:
        self.starts += 1
        if self.starts > _MOST_STARTS:
            raise RuntimeError(f"torchrun ends again and again:\n{self.log(node)[-3000:]}")
        with self._log_path(node).open("ab") as log:
            options: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT}
            options["env"] = os.environ | _ENVIRONMENT
            command = self._command(node)
            self._launchers[node] = (
                self.emulated.start(node, command, **options)
                if self.emulated
                else subprocess.Popen(command, **options)
            )

    def _command(self, node: int) -> list[str]:
        words = [sys.executable, "-m", "torch.distributed.run"]
        words += ["--nproc-per-node", str(self.ranks_per_node)]
        words += ["--max-restarts", "1000", "--monitor-interval", "0.1"]
        words += self._rendezvous(node) if self.emulated else ["--standalone"]
        train = ["train", str(self.recipe), "--run-dir", str(self.run), *self.overrides]
        return [*words, "-m", "hunmin", *train]

    def _rendezvous(self, node: int) -> list[str]:
        # All namespaces have one host name, so the launchers cannot tell who is the host.
        settings = {
            "is_host": int(node == 0),
            "keep_alive_interval": 2,
            "keep_alive_max_attempt": 3,
            "last_call_timeout": 3,
            "join_timeout": 120,
            "read_timeout": 20,
        }
        options = {
            "--nnodes": str(self.nodes),
            "--rdzv-backend": "c10d",
            "--rdzv-id": "chaos",
            "--rdzv-endpoint": f"{Cluster.address(0)}:{_PORT}",
            "--local-addr": Cluster.address(node),
            "--rdzv-conf": ",".join(f"{name}={value}" for name, value in settings.items()),
        }
        return [word for pair in options.items() for word in pair]

    # -- what can be seen from outside -------------------------------------------------------------

    def _log_path(self, node: int) -> Path:
        return self.run / f"launcher-{node}.log"

    def log(self, node: int = 0) -> str:
        """Return what a node's launcher and ranks wrote."""
        return self._log_path(node).read_text("utf-8", errors="replace")

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the run so far."""
        path = self.run / "train" / "metrics.jsonl"
        found = []
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError):  # A line may be half written.
                found.append(json.loads(line))
        return found

    def losses(self) -> dict[int, float]:
        """Return the loss of each step; of repeated steps the last."""
        return {each["step"]: each["loss"] for each in self.records() if each["event"] == "step"}

    def workers(self) -> list[Worker]:
        """Return the processes of all ranks that run now."""
        nodes = {launcher.pid: node for node, launcher in self._launchers.items()}
        found = []
        for entry in Path("/proc").iterdir():
            fields = _stat(entry.name) if entry.name.isdecimal() else None
            if fields is None or int(fields[1]) not in nodes or fields[0] in "ZX":
                continue
            local_rank = _variable(entry, "LOCAL_RANK")
            if local_rank is not None:
                found.append(Worker(int(entry.name), nodes[int(fields[1])], int(local_rank)))
        return found

    def kill_node(self, node: int) -> None:
        """Kill a node's launcher and ranks at once."""
        ranks = [worker for worker in self.workers() if worker.node == node]
        self._launchers[node].kill()
        for worker in ranks:
            worker.send(signal.SIGKILL)


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


def _stat(process: int | str) -> list[str] | None:
    """State, parent and so on of a process; None if it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _variable(process: Path, name: str) -> str | None:
    try:
        content = (process / "environ").read_bytes()
    except OSError:
        return None
    found = [each for each in content.split(b"\0") if each.startswith(f"{name}=".encode())]
    return found[0].partition(b"=")[2].decode() if found else None

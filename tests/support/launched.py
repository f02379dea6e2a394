"""`torchrun -m hunmin train` on one or several (emulated) nodes, as a cluster would run it.

Each node's torchrun that ends with an error is started again, as Slurm or Kubernetes would do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.namespaces import Cluster

_PORT = 29400
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


class TrainingJob:
    """`torchrun -m hunmin train RECIPE`, on this machine or on the nodes of an emulated cluster.

    Args:
        recipe: The recipe.
        run: Folder of the run; its `train` folder is where checkpoints and metrics lie.
        ranks_per_node: Ranks that each torchrun starts.
        emulated: The cluster; None for one node on this machine, without namespaces.
        overrides: KEY.PATH=VALUE for the recipe.
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

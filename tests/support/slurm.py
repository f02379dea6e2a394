"""Two nodes on this machine: Slurm's commands, and a stand-in for hunmin that torchrun starts.

srun starts one copy of its command for each node, as Slurm would; both listen on loopback. What
torchrun is and does is real.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A second node may start late, as one does that comes back.
_SRUN = r"""#!/bin/bash
echo "srun $*" >> "$CLUSTER/calls"
while [[ $1 == --* ]]; do
  [[ $1 == --output=* ]] && output=${1#--output=}
  shift
done
launchers=()
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do
  names=(127.0.0.1 localhost)  # launchers are ranked by name: the second comes later
  if [[ $node = 1 && -n $SECOND_NODE_WAITS_FOR ]]; then
    until [[ -e $SECOND_NODE_WAITS_FOR ]]; do sleep 0.1; done
  fi
  SLURMD_NODENAME=${names[node]} "$@" >> "${output//%n/$node}" 2>&1 &
  launchers+=($!)
  echo $! >> "$CLUSTER/launchers"
done
status=0
for launcher in "${launchers[@]}"; do wait "$launcher" || status=$?; done
exit "$status"
"""
_SCONTROL = r"""#!/bin/bash
echo "scontrol $*" >> "$CLUSTER/calls"
[[ $1 = show ]] && printf '127.0.0.1\nlocalhost\n'
exit 0
"""
_SCANCEL = r"""#!/bin/bash
echo "scancel $*" >> "$CLUSTER/calls"
while read -r launcher; do kill -TERM "$launcher"; done < "$CLUSTER/launchers"
"""

_MEETS = """
import json, os, sys
from datetime import timedelta
from pathlib import Path
import torch.distributed as dist
dist.init_process_group("gloo", timeout=timedelta(seconds=90))
names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "MASTER_ADDR", "OMP_NUM_THREADS", "GREETING")
mine = {name: os.environ[name] for name in names} | {"argv": sys.argv[1:], "cwd": os.getcwd()}
ranks = [None] * dist.get_world_size()
dist.all_gather_object(ranks, mine)
if dist.get_rank() == 0:
    (Path(os.environ["CLUSTER"]) / "ranks.json").write_text(json.dumps(ranks))
print("rank", dist.get_rank(), "was here")
dist.barrier()
dist.destroy_process_group()
"""
_SAVES_WHEN_TOLD = """
import os, signal, sys, time
from pathlib import Path
folder, rank = Path(os.environ["CLUSTER"]), os.environ["RANK"]
def save(*_):
    (folder / f"saved-{rank}").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
(folder / f"ready-{rank}").touch()
time.sleep(110)
"""
_WANTS_TWO = """
import os, sys, time
from pathlib import Path
folder = Path(os.environ["CLUSTER"])
alone = os.environ["WORLD_SIZE"] == "1"
(folder / ("alone" if alone else f"together-{os.environ['RANK']}")).touch()
time.sleep(110 if alone else 0)
"""
_TELLS = """
import json, os, sys
from pathlib import Path
names = ("RANK", "GROUP_RANK", "WORLD_SIZE", "GREETING")
mine = {name: os.environ[name] for name in names} | {"argv": sys.argv[1:], "cwd": os.getcwd()}
(Path(os.environ["CLUSTER"]) / f"rank-{mine['RANK']}.json").write_text(json.dumps(mine))
"""
STAND_INS = {"tells": _TELLS, "meets": _MEETS, "saves": _SAVES_WHEN_TOLD, "grows": _WANTS_TWO}


class Cluster:
    """Slurm with two nodes, in a folder."""

    def __init__(self, folder: Path, stand_in: str) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for name, text in (("srun", _SRUN), ("scontrol", _SCONTROL), ("scancel", _SCANCEL)):
            self.replace(name, text)
        package = folder / "packages" / "hunmin"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_INS[stand_in], encoding="utf-8")
        self.port = _free_port()
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(package.parent),
            "CLUSTER": str(folder),
            "SLURM_JOB_ID": str(self.port - 20_000),
            "SLURM_JOB_NODELIST": "node-[0-1]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_ON_NODE": "4",
            "SECOND_NODE_WAITS_FOR": "",
        }

    def replace(self, name: str, text: str) -> None:
        """Let a command of Slurm do something else."""
        program = self.folder / "bin" / name
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    @contextlib.contextmanager
    def submit(self, script: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a script as Slurm would; whatever it started is killed at the end."""
        path = self.folder / "train.sbatch"
        path.write_text(script, encoding="utf-8")
        with subprocess.Popen(
            ["bash", str(path)], cwd=self.folder, env=self.environment, start_new_session=True
        ) as job:
            try:
                yield job
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
                self._kill_ranks()

    def _kill_ranks(self) -> None:
        """Ranks are in sessions of their own; their environment tells whose they are."""
        mark = f"CLUSTER={self.folder}".encode()
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (process / "environ").read_bytes().split(b"\0"):
                        os.kill(int(process.name), signal.SIGKILL)

    def wait_for(self, *names: str, seconds: float = 100) -> None:
        """Wait until ranks have left these files."""
        deadline = time.monotonic() + seconds
        while not all((self.folder / name).exists() for name in names):
            assert time.monotonic() < deadline, f"no {names}\n{self.logs()}"
            time.sleep(0.05)

    def calls(self) -> list[str]:
        """Return the calls of Slurm's commands."""
        return (self.folder / "calls").read_text(encoding="utf-8").splitlines()

    def ranks(self) -> list[dict[str, Any]]:
        """Return what each rank said."""
        ranks: list[dict[str, Any]] = json.loads((self.folder / "ranks.json").read_text("utf-8"))
        return ranks

    def logs(self) -> str:
        """Return what the nodes printed."""
        files = sorted(self.folder.rglob("node-*.log"))
        return "\n".join(f"== {file}\n{file.read_text('utf-8')[-3000:]}" for file in files)


def _free_port() -> int:
    """Return a free port of those that scripts use."""
    for port in range(20_000 + os.getpid() % 9_000, 30_000):
        with socket.socket() as probe:
            try:
                probe.bind(("localhost", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")

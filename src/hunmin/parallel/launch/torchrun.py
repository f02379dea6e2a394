"""torchrun's words: what is the same on every cluster."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from hunmin.parallel.launch.request import RENDEZVOUS, LaunchRequest, TrainCommand


def torchrun_options(request: LaunchRequest, **dynamic: str) -> dict[str, str]:
    """Return torchrun's options and their values, those of the cluster first.

    Args:
        request: The run.
        **dynamic: Options whose values the cluster knows, named with _ for -.

    Returns:
        Options with values.
    """
    settings = {name: str(value) for name, value in RENDEZVOUS.items()}
    settings |= dict(request.rendezvous)
    return {
        **{f"--{name.replace('_', '-')}": value for name, value in dynamic.items()},
        "--nproc-per-node": str(request.processes_per_node),
        "--rdzv-backend": "c10d",
        "--rdzv-conf": ",".join(f"{name}={value}" for name, value in settings.items()),
        "--max-restarts": str(request.max_restarts),
        "--log-dir": f"{request.command.logs}/ranks",
        "--tee": "3",
    }


def flat(options: Mapping[str, str]) -> list[str]:
    """Return options and values as one list of words."""
    return [word for pair in options.items() for word in pair]


def local_command(command: TrainCommand, processes: int) -> str:
    """Return the command that starts a run on the GPUs or cores of this machine.

    Args:
        command: What every rank runs.
        processes: Ranks.

    Returns:
        One line for a shell.
    """
    words = ["torchrun", "--standalone", "--nproc-per-node", str(processes), *command.words()]
    return shlex.join(words)

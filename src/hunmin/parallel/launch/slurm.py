"""A script for sbatch: one torchrun on every node, through srun.

sbatch ──> this script on the first node ──> srun: torchrun on node 0, 1, … ──> ranks
              │
USR1 shortly before the time limit ──> TERM to the steps ──> ranks save and end ──> requeue
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from string import Template

from hunmin.core.errors import InputError
from hunmin.parallel.launch.request import LaunchRequest
from hunmin.parallel.launch.torchrun import torchrun_options
from hunmin.parallel.launch.walltime import format_walltime

_WORD = re.compile(r"[\w.,:@/+%=-]+", re.ASCII)
# Directives that this script decides itself; a second one would silently take their place.
_OWN = {"nodes", "ntasks", "ntasks-per-node", "signal", "requeue", "no-requeue", "chdir", "wrap"}

_SCRIPT = Template("""\
#!/bin/bash
# Trains $name on $ranks.
# Written by `hunmin launch slurm`; `sbatch` starts it. Started again, it goes on from the newest
# checkpoint in $run_dir.
$directives
set -uo pipefail

# --- this cluster
$setup
# --- where the launchers meet: a port of the first node, another one for every job
first_node=$$(scontrol show hostnames "$$SLURM_JOB_NODELIST" | head -n 1)
port=$$((20000 + SLURM_JOB_ID % 10000))

# shellcheck disable=SC2054
torchrun=(
$torchrun
)

# --- Slurm sends USR1 $grace seconds before the time limit. Ranks that get TERM finish their step,
# save it and end.
stopping=0
# shellcheck disable=SC2317,SC2329
stop() {
  stopping=1
  echo "time is up: training saves and ends" >&2
  scancel --signal=TERM "$$SLURM_JOB_ID"
}
trap stop USR1

# --- one launcher a node; it takes its node's name as the address that others reach it by
mkdir -p $logs
# shellcheck disable=SC2016
srun $srun \\
  bash -c 'export PET_LOCAL_ADDR="$$SLURMD_NODENAME"; exec "$$@"' torchrun "$${torchrun[@]}" &
launchers=$$!

# A signal ends `wait` early; it is over when srun is.
while true; do
  wait "$$launchers"
  status=$$?
  kill -0 "$$launchers" 2>/dev/null || break
done

$ending
exit "$$status"
""")

_REQUEUE = """\
if [ "$stopping" = 1 ] && [ "$status" -ne 0 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi"""
_NO_REQUEUE = """\
if [ "$stopping" = 1 ] && [ "$status" -ne 0 ]; then
  echo "not finished: submit this script again to go on" >&2
fi"""


@dataclass(frozen=True)
class SlurmRequest:
    """What only Slurm wants to know.

    Args:
        python: The Python that all nodes find hunmin and torch with.
        folder: Folder in which the job runs; the one it is submitted from if None.
        partition: Partition (queue); the cluster's default if None.
        account: Account that is charged.
        setup: Lines of shell that run before training, such as `module load cuda`.
        directives: Further options of sbatch, such as `--qos=high`.
        requeue: Whether the job goes back into the queue when time is up.

    Raises:
        InputError: A value that sbatch would not read as one word or line.
    """

    python: str
    folder: str | None = None
    partition: str | None = None
    account: str | None = None
    setup: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    requeue: bool = True

    def __post_init__(self) -> None:
        _check_word("--partition", self.partition)
        _check_word("--account", self.account)
        for line in self.directives:
            _check_directive(line)


def slurm_script(request: LaunchRequest, slurm: SlurmRequest) -> str:
    """Return a script for sbatch.

    Args:
        request: The run.
        slurm: What only Slurm wants to know.

    Returns:
        Text of the script.

    Raises:
        InputError: The name or memory is none that sbatch reads.
    """
    _check_word("--name", request.name)
    _check_word("--memory", request.memory)
    return _SCRIPT.substitute(
        name=request.name,
        ranks=request.ranks,
        run_dir=request.command.run_dir,
        directives="".join(f"#SBATCH {line}\n" for line in _directives(request, slurm)),
        setup="".join(f"{line}\n" for line in _setup(request, slurm)),
        torchrun="\n".join(f"  {line}" for line in _torchrun(request, slurm)),
        grace=request.grace,
        logs=shlex.quote(request.command.logs),
        srun=" \\\n  ".join(_srun(request)),
        ending=_REQUEUE if slurm.requeue else _NO_REQUEUE,
    )


def _directives(request: LaunchRequest, slurm: SlurmRequest) -> list[str]:
    nodes, cpus = request.nodes, request.cpus_per_node
    memory = request.memory or ("0" if cpus is None else None)
    given = {
        "--job-name": request.name,
        "--nodes": str(nodes).replace(":", "-"),
        "--ntasks-per-node": "1",
        "--gpus-per-node": str(request.gpus_per_node) if request.gpus_per_node else None,
        "--cpus-per-task": str(cpus) if cpus else None,
        "--mem": memory,
        "--time": format_walltime(request.seconds) if request.seconds else None,
        "--partition": slurm.partition,
        "--account": slurm.account,
        "--chdir": _in_quotes(slurm.folder) if slurm.folder else None,
        "--output": "%x-%j.log",
        "--open-mode": "append",
        "--signal": f"B:USR1@{request.grace}",
    }
    flags = ["--exclusive"] if cpus is None else []
    flags += ["--no-kill"] if nodes.elastic else []
    flags += ["--requeue"] if slurm.requeue else ["--no-requeue"]
    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    return [*words, *flags, *slurm.directives]


def _setup(request: LaunchRequest, slurm: SlurmRequest) -> list[str]:
    ranks = request.processes_per_node
    threads = f"threads=$((${{SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}} / {ranks}))"
    variables = [
        f"export {name}={shlex.quote(value)}" for name, value in request.variables().items()
    ]
    return [
        *slurm.setup,
        threads,
        'export OMP_NUM_THREADS="$((threads > 0 ? threads : 1))"',
        *variables,
    ]


def _torchrun(request: LaunchRequest, slurm: SlurmRequest) -> list[str]:
    """Return the words of the array, a line for each option; the cluster's values are expanded."""
    least = f"{request.nodes.fewest}:" if request.nodes.elastic else ""
    expanded = {
        "--nnodes": f'"{least}$SLURM_JOB_NUM_NODES"',
        "--rdzv-endpoint": '"$first_node:$port"',
        "--rdzv-id": '"$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}"',
    }
    fixed = {name: shlex.quote(value) for name, value in torchrun_options(request).items()}
    options = [f"{name} {value}" for name, value in (expanded | fixed).items()]
    command = shlex.join(request.command.words())
    return [f"{shlex.quote(slurm.python)} -m torch.distributed.run", *options, command]


def _srun(request: LaunchRequest) -> list[str]:
    elastic = request.nodes.elastic
    bound = (
        f"--cpus-per-task={request.cpus_per_node}" if request.cpus_per_node else "--cpu-bind=none"
    )
    survive = ["--no-kill", "--kill-on-bad-exit=0"] if elastic else ["--kill-on-bad-exit=1"]
    log = f"--output={shlex.quote(request.command.logs + '/node-%n.log')} --open-mode=append"
    return [f"--ntasks-per-node=1 {bound}", " ".join(survive), log]


def _in_quotes(folder: str) -> str:
    """Return a folder as sbatch reads one with blanks in it."""
    if re.search(r'["\n\r]', folder):
        raise InputError(
            "sbatch takes no folder with such a name", where="folder of the job", given=repr(folder)
        )
    return f'"{folder}"' if re.search(r"\s", folder) else folder


def _check_word(where: str, value: str | None) -> None:
    if value is not None and not _WORD.fullmatch(value):
        raise InputError(
            "sbatch reads this as something else than one word",
            where=where,
            given=repr(value),
            allowed="ASCII letters, digits and . , : @ / + % = _ -",
        )


def _check_directive(line: str) -> None:
    match = re.fullmatch(r"--(?P<name>[a-z][a-z0-9-]*)(?:[= ].+)?", line)
    if match is None:
        raise InputError(
            "not an option of sbatch",
            where="--directive",
            given=repr(line),
            allowed="one long option on a line, such as --qos=high",
        )
    if match["name"] in _OWN:
        raise InputError(
            "the script decides this option itself",
            where="--directive",
            given=line,
            hint="use --nodes, --grace or --no-requeue, or edit the script",
        )

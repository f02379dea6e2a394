"""`hunmin launch`: scripts and manifests that start a run on a cluster."""

from __future__ import annotations

import click

from hunmin.cli.launch_kubernetes import command as kubernetes_command
from hunmin.cli.launch_local import command as local_command
from hunmin.cli.launch_slurm import command as slurm_command


@click.group("launch")
def command() -> None:
    """Write what starts `hunmin train RECIPE` on several devices; nothing is started.

    \b
    hunmin launch local RECIPE --processes 2
    hunmin launch slurm RECIPE --nodes 4 --gpus-per-node 8 --time 24:00:00 | sbatch
    hunmin launch kubernetes RECIPE --nodes 4 --gpus-per-node 8 --image … | kubectl apply -f -

    All of them start PyTorch's torchrun. The recipe is the same as on one device; what it says
    about `parallel` is compared with the nodes you ask for.
    """


command.add_command(local_command)
command.add_command(slurm_command)
command.add_command(kubernetes_command)

"""`hunmin launch slurm`: a script for sbatch."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hunmin.cli.launch_common import (
    ClusterArguments,
    cluster_arguments,
    read_train_recipe,
    write_out,
)


@click.command("slurm")
@cluster_arguments
@click.option("--partition", metavar="NAME", help="Partition, the queue of the job.")
@click.option("--account", metavar="NAME", help="Account that is charged.")
@click.option(
    "--setup",
    multiple=True,
    metavar="LINE",
    help="Line of shell before training, such as 'module load cuda'; repeatable.",
)
@click.option(
    "--directive",
    "directives",
    multiple=True,
    metavar="OPTION",
    help="Another option of sbatch, such as --qos=high; repeatable.",
)
@click.option(
    "--python",
    default=sys.executable,
    metavar="FILE",
    help="Python with hunmin on all nodes.  [default: the one that runs this]",
)
@click.option(
    "--requeue/--no-requeue",
    default=True,
    show_default=True,
    help="Go back into the queue when time is up.",
)
def command(
    arguments: ClusterArguments,
    partition: str | None,
    account: str | None,
    setup: tuple[str, ...],
    directives: tuple[str, ...],
    python: str,
    requeue: bool,
) -> None:
    """Write a script that trains a recipe on a Slurm cluster.

    \b
    hunmin launch slurm RECIPE --nodes 4 --gpus-per-node 8 --time 24:00:00 -o train.sbatch
    hunmin launch slurm RECIPE --nodes 2:4 --gpus-per-node 8        elastic: goes on with two
    hunmin launch slurm RECIPE --nodes 2 --gpus-per-node 0 --processes-per-node 4
    hunmin launch slurm RECIPE model.size=1B --nodes 4 --gpus-per-node 8 | sbatch

    The job runs in this folder, which all nodes must see, with this Python. It starts one torchrun
    on each node. Before the time limit ranks save and end, and the job is queued again; it goes on
    where it was. What each node prints is in logs/ of the run folder.
    """
    from hunmin.parallel.launch import SlurmRequest, TrainCommand, slurm_script

    loaded = read_train_recipe(arguments.recipe, arguments.overrides)
    run_dir = arguments.run_dir or f"runs/{loaded.spec.name}"
    train = TrainCommand(str(arguments.recipe), arguments.overrides, run_dir)
    request = arguments.launch_request(loaded.spec, train)
    slurm = SlurmRequest(
        python=python,
        folder=str(Path.cwd()),
        partition=partition,
        account=account,
        setup=setup,
        directives=directives,
        requeue=requeue,
    )
    write_out(arguments, request, slurm_script(request, slurm), {"target": "slurm"}, "sbatch {}")

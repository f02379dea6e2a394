"""`hunmin launch local`: the command for this machine."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.launch_common import (
    check_recipe_layouts,
    overrides_argument,
    read_train_recipe,
    recipe_argument,
    run_dir_option,
)


@click.command("local")
@recipe_argument
@overrides_argument
@click.option(
    "--processes",
    required=True,
    type=click.IntRange(1),
    metavar="N",
    help="Ranks: as many as GPUs to be used, or processes on the processor.",
)
@run_dir_option
def command(recipe: Path, overrides: tuple[str, ...], processes: int, run_dir: str | None) -> None:
    """Print the command that trains a recipe with several ranks on this machine.

    \b
    hunmin launch local recipes/quickstart.yaml --processes 2
    $(hunmin launch local recipes/quickstart.yaml --processes 2)    runs it at once
    """
    from hunmin.parallel.launch import Nodes, TrainCommand, local_command

    loaded = read_train_recipe(recipe, overrides)
    check_recipe_layouts(loaded.spec, Nodes(1, 1), processes)
    folder = run_dir or f"runs/{loaded.spec.name}"
    click.echo(local_command(TrainCommand(str(recipe), overrides, folder), processes))

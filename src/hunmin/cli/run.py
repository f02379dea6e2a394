"""`hunmin run RECIPE`: every stage of a recipe, and what came out."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from hunmin.cli.stage import RunRequest, recipe_arguments, run_recipe


@click.command("run")
@recipe_arguments
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
def command(request: RunRequest, until: str | None) -> None:
    """Run the stages of a recipe in order; those that are up to date are skipped.

    A stage runs when its recipe, its inputs or its code changed since it was finished, and says
    which. A killed run goes on from its newest checkpoint when the command is given again.

    \b
    hunmin run recipes/quickstart.yaml
    hunmin run recipes/quickstart.yaml train.duration='200 steps' --run-dir runs/short
    hunmin run recipes/quickstart.yaml --dry-run
    """
    _check_stage(until)
    outcomes, folder = run_recipe(request, until=until)
    if outcomes and not request.as_json:
        from hunmin.pipeline.summary import summarize

        click.echo(summarize(outcomes, folder, program_name()))


def _check_stage(name: str | None) -> None:
    from hunmin.core.errors import InputError, suggest
    from hunmin.pipeline.stages import STAGES

    if name is not None and name not in STAGES:
        raise InputError(
            f"there is no such stage.{suggest(name, STAGES)}",
            where="--until",
            given=name,
            allowed=", ".join(STAGES),
        )


def program_name() -> str:
    """Return what a person types to call hunmin again from this folder."""
    if shutil.which("hunmin") is not None:
        return "hunmin"
    called = Path(sys.argv[0])
    if called.name != "hunmin":
        return f"{Path(sys.executable).name} -m hunmin"
    return os.path.relpath(called) if called.is_absolute() else str(called)

"""What every verb that runs stages of a recipe has in common."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.core.recipe import LoadedRecipe
    from hunmin.pipeline.recipe import Recipe
    from hunmin.pipeline.run import StageOutcome


@dataclass(frozen=True)
class RunRequest:
    """What a user asks of a recipe.

    Args:
        recipe: The recipe file.
        overrides: Items `key.path=value`.
        run_dir: The run folder; runs/<name> if None.
        dry_run: Show the plan and run nothing.
        force: Run the last stage even if it is up to date.
        as_json: Print JSON.
    """

    recipe: Path
    overrides: tuple[str, ...]
    run_dir: Path | None
    dry_run: bool
    force: bool
    as_json: bool


def recipe_arguments(function: Callable[..., None]) -> Callable[..., None]:
    """Add RECIPE, overrides and the flags of every stage-running verb.

    Args:
        function: Takes them as a `RunRequest`, and its own options by name.

    Returns:
        What click calls.
    """

    @functools.wraps(function)
    def with_request(**values: Any) -> None:
        asked = {field.name: values.pop(field.name) for field in fields(RunRequest)}
        function(RunRequest(**asked), **values)

    decorators = (
        click.argument("recipe", type=click.Path(path_type=Path)),
        click.argument("overrides", nargs=-1, metavar="[KEY.PATH=VALUE]..."),
        click.option(
            "--run-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder for all results.  [default: runs/<name of the recipe>]",
        ),
        click.option("--dry-run", is_flag=True, help="Show all values and origins, run nothing."),
        click.option("--force", is_flag=True, help="Run the last stage even if it is up to date."),
        click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON."),
    )
    for decorator in reversed(decorators):
        with_request = decorator(with_request)
    return with_request


def run_recipe(request: RunRequest, *, until: str | None = None) -> tuple[list[StageOutcome], Path]:
    """Run a recipe up to a stage, or show what would be done.

    Args:
        request: Recipe, overrides and flags.
        until: The last stage; None for all.

    Returns:
        Outcomes of the stages (none for a dry run) and the run folder.
    """
    from hunmin.pipeline.recipe import read_recipe
    from hunmin.pipeline.run import PipelineRun

    loaded = read_recipe(request.recipe, request.overrides)
    folder = request.run_dir or Path("runs") / loaded.spec.name
    if request.dry_run:
        show_plan(loaded, folder, as_json=request.as_json, until=until)
        return [], folder
    run = PipelineRun(loaded, folder, tell=lambda line: click.echo(line, err=True))
    outcomes = run.execute(until=until, force=request.force)
    if request.as_json:
        click.echo(json.dumps([describe(outcome) for outcome in outcomes], indent=2))
    return outcomes, folder


def describe(outcome: StageOutcome) -> dict[str, Any]:
    """Return an outcome as a JSON value."""
    return {
        "stage": outcome.stage,
        "path": str(outcome.artifact.path),
        "kind": outcome.artifact.manifest.kind,
        "ran_because": outcome.reason,
        "seconds": outcome.seconds,
        "facts": outcome.artifact.facts,
    }


def show_plan(
    loaded: LoadedRecipe[Recipe], folder: Path, *, as_json: bool, until: str | None = None
) -> None:
    """Print every value of a recipe with its origin."""
    from hunmin.pipeline.dry_run import plan_run

    values = plan_run(loaded, folder, until)
    if as_json:
        click.echo(json.dumps([value.__dict__ for value in values], indent=2, ensure_ascii=False))
        return
    key_width = max(len(value.key) for value in values)
    shown = [shorten(value.value, width=48) for value in values]
    value_width = max(map(len, shown))
    for value, text in zip(values, shown, strict=True):
        click.echo(f"{value.key:<{key_width}}  {text:<{value_width}}  {value.origin}")


def shorten(value: Any, *, width: int) -> str:
    """Return a value as JSON of at most `width` characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else text[: width - 1] + "…"


def stage_command(name: str, help_text: str) -> click.Command:
    """Make the verb that runs a recipe up to one stage.

    Args:
        name: The stage.
        help_text: What it does, for --help.

    Returns:
        The command.
    """

    @click.command(name, help=help_text)
    @recipe_arguments
    def command(request: RunRequest) -> None:
        outcomes, _ = run_recipe(request, until=name)
        if outcomes and not request.as_json:
            click.echo(outcomes[-1].artifact.path)

    return command

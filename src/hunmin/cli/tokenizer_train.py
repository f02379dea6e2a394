"""`hunmin tokenizer train`: the recipe's tokenizer, or one for each of several penalties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hunmin.cli.stage import RunRequest, recipe_arguments, run_recipe


@click.command("train")
@recipe_arguments
@click.option(
    "--sweep",
    metavar="NUMBERS",
    help="Train one tokenizer for each of these values of tokenizer.morphemes.cross_penalty, such "
    "as --sweep=-0.1,-0.01,0,1, and print what each gains in boundaries and costs in tokens.",
)
@click.option(
    "--gold",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --sweep: human segmentation to judge by; without it the recipe's analysers judge "
    "held-out text. May be repeated.",
)
def command(request: RunRequest, sweep: str | None, gold: tuple[Path, ...]) -> None:
    """Train the recipe's tokenizer.

    Stages it needs are run first unless they are up to date. Prints the folder of the result.

    \b
    hunmin tokenizer train recipes/quickstart.yaml
    hunmin tokenizer train recipes/ko-tokenizer.yaml --sweep=-0.1,-0.01,0,1 --gold dp_dev.tsv
    """
    if sweep is None:
        _refuse_gold(gold)
        outcomes, _ = run_recipe(request, until="tokenizer")
        if outcomes and not request.as_json:
            click.echo(outcomes[-1].artifact.path)
        return
    penalties = _read_numbers(sweep)
    # What is printed as JSON is the comparison.
    outcomes, folder = run_recipe(
        replace(request, as_json=request.as_json and request.dry_run), until="corpus"
    )
    if outcomes:
        _sweep(request, penalties, gold, folder)


def _refuse_gold(gold: tuple[Path, ...]) -> None:
    from hunmin.core.errors import InputError

    if gold:
        raise InputError(
            "only a sweep is judged by human segmentation",
            where="--gold",
            given=", ".join(map(str, gold)),
            hint="add --sweep=NUMBERS, or give it to `hunmin tokenizer compare` after training",
        )


def _read_numbers(written: str) -> list[float]:
    from math import isfinite

    from hunmin.core.errors import InputError

    try:
        numbers = list(dict.fromkeys(float(part) for part in written.split(",")))
    except ValueError:
        numbers = []
    if not numbers or not all(isfinite(number) and number >= -1 for number in numbers):
        raise InputError(
            "these are not penalties",
            where="--sweep",
            given=written,
            allowed="numbers of at least -1 with commas between: -0.1,-0.01,0,1",
        )
    return numbers


def _sweep(
    request: RunRequest, penalties: list[float], gold: tuple[Path, ...], folder: Path
) -> None:
    from hunmin.core.artifact import load_artifact
    from hunmin.pipeline.recipe import read_recipe
    from hunmin.pipeline.stage import require_section
    from hunmin.tokenizer.compare.table import terminal_tables
    from hunmin.tokenizer.sweep import sweep_penalties

    loaded = read_recipe(request.recipe, request.overrides)
    spec = require_section(loaded.spec.tokenizer, "tokenizer")
    documents = load_artifact(loaded.spec.use.corpus or folder / "corpus", "documents")
    record = {"tokenizer": spec.model_dump(mode="json"), "sweep": penalties}
    done = sweep_penalties(spec, documents, penalties, folder / "sweep", gold=gold, recipe=record)
    if request.as_json:
        click.echo(done.comparison.model_dump_json(indent=2))
        return
    click.echo(terminal_tables(done.comparison))
    click.echo(f"\nreport: {done.report.path / 'report.md'}")

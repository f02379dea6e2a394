"""`hunmin runs`: list, show and plot what was trained."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.evaluation.runs import RunDetails, RunSummary

DEFAULT_ROOT = "runs"
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, show and plot runs."""


@command.command("list")
@click.argument("root", type=click.Path(path_type=Path), default=DEFAULT_ROOT)
@json_option
def list_command(root: Path, as_json: bool) -> None:
    """List the runs in ROOT (runs), the newest first."""
    from hunmin.evaluation.runs import list_runs

    summaries = list_runs(root)
    if as_json:
        _print_json([asdict(summary) for summary in summaries])
    elif summaries:
        click.echo("\n".join(_table(summaries)))
    else:
        click.echo(f"no runs in {root}; make one with `hunmin run RECIPE`", err=True)


@command.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def show_command(path: Path, as_json: bool) -> None:
    """Tell everything about the run in PATH."""
    from hunmin.evaluation.runs import show_run

    details = show_run(path)
    if as_json:
        _print_json(asdict(details))
    else:
        click.echo("\n".join(_describe(details)))


@command.command("plot")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=f"{DEFAULT_ROOT}/loss.png",
    show_default=True,
    help="Image to write, .png or .svg.",
)
def plot_command(paths: tuple[Path, ...], output: Path) -> None:
    """Draw the losses of the runs in PATHS against tokens."""
    from hunmin.evaluation.runs import plot_runs

    plot_runs(paths, output)
    click.echo(str(output))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _table(summaries: list[RunSummary]) -> list[str]:
    from hunmin.core.tables import align_columns

    header = ("run", "steps", "tokens", "loss", "held-out", "bits/byte", "tokens/s", "updated")
    rows = [
        (
            summary.name,
            _steps(summary),
            _count(summary.tokens),
            _decimal(summary.loss),
            _decimal(summary.validation_loss),
            _decimal(summary.bits_per_byte),
            _count(summary.tokens_per_second),
            (summary.updated or "–")[:16].replace("T", " "),
        )
        for summary in summaries
    ]
    return align_columns([header, *rows])


def _describe(details: RunDetails) -> list[str]:
    from hunmin.core.tables import align_columns
    from hunmin.core.units import format_bytes, format_duration

    summary = details.summary
    seconds = format_duration(summary.seconds) if summary.seconds is not None else "–"
    facts = [
        ("run", f"{summary.name} ({summary.path})"),
        ("steps", f"{_steps(summary)}, {_count(summary.tokens)} tokens, {seconds}"),
        ("sittings", str(summary.num_sittings)),
        ("speed", f"{_count(summary.tokens_per_second)} tokens/s"),
        ("loss", f"{_decimal(summary.loss)} nats per token, last"),
        ("held-out", _describe_best(summary)),
        ("machine", _describe_machine(details.machine)),
    ]
    lines = [f"{name:<10}{value}" for name, value in facts]
    stages = [(s.name, s.kind, format_bytes(s.num_bytes), s.created) for s in details.stages]
    if stages:
        lines += ["", *align_columns([("stage", "kind", "size", "written"), *stages])]
    if details.recipe is not None:
        lines += ["", "recipe", *(f"  {line}" for line in details.recipe.splitlines())]
    return lines


def _describe_best(summary: RunSummary) -> str:
    if summary.best_step is None:
        return "–"
    return (
        f"{_decimal(summary.validation_loss)} nats per token, "
        f"{_decimal(summary.bits_per_byte)} bits per byte, best, at step {summary.best_step}"
    )


def _describe_machine(machine: dict[str, Any]) -> str:
    known = {key: machine[key] for key in ("device", "precision", "threads") if key in machine}
    parts = [f"{key} {value}" for key, value in known.items()]
    if "parameters" in machine:
        parts.append(f"{_count(machine['parameters'])} parameters")
    return ", ".join(parts) or "–"


def _steps(summary: RunSummary) -> str:
    if summary.step is None:
        return "–"
    return f"{summary.step}/{summary.num_steps}" if summary.num_steps else str(summary.step)


def _count(value: float | None) -> str:
    from hunmin.core.units import format_count

    return "–" if value is None else format_count(value)


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

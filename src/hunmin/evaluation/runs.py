"""What run folders hold: which stages are done, how far training is, how well it goes."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hunmin.core.artifact import MANIFEST_NAME, read_manifest
from hunmin.core.errors import HunminError, InputError, MissingInputError, suggest
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.evaluation.metrics import TRAIN_FOLDER, RunMetrics, find_metrics, read_metrics

RECIPE_NAME = "recipe.yaml"
NO_METRICS = RunMetrics((), (), ())


@dataclass(frozen=True)
class StageSummary:
    """One finished stage of a run.

    Args:
        name: Its folder in the run folder.
        kind: Kind of its artifact.
        created: When it was written, UTC.
        num_bytes: Size of its files.
        facts: Numbers recorded with it.
    """

    name: str
    kind: str
    created: str
    num_bytes: int
    facts: dict[str, Any]


@dataclass(frozen=True)
class RunSummary:
    """A run in one line; None where nothing was recorded.

    Args:
        name: Name of the folder.
        path: The folder.
        stages: Finished stages in the order they were written.
        step: Last recorded step.
        num_steps: Steps of the whole run.
        tokens: Training tokens seen.
        loss: Last training loss, nats per token.
        validation_loss: Lowest validation loss, nats per token.
        bits_per_byte: Validation bits per byte where the loss was lowest.
        best_step: The step it was measured at.
        tokens_per_second: Median over the recorded steps.
        seconds: Wall time in training steps.
        num_sittings: Times that training was started or resumed.
        updated: When something was last recorded, UTC.
    """

    name: str
    path: str
    stages: tuple[str, ...]
    step: int | None
    num_steps: int | None
    tokens: int | None
    loss: float | None
    validation_loss: float | None
    bits_per_byte: float | None
    best_step: int | None
    tokens_per_second: float | None
    seconds: float | None
    num_sittings: int
    updated: str | None


@dataclass(frozen=True)
class RunDetails:
    """All there is to know about a run without opening its artifacts.

    Args:
        summary: The run in one line.
        stages: Its finished stages.
        machine: What training recorded at its last start: parameters, device, precision.
        evaluations: All records of held-out scores.
        recipe: Text of its recipe; None without one.
    """

    summary: RunSummary
    stages: tuple[StageSummary, ...]
    machine: dict[str, Any]
    evaluations: tuple[dict[str, Any], ...]
    recipe: str | None


def list_runs(root: Path) -> list[RunSummary]:
    """Summarize the run folders below a folder.

    Args:
        root: Folder of runs, such as `runs`.

    Returns:
        Summaries, the most recently updated first; other folders are passed over.

    Raises:
        MissingInputError: There is no such folder.
    """
    if not root.is_dir():
        raise MissingInputError(
            "there is no such folder of runs",
            where=root,
            hint="name one, as in `hunmin runs list runs`, or make a run with `hunmin run RECIPE`",
        )
    folders = [folder for folder in sorted(root.iterdir()) if is_run(folder)]
    summaries = [_summarize(folder, _read_stages(folder)) for folder in folders]
    return sorted(summaries, key=lambda summary: summary.updated or "", reverse=True)


def show_run(path: Path) -> RunDetails:
    """Tell everything about one run.

    Args:
        path: The run folder.

    Returns:
        Its stages, its training, its recipe.

    Raises:
        MissingInputError: There is no such folder, or it holds no run.
    """
    _check_run(path)
    stages = _read_stages(path)
    metrics = _metrics_or_none(path)
    recipe = path / RECIPE_NAME
    return RunDetails(
        summary=_summarize(path, stages),
        stages=stages,
        machine=metrics.starts[-1] if metrics.starts else {},
        evaluations=metrics.evaluations,
        recipe=recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
    )


def plot_runs(paths: Sequence[Path], output: Path) -> None:
    """Draw the losses of several runs against tokens.

    Args:
        paths: Run folders.
        output: Image to write, .png or .svg.

    Raises:
        InputError: The image has another ending, or a run has not recorded a step.
        MissingInputError: A folder holds no run.
        MissingExtraError: matplotlib is not installed.
    """
    from hunmin.evaluation import plots

    check_plotting()
    if output.suffix not in PLOT_SUFFIXES:
        raise InputError(
            "a plot is written as PNG or SVG",
            where=output,
            given=output.suffix or "no ending",
            allowed=", ".join(PLOT_SUFFIXES),
        )
    runs = {}
    for name, path in _unique_names(paths).items():
        _check_run(path)
        runs[name] = read_metrics(path)
        if not runs[name].steps:
            raise InputError("this run has not recorded a step yet", where=path, hint="wait for it")
    output.parent.mkdir(parents=True, exist_ok=True)
    plots.plot_runs(runs, output)


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a run folder."""
    return folder.is_dir() and (
        (folder / RECIPE_NAME).is_file() or find_metrics(folder) is not None
    )


def _check_run(path: Path) -> None:
    if is_run(path):
        return
    parent = path.parent
    others = (
        [folder.name for folder in parent.iterdir() if is_run(folder)] if parent.is_dir() else []
    )
    raise MissingInputError(
        f"there is no run here (no {RECIPE_NAME}, no metrics).{suggest(path.name, others)}",
        where=path,
        allowed=", ".join(sorted(others)) or None,
        hint="`hunmin runs list` names the runs",
    )


def _read_stages(folder: Path) -> tuple[StageSummary, ...]:
    stages = []
    for manifest_path in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
        try:
            manifest = read_manifest(manifest_path.parent)
        except HunminError:
            # A stage that cannot be read must not hide the others; `hunmin inspect` explains it.
            continue
        num_bytes = sum(record.bytes for record in manifest.files.values())
        stages.append(
            StageSummary(
                name=manifest_path.parent.name,
                kind=manifest.kind,
                created=manifest.created,
                num_bytes=num_bytes,
                facts=manifest.facts,
            )
        )
    return tuple(sorted(stages, key=lambda stage: (stage.created, stage.name)))


def _summarize(folder: Path, stages: tuple[StageSummary, ...]) -> RunSummary:
    metrics = _metrics_or_none(folder)
    last = metrics.steps[-1] if metrics.steps else {}
    scored = [record for record in metrics.evaluations if record.get("loss") is not None]
    best = min(scored, key=lambda record: float(record["loss"]), default={})
    return RunSummary(
        name=folder.resolve().name,
        path=str(folder),
        stages=tuple(stage.name for stage in stages),
        step=last.get("step"),
        num_steps=_planned_steps(folder),
        tokens=last.get("tokens"),
        loss=last.get("loss"),
        validation_loss=best.get("loss"),
        bits_per_byte=best.get("bits_per_byte"),
        best_step=best.get("step"),
        tokens_per_second=_median_rate(metrics),
        seconds=last.get("seconds"),
        num_sittings=len(metrics.starts),
        updated=_last_change(folder),
    )


def _metrics_or_none(folder: Path) -> RunMetrics:
    return NO_METRICS if find_metrics(folder) is None else read_metrics(folder)


def _planned_steps(folder: Path) -> int | None:
    for file in (folder / TRAIN_FOLDER / "plan.json", folder / "plan.json"):
        if file.is_file():
            content = json.loads(file.read_text(encoding="utf-8"))
            steps = content.get("plan", content).get("num_steps")
            return int(steps) if steps is not None else None
    return None


def _median_rate(metrics: RunMetrics) -> float | None:
    rates = [rate for record in metrics.steps if (rate := record.get("tokens_per_second"))]
    return float(statistics.median(rates)) if rates else None


def _last_change(folder: Path) -> str | None:
    files = [find_metrics(folder), folder / RECIPE_NAME, *folder.glob(f"*/{MANIFEST_NAME}")]
    times = [file.stat().st_mtime for file in files if file is not None and file.is_file()]
    if not times:
        return None
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")


def _unique_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Name each run by its folder, or by its whole path where two folders share a name."""
    names = [path.resolve().name for path in paths]
    return {
        name if names.count(name) == 1 else str(path): path
        for name, path in zip(names, paths, strict=True)
    }

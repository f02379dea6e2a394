"""Plots of runs: losses against steps and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hunmin.core.figures import (
    BLUE,
    LINE_COLORS,
    ORANGE,
    new_figure,
    save_figure,
    write_title,
)
from hunmin.core.units import format_count
from hunmin.evaluation.metrics import RunMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

SMOOTHING = 1.15
MAX_POINTS = 800


def plot_loss_curve(metrics: RunMetrics, paths: Sequence[Path]) -> None:
    """Draw training and validation loss of one run against steps.

    Args:
        metrics: With at least one step.
        paths: Files to write, .svg or .png.
    """
    with new_figure(8, 4.6) as figure:
        axes = _loss_axes(figure, "steps")
        steps, losses = metrics.series("step", "step"), metrics.series("step", "loss")
        kept = _thinned(steps)
        axes.plot(steps[kept], losses[kept], color=BLUE, alpha=0.22, linewidth=0.8)
        smooth_steps, smooth = smoothed(steps, losses)
        axes.plot(smooth_steps, smooth, color=BLUE, linewidth=2, label="training, smoothed")
        held_out = metrics.series("evaluation", "step"), metrics.series("evaluation", "loss")
        if held_out[0].size:
            dots: dict[str, Any] = {"marker": "o", "markersize": 4, "markeredgecolor": "white"}
            axes.plot(*held_out, color=ORANGE, linewidth=1.6, label="validation", **dots)
        _limit_loss(axes, [smooth, held_out[1]])
        axes.legend(frameon=False, loc="upper right", labelcolor="linecolor")
        write_title(figure, "Loss during training", "nats per token · lower is better")
        for path in paths:
            save_figure(figure, path)


def plot_runs(runs: Mapping[str, RunMetrics], path: Path) -> None:
    """Draw the losses of several runs against the tokens they have seen.

    Args:
        runs: Metrics by name, each with at least one step.
        path: File to write, .svg or .png.
    """
    with new_figure(8.6, 5.2) as figure:
        axes = _loss_axes(figure, "training tokens")
        shown = []
        for number, (name, metrics) in enumerate(runs.items()):
            color = LINE_COLORS[number % len(LINE_COLORS)]
            dashes = "-" if number < len(LINE_COLORS) else "--"
            tokens, losses = metrics.series("step", "tokens"), metrics.series("step", "loss")
            tokens, losses = smoothed(tokens, losses)
            axes.plot(tokens, losses, dashes, color=color, linewidth=1.8, label=name)
            held_out = (
                metrics.series("evaluation", "tokens"),
                metrics.series("evaluation", "loss"),
            )
            axes.plot(*held_out, "o", color=color, markersize=4.5, markeredgecolor="white")
            shown += [losses, held_out[1]]
        _limit_loss(axes, shown)
        axes.legend(frameon=False, loc="upper right", labelcolor="linecolor")
        subtitle = "nats per token · lower is better · lines: training, smoothed · dots: validation"
        write_title(figure, "Loss against training tokens", subtitle)
        save_figure(figure, path)


def smoothed(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Average over windows of equal width on a log axis; unlike a running mean it does not lag.

    Args:
        steps: Ascending and positive.
        values: One per step.

    Returns:
        At most MAX_POINTS steps, and the mean of the finite values within 15 % of each.
    """
    centers = steps[_thinned(steps)]
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    if steps.size == 0:
        return centers, np.full(centers.size, np.nan)
    first = np.searchsorted(steps, centers / SMOOTHING, side="left")
    last = np.searchsorted(steps, centers * SMOOTHING, side="right")
    totals = np.concatenate([np.zeros(1), np.cumsum(values)])
    sizes = last - first
    means: Floats = (totals[last] - totals[first]) / np.maximum(sizes, 1)
    return centers, np.where(sizes > 0, means, np.nan)


def _thinned(steps: Floats) -> npt.NDArray[np.int64]:
    """Return indices of at most MAX_POINTS steps, evenly spread on a log axis."""
    if steps.size <= MAX_POINTS:
        return np.arange(steps.size)
    wanted = np.geomspace(steps[0], steps[-1], MAX_POINTS)
    return np.unique(np.minimum(np.searchsorted(steps, wanted), steps.size - 1))


def _loss_axes(figure: Figure, label: str) -> Axes:
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (0.65 / width, 0.6 / height, 1 - 0.9 / width, 1 - 1.5 / height), xscale="log"
    )
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(_format_tick)
    axes.margins(x=0.02)
    return axes


def _format_tick(value: float, position: float) -> str:
    del position
    return format_count(value)


def _limit_loss(axes: Axes, curves: Sequence[Floats]) -> None:
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if values.size:
        low, high = float(values.min()), float(values.max())
        margin = 0.06 * max(high - low, 0.1)
        axes.set_ylim(low - margin, high + margin)

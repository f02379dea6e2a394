"""The plot of a run's mixture: what each group has, what it gets, and how often it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.figures import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    new_figure,
    save_figure,
    shorten_name,
    write_marker_legend,
    write_title,
)
from hunmin.core.units import format_count
from hunmin.data.mixing import ADVISED_MAX_EPOCHS, MixturePlan, PlannedGroup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ROWS = 140
_MARKERS: dict[str, dict[str, Any]] = {
    "share of the tokens": {"marker": "o", "color": MUTED, "markerfacecolor": "white"},
    "share of the samples": {"marker": "o", "color": BLUE},
}
# Inches, so that text never grows or overlaps.
WIDTH, ROW, TOP, BOTTOM = 9.6, 0.19, 1.35, 0.8
LEFT, SHARES, GAP, EPOCHS, RIGHT = 1.9, 4.1, 0.5, 2.1, 0.9


def plot_mixture(
    plan: MixturePlan, paths: Sequence[Path], *, title: str = "What the run reads"
) -> None:
    """Draw the share of the tokens and the share of the samples of each group, and its epochs.

    Args:
        plan: The mixture; beyond 140 groups those with the largest shares are shown.
        paths: Files to write, .svg or .png.
        title: Of the picture.
    """
    ordered = sorted(plan.groups, key=lambda group: (-group.tokens, group.name))
    largest = sorted(ordered, key=lambda group: -group.share)[:MAX_ROWS]
    rows = [group for group in ordered if group in largest]
    height = TOP + BOTTOM + ROW * (len(rows) + 1)
    total = sum(group.tokens for group in plan.groups)
    with new_figure(WIDTH, height) as figure:
        box = (LEFT / WIDTH, BOTTOM / height, SHARES / WIDTH, 1 - (TOP + BOTTOM) / height)
        shares = figure.add_axes(box, xscale="log")
        _draw_shares(shares, rows, total)
        left = (LEFT + SHARES + GAP) / WIDTH
        epochs = figure.add_axes((left, box[1], EPOCHS / WIDTH, box[3]))
        _draw_epochs(epochs, rows)
        write_marker_legend(figure, _MARKERS, (LEFT / WIDTH, 1 - 0.95 / height))
        shown = "" if len(rows) == len(plan.groups) else f"{len(rows)} of "
        groups = f"{shown}{len(plan.groups)} groups, the largest on top"
        write_title(figure, title, f"{groups} · {format_count(plan.run_tokens)} tokens in all")
        for path in paths:
            save_figure(figure, path)


def _prepare(axes: Axes, rows: Sequence[PlannedGroup], label: str) -> None:
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.set_xlabel(label, fontsize=9)


def _draw_shares(axes: Axes, rows: Sequence[PlannedGroup], total: int) -> None:
    for place, group in enumerate(rows):
        has = group.tokens / total
        if group.share > 0:
            axes.plot([has, group.share], [place, place], color=FAINT, linewidth=1.4, zorder=1)
            axes.plot(group.share, place, "o", color=BLUE, markersize=5.2, markeredgecolor="white")
        axes.plot(has, place, "o", color=MUTED, markersize=4.4, markerfacecolor="white")
    _prepare(axes, rows, "share, log scale")
    values = [v for g in rows for v in (g.tokens / total, g.share) if v > 0]
    axes.set_xlim(min(values) / 1.4, max(values) * 1.4)
    low, high = (math.floor(math.log10(value)) for value in (min(values), max(values)))
    ticks = [10.0**power for power in range(low, high + 2) if 10.0**power <= max(values) * 1.4]
    axes.set_xticks(ticks, [f"{tick:.4g} %" for tick in (100 * tick for tick in ticks)])
    axes.set_xticks([], minor=True)
    names = [shorten_name(group.name) for group in rows]
    axes.set_yticks(range(len(rows)), names, color=INK, fontsize=8.5)


def _draw_epochs(axes: Axes, rows: Sequence[PlannedGroup]) -> None:
    most = max([ADVISED_MAX_EPOCHS * 1.25, *(group.epochs for group in rows)])
    colors = [_color(group) for group in rows]
    axes.barh(range(len(rows)), [group.epochs for group in rows], height=0.62, color=colors)
    axes.axvline(ADVISED_MAX_EPOCHS, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    _prepare(axes, rows, f"epochs (dashed: {ADVISED_MAX_EPOCHS}, as many as are advised)")
    axes.set_xlim(0, most * 1.02)
    axes.set_yticks([])
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 8.5}
    right = 1 + 0.75 / EPOCHS
    for place, group in enumerate(rows):
        told = f"{group.epochs:.2f}"
        color = _color(group)
        axes.text(right, place, told, color=color, transform=axes.get_yaxis_transform(), **style)


def _color(group: PlannedGroup) -> str:
    return ORANGE if group.epochs > ADVISED_MAX_EPOCHS * 1.01 else BLUE

"""The plot of losses before and after a second stage: one row a group, in-domain groups on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hunmin.core.figures import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    new_figure,
    save_figure,
    shorten_name,
    write_marker_legend,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hunmin.evaluation.forgetting import Change, ForgettingReport, GroupChange

ROWS_PER_PANEL = 70
MAX_PANELS = 3
# Inches, so that text never grows or overlaps.
ROW, TOP, BOTTOM = 0.19, 1.3, 0.75
PANEL, LEFT, RIGHT = 7.2, 1.9, 0.85
_MARKERS: dict[str, dict[str, Any]] = {
    "before": {"marker": "o", "color": MUTED, "markerfacecolor": "white"},
    "after, better": {"marker": "o", "color": BLUE},
    "after, worse": {"marker": "o", "color": ORANGE},
}


class Row(NamedTuple):
    """A row of the plot."""

    name: str
    """Of a group or of several together."""
    change: Change
    """What it shows."""
    is_total: bool = False
    """Several groups together: a line is drawn below it."""


def plot_forgetting(report: ForgettingReport, paths: Sequence[Path]) -> None:
    """Draw the loss of each group before and after.

    Args:
        report: The numbers; beyond some 200 groups those that changed most are shown.
        paths: Files to write, .svg or .png.
    """
    rows = _rows(report)
    panels = [rows[i : i + ROWS_PER_PANEL] for i in range(0, len(rows), ROWS_PER_PANEL)]
    width, height = PANEL * len(panels), TOP + BOTTOM + ROW * (len(panels[0]) + 1)
    limits = _limits(rows)
    with new_figure(width, height) as figure:
        for number, panel in enumerate(panels):
            rows_height = ROW * (len(panel) + 1)
            inches = (PANEL * number + LEFT, height - TOP - rows_height, PANEL - LEFT - RIGHT)
            box = (inches[0] / width, inches[1] / height, inches[2] / width, rows_height / height)
            _draw_panel(figure.add_axes(box), panel, limits)
        write_marker_legend(figure, _MARKERS, (LEFT / width, 1 - 0.93 / height))
        write_title(figure, "Held-out loss before and after the second stage", _subtitle(report))
        note = (
            "Right: after less before; pale where the 95 % interval holds zero, or there is none."
        )
        figure.text(0.2 / width, 0.16 / height, note, fontsize=8.5, color=MUTED)
        for path in paths:
            save_figure(figure, path)


def _subtitle(report: ForgettingReport) -> str:
    shown = min(len(report.groups), ROWS_PER_PANEL * MAX_PANELS - 2)
    groups = f"{shown} of {len(report.groups)} groups, those that changed most"
    told = f"{shown} groups" if shown == len(report.groups) else groups
    return f"nats per scored token · further left is better · {told}"


def _rows(report: ForgettingReport) -> list[Row]:
    """In-domain text first, then the rest; each by what changed, the worst on top."""
    room = ROWS_PER_PANEL * MAX_PANELS - 2
    by_size = sorted(report.groups, key=lambda n: -abs(report.groups[n].change.difference.value))
    shown = {name: report.groups[name] for name in by_size[:room]}
    rows = [Row("in-domain", report.in_domain.mean, True), *_block(shown, True)]
    if report.general is not None:
        rows += [Row("general", report.general.mean, True), *_block(shown, False)]
    return rows


def _block(groups: dict[str, GroupChange], is_in_domain: bool) -> list[Row]:
    rows = [Row(name, g.change) for name, g in groups.items() if g.is_in_domain is is_in_domain]
    return sorted(rows, key=lambda row: (-row.change.difference.value, row.name))


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    values = [side.value for row in rows for side in (row.change.before, row.change.after)]
    margin = 0.05 * max(max(values) - min(values), 0.1)
    return min(values) - margin, max(values) + margin


def _draw_panel(axes: Axes, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    axes.set_xlim(limits)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.set_xlabel("nats per scored token", fontsize=9)
    names = [shorten_name(row.name) for row in rows]
    axes.set_yticks(range(len(rows)), names, color=INK, fontsize=8.5)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row)
        if row.is_total:
            axes.get_yticklabels()[place].set_fontweight("bold")
            axes.axhline(place + 0.5, color=MUTED, linewidth=0.8)
            if place:
                axes.axhline(place - 0.5, color=MUTED, linewidth=0.8)


def _draw_row(axes: Axes, place: int, row: Row) -> None:
    before, after = row.change.before.value, row.change.after.value
    color = BLUE if after <= before else ORANGE
    axes.plot([before, after], [place, place], color=color, linewidth=1.6, alpha=0.55)
    axes.plot(before, place, "o", color=MUTED, markersize=4.6, markerfacecolor="white")
    axes.plot(after, place, "o", color=color, markersize=5.4, markeredgecolor="white")
    style: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "color": color,
        "alpha": 1.0 if row.change.is_sure else 0.5,
        "ha": "right",
        "va": "center",
        "fontsize": 8.5,
        "fontweight": "bold" if row.is_total else "normal",
    }
    right = 1 + 0.65 / (PANEL - LEFT - RIGHT)
    axes.text(right, place, f"{row.change.difference.value:+.3f}", **style)

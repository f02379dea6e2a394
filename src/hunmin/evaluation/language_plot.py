"""The plot of bits per byte by language: the model between its baselines, one row a language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.estimates import MIN_GROUPS
from hunmin.core.figures import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    new_figure,
    save_figure,
    write_marker_legend,
    write_title,
)
from hunmin.evaluation.results import MODEL, NGRAM, ORDER_ZERO, TITLES, Aggregate, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_PER_PANEL = 70
MAX_PANELS = 3
# A log scale has no zero: a perfect score is drawn here.
SMALLEST = 0.01
OVERALL = "all"
# Inches: the height of a row and the room around the rows, so that text never grows or overlaps.
ROW, TOP, BOTTOM = 0.19, 1.3, 0.85
PANEL, LEFT, RIGHT = 7.6, 1.1, 1.25

Row = tuple[str, Aggregate]

MARKERS: dict[str, dict[str, Any]] = {
    MODEL: {"marker": "o", "color": BLUE, "markersize": 6, "markeredgecolor": "white"},
    NGRAM: {"marker": "D", "color": ORANGE, "markersize": 4.4, "markerfacecolor": "white"},
    ORDER_ZERO: {"marker": "|", "color": MUTED, "markersize": 7, "markeredgewidth": 1.8},
}


def plot_languages(report: Report, paths: Sequence[Path]) -> None:
    """Draw bits per byte of the model and the baselines, with intervals, for each language.

    Args:
        report: The numbers; beyond 209 languages those with the most text are shown.
        paths: Files to write, .svg or .png.
    """
    rows = _rows(report)
    panels = [rows[i : i + ROWS_PER_PANEL] for i in range(0, len(rows), ROWS_PER_PANEL)]
    width = PANEL * len(panels)
    height = TOP + BOTTOM + ROW * (len(panels[0]) + 1)
    limits = _limits([aggregate for _, aggregate in rows])
    with new_figure(width, height) as figure:
        for number, panel in enumerate(panels):
            left, rows_height = PANEL * number + LEFT, ROW * (len(panel) + 1)
            bottom = height - TOP - rows_height
            inches = (left, bottom, PANEL - LEFT - RIGHT, rows_height)
            box = (inches[0] / width, inches[1] / height, inches[2] / width, inches[3] / height)
            _draw_panel(figure.add_axes(box, xscale="log"), panel, limits)
        markers = {TITLES[system]: marker for system, marker in MARKERS.items()}
        write_marker_legend(figure, markers, (LEFT / width, 1 - 0.93 / height))
        write_title(figure, *_titles(report, len(rows) - 1))
        note = (
            "Compare marks within a row: languages differ in bytes per character. "
            f"No line: fewer than {MIN_GROUPS} groups of documents."
        )
        figure.text(0.2 / width, 0.16 / height, note, fontsize=8.5, color=MUTED)
        for path in paths:
            save_figure(figure, path)


def _rows(report: Report) -> list[Row]:
    """Return all documents first, then the languages, the model's best on top."""
    room = ROWS_PER_PANEL * MAX_PANELS - 1
    most_text = sorted(report.by_language.items(), key=lambda row: -row[1].num_bytes)[:room]
    most_text.sort(key=lambda row: _value(row[1], MODEL))
    return [(OVERALL, report.overall), *most_text]


def _value(aggregate: Aggregate, system: str) -> float:
    return aggregate.scores[system].bits_per_byte.value


def _limits(aggregates: Sequence[Aggregate]) -> tuple[float, float]:
    estimates = [s.bits_per_byte for aggregate in aggregates for s in aggregate.scores.values()]
    lowest = min(estimate.value if estimate.low is None else estimate.low for estimate in estimates)
    highest = max(
        estimate.value if estimate.high is None else estimate.high for estimate in estimates
    )
    return max(lowest, SMALLEST) / 1.1, 1.1 * max(highest, SMALLEST)


def _titles(report: Report, num_shown: int) -> tuple[str, str]:
    total = len(report.by_language)
    languages = (
        f"the {num_shown} of {total} with the most text" if num_shown < total else f"{total}"
    )
    return (
        "Bits per byte of held-out text, by language",
        f"further left is better · lines: 95 % intervals · languages: {languages}",
    )


def _draw_panel(axes: Axes, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    ticks = [2.0**power for power in range(-9, 9) if limits[0] <= 2.0**power <= limits[1]]
    axes.set_xlim(limits)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labeltop=False, labelsize=9)
    axes.set_xlabel("bits per byte, log scale", fontsize=9)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=INK, fontsize=8.5)
    for place, (name, aggregate) in enumerate(rows):
        _draw_row(axes, place, aggregate)
        if name == OVERALL:
            axes.get_yticklabels()[place].set_fontweight("bold")
            axes.axhline(place + 0.5, color=MUTED, linewidth=0.8)
    _write_numbers(axes, rows)


def _draw_row(axes: Axes, place: int, aggregate: Aggregate) -> None:
    values = [_value(aggregate, system) for system in MARKERS]
    axes.plot([min(values), max(values)], [place, place], color=FAINT, linewidth=1.2, zorder=1)
    # The model last: it stays visible where the marks meet.
    for system in reversed(MARKERS):
        estimate, marker = aggregate.scores[system].bits_per_byte, MARKERS[system]
        if estimate.low is not None and estimate.high is not None:
            ends = (estimate.low, estimate.high)
            axes.plot(ends, (place, place), color=marker["color"], linewidth=2, alpha=0.55)
        axes.plot(estimate.value, place, linestyle="none", **marker)


def _write_numbers(axes: Axes, rows: Sequence[Row]) -> None:
    """Write the numbers of the model and of the 5-gram right of the rows."""
    inner = PANEL - LEFT - RIGHT
    for system, title, inches in ((MODEL, "model", 0.55), (NGRAM, "5-gram", 1.1)):
        style: dict[str, Any] = {
            "transform": axes.get_yaxis_transform(),
            "color": MARKERS[system]["color"],
            "ha": "right",
            "va": "center",
            "fontsize": 8.5,
        }
        axes.text(1 + inches / inner, -1.05, title, **style)
        for place, (_, aggregate) in enumerate(rows):
            axes.text(1 + inches / inner, place, f"{_value(aggregate, system):.2f}", **style)

"""Plots of a comparison: the frontier of recall and tokens, recall by kind, densities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hunmin.core.figures import (
    FAINT,
    INK,
    LINE_COLORS,
    new_figure,
    save_figure,
    write_title,
)
from hunmin.tokenizer.compare.results import (
    Comparison,
    Reference,
    TextMeasures,
    TokenizerResult,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^v<>p"
PANELS_PER_ROW = 2
# Inches.
PANEL_WIDTH, PANEL_HEIGHT = 5.4, 4.3
ROW, TOP, GAP, LEFT, RIGHT = 0.34, 1.0, 0.95, 1.6, 0.4
LEGEND_COLUMNS = 3
MAX_GROUPS = 60

Row = tuple[str, list[float]]
"""Name of a group and a value for each tokenizer."""


class Panel(NamedTuple):
    """One part of a plot."""

    title: str
    """What it is about."""
    label: str
    """What the values are."""
    rows: list[Row]
    """One for each group."""


def plot_all(comparison: Comparison, folder: Path, suffixes: Sequence[str]) -> list[str]:
    """Draw all plots that the numbers allow.

    Args:
        comparison: The numbers.
        folder: Where the files go.
        suffixes: Endings of the files, .png or .svg.

    Returns:
        Names of the plots without ending.
    """
    has_texts = comparison.tokenizers[0].overall is not None
    plots = {
        "frontier": (plot_frontier, bool(comparison.references) and has_texts),
        "kinds": (plot_kinds, any(len(r.boundaries_by_kind) > 1 for r in comparison.references)),
        "densities": (plot_densities, has_texts),
    }
    drawn = []
    for name, (draw, is_possible) in plots.items():
        if is_possible:
            draw(comparison, [folder / f"{name}{suffix}" for suffix in suffixes])
            drawn.append(name)
    return drawn


def plot_frontier(comparison: Comparison, paths: Sequence[Path]) -> None:
    """Draw boundary recall against tokens relative to the baseline, a panel for each reference.

    Args:
        comparison: With texts and at least one reference.
        paths: Files to write, .svg or .png.
    """
    references = comparison.references
    columns = min(len(references), PANELS_PER_ROW)
    rows = math.ceil(len(references) / columns)
    above = TOP + _legend_height(comparison)
    width, height = PANEL_WIDTH * columns, above + PANEL_HEIGHT * rows
    with new_figure(width, height) as figure:
        for number, reference in enumerate(references):
            row, column = divmod(number, columns)
            left, bottom = PANEL_WIDTH * column + 0.65, PANEL_HEIGHT * (rows - row - 1) + 0.65
            box = (
                left / width,
                bottom / height,
                (PANEL_WIDTH - 0.95) / width,
                (PANEL_HEIGHT - 1.15) / height,
            )
            _draw_frontier(figure.add_axes(box), comparison, reference)
        _write_legend(figure, (0.65 / width, 1 - (above - 0.1) / height))
        subtitle = f"further up and left is better · tokens relative to {comparison.baseline}"
        write_title(figure, "Boundary recall against tokens", subtitle)
        _save(figure, paths)


def _draw_frontier(axes: Axes, comparison: Comparison, reference: Reference) -> None:
    points = []
    for number, result in enumerate(comparison.tokenizers):
        recall, tokens = result.boundaries[reference.name].recall, _tokens(result)
        low = recall.value if recall.low is None else recall.low
        high = recall.value if recall.high is None else recall.high
        axes.plot([tokens, tokens], [low, high], color=_color(number), linewidth=2, alpha=0.5)
        style = mark(number)
        axes.plot(tokens, recall.value, linestyle="none", label=result.name, **style)
        points.append((tokens, recall.value))
    best = frontier(points)
    axes.plot(*zip(*best, strict=True), color=FAINT, linewidth=1.5, zorder=1)
    axes.set_title(reference.name, fontsize=10, loc="left", color=INK)
    axes.set_xlabel("tokens, relative", fontsize=9)
    axes.set_ylabel("boundary recall", fontsize=9)
    axes.margins(0.08, 0.08)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other point beats: fewer tokens and more recall.

    Args:
        points: Tokens and recall.

    Returns:
        The best ones, by tokens.
    """
    best: list[tuple[float, float]] = []
    for tokens, recall in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or recall > best[-1][1]:
            best.append((tokens, recall))
    return best


def plot_kinds(comparison: Comparison, paths: Sequence[Path]) -> None:
    """Draw recall by kind of boundary, a panel for each reference that tells kinds.

    Args:
        comparison: With at least one reference that has several kinds.
        paths: Files to write, .svg or .png.
    """
    panels = [
        Panel(reference.name, "recall", _kind_rows(comparison, reference))
        for reference in comparison.references
        if len(reference.boundaries_by_kind) > 1
    ]
    subtitle = "share of the boundaries of each kind that a token starts at · right is better"
    _plot_panels(comparison, panels, ("Boundary recall by kind", subtitle), paths)


def _kind_rows(comparison: Comparison, reference: Reference) -> list[Row]:
    return [
        (
            f"{kind} ({count:,})",
            [
                result.boundaries[reference.name].recall_by_kind.get(kind, 0.0)
                for result in comparison.tokenizers
            ],
        )
        for kind, count in reference.boundaries_by_kind.items()
    ]


def plot_densities(comparison: Comparison, paths: Sequence[Path]) -> None:
    """Draw tokens relative to the baseline, one row for each language, or source if one language.

    Args:
        comparison: With texts.
        paths: Files to write, .svg or .png.
    """
    title, rows = _density_rows(comparison)
    panels = [Panel("", "tokens, relative", rows)]
    subtitle = f"relative to {comparison.baseline} on the same texts · left is denser"
    _plot_panels(comparison, panels, (f"Tokens by {title}", subtitle), paths)


def _plot_panels(
    comparison: Comparison, panels: Sequence[Panel], titles: tuple[str, str], paths: Sequence[Path]
) -> None:
    """Draw one row for each group and one mark for each tokenizer."""
    legend = _legend_height(comparison)
    heights = [ROW * len(panel.rows) + 0.1 for panel in panels]
    width, height = 7.6, TOP + legend + sum(heights) + GAP * len(panels)
    with new_figure(width, height) as figure:
        top = TOP + legend
        for panel, inches in zip(panels, heights, strict=True):
            inner = width - LEFT - RIGHT
            box = (LEFT / width, 1 - (top + inches) / height, inner / width, inches / height)
            _draw_panel(figure.add_axes(box), comparison, panel)
            top += inches + GAP
        _write_legend(figure, (LEFT / width, 1 - (TOP + legend - 0.35) / height))
        write_title(figure, *titles)
        _save(figure, paths)


def _draw_panel(axes: Axes, comparison: Comparison, panel: Panel) -> None:
    places = range(len(panel.rows))
    for number, result in enumerate(comparison.tokenizers):
        values = [row[number] for _, row in panel.rows]
        axes.plot(values, places, linestyle="none", label=result.name, **mark(number))
    axes.set_yticks(places, [name for name, _ in panel.rows], color=INK, fontsize=9)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_xlabel(panel.label, fontsize=9)
    axes.set_title(panel.title, fontsize=10, loc="left", color=INK)


def _legend_height(comparison: Comparison) -> float:
    """Return the inches that the legend takes."""
    return 0.24 * math.ceil(len(comparison.tokenizers) / LEGEND_COLUMNS) + 0.1


def _write_legend(figure: Figure, place: tuple[float, float]) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=place,
        ncols=LEGEND_COLUMNS,
        frameon=False,
        fontsize=8.5,
        borderaxespad=0,
        borderpad=0,
        handletextpad=0.3,
    )


def _density_rows(comparison: Comparison) -> tuple[str, list[Row]]:
    """Return what the rows are, and each row's name and value by tokenizer."""
    by_language = len(comparison.tokenizers[0].by_language) > 1

    def groups(result: TokenizerResult) -> dict[str, TextMeasures]:
        return result.by_language if by_language else result.by_source

    largest = groups(comparison.tokenizers[0])
    names = sorted(largest, key=lambda name: -largest[name].num_bytes)[:MAX_GROUPS]
    rows = [
        (name, [groups(r)[name].relative_tokens or 0.0 for r in comparison.tokenizers])
        for name in sorted(names)
    ]
    return ("language" if by_language else "source"), rows


def _tokens(result: TokenizerResult) -> float:
    return (result.overall.relative_tokens if result.overall else None) or 0.0


def _color(number: int) -> str:
    return LINE_COLORS[number % len(LINE_COLORS)]


def mark(number: int) -> dict[str, Any]:
    """Return how the points of a tokenizer look; the first 28 differ in shape or colour."""
    return {
        "marker": MARKERS[(number + 3 * (number // len(LINE_COLORS))) % len(MARKERS)],
        "color": _color(number),
        "markersize": 6.5,
        "markeredgecolor": "white",
    }


def _save(figure: Figure, paths: Sequence[Path]) -> None:
    for path in paths:
        save_figure(figure, path)

"""Pictures made of bars: sizes by name, lengths by language, what was declared against found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hunmin.core.figures import BLUE, FAINT, INK, MUTED, ORANGE, write_title
from hunmin.core.units import format_count
from hunmin.corpus.report.numbers import format_share, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The house's blue, orange and purple mixed with white: opaque, so that nothing adds up where
# shapes touch, and bright enough for a dark page.
KEPT_COLOR, DROPPED_COLOR, CUT_COLOR = "#2686BD", "#E28B4B", "#DBA2C2"
# Inches.
ROW, TOP, BOTTOM, RIGHT = 0.27, 0.95, 0.3, 0.35
LETTER = 0.078
BARS_WIDTH = 9.0
MAX_ROWS = 40
LOG_SPAN = 300.0
"""Values that differ by more than this factor get a logarithmic axis."""


@dataclass(frozen=True)
class Bar:
    """A row of a picture."""

    name: str
    value: float
    """Length of the bar."""
    label: str
    """What is written behind it."""
    share: float | None = None
    """A second bar, 0 to 1, if the picture has a second column."""


def bars_height(bars: Sequence[Bar]) -> float:
    """Return the height of a picture of bars in inches."""
    return TOP + BOTTOM + ROW * max(1, len(bars))


def draw_bars(figure: Figure, bars: Sequence[Bar], titles: tuple[str, str], second: str) -> None:
    """Draw bars with their numbers behind them.

    Args:
        figure: BARS_WIDTH by `bars_height` inches.
        bars: One for each row.
        titles: Title and subtitle.
        second: What the second column shows; empty if there is none.
    """
    height = bars_height(bars)
    labels = 0.45 + LETTER * max((len(shortened(bar.name)) for bar in bars), default=0)
    inner = BARS_WIDTH - labels - RIGHT
    first_width = 0.6 * inner if second else inner
    span = ROW * max(1, len(bars)) / height
    box = (labels / BARS_WIDTH, BOTTOM / height, first_width / BARS_WIDTH, span)
    is_log = _is_log([bar.value for bar in bars])
    axes = figure.add_axes(box)
    _draw_values(axes, bars, is_log=is_log)
    if second:
        left, width = labels + first_width + 0.2, inner - first_width - 0.2
        box = (left / BARS_WIDTH, BOTTOM / height, width / BARS_WIDTH, span)
        _draw_shares(figure.add_axes(box), bars)
        place: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 9, "color": MUTED}
        figure.text(left / BARS_WIDTH, 1 - (TOP - 0.14) / height, second, **place)
    title, subtitle = titles
    write_title(figure, title, subtitle + (" · logarithmic scale" if is_log else ""))


def _is_log(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) / min(positive) > LOG_SPAN


def _draw_values(axes: Axes, bars: Sequence[Bar], *, is_log: bool) -> None:
    values = [bar.value for bar in bars]
    longest = max(values, default=0.0) or 1.0
    lowest = min((value for value in values if value > 0), default=1.0)
    lengths = [_length(value, lowest, longest, is_log=is_log) for value in values]
    axes.barh(range(len(bars)), lengths, height=0.68, color=KEPT_COLOR)
    for place, (bar, length) in enumerate(zip(bars, lengths, strict=True)):
        axes.text(length + 0.012, place, bar.label, va="center", fontsize=8.5, color=MUTED)
    # The rest is room for the number behind the longest bar.
    axes.set_xlim(0, 1.0 + 0.011 * max((len(bar.label) for bar in bars), default=0) + 0.12)
    _bare(axes, len(bars))
    names = [shortened(bar.name) for bar in bars]
    axes.set_yticks(range(len(bars)), names, color=INK, fontsize=9)


def _length(value: float, lowest: float, longest: float, *, is_log: bool) -> float:
    """Length between 0 and 1; on a logarithmic scale the smallest still has a visible bar."""
    if value <= 0:
        return 0.0
    if not is_log:
        return max(value / longest, 0.002)
    start = math.log10(lowest) - 0.3
    return (math.log10(value) - start) / (math.log10(longest) - start)


def _draw_shares(axes: Axes, bars: Sequence[Bar]) -> None:
    shares = [bar.share or 0.0 for bar in bars]
    axes.barh(range(len(bars)), [1.0] * len(bars), height=0.68, color=FAINT, alpha=0.45)
    axes.barh(range(len(bars)), shares, height=0.68, color=DROPPED_COLOR)
    for place, share in enumerate(shares):
        text = format_share(share, 1)
        axes.text(1.03, place, text, va="center", fontsize=8.5, color=MUTED)
    axes.set_xlim(0, 1.4)
    _bare(axes, len(bars))
    axes.set_yticks([])


def _bare(axes: Axes, rows: int) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    for side in ("top", "bottom", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.set_ylim(max(1, rows) - 0.5, -0.5)


def largest(rows: Mapping[str, float], count: int) -> tuple[list[str], list[str]]:
    """Return the names of the largest rows, by size, and the names of the others."""
    names = sorted(rows, key=lambda name: (-rows[name], name))
    if len(names) <= count:
        return names, []
    return names[: count - 1], names[count - 1 :]


LENGTH_COLUMNS, MAX_PANELS = 3, 12
PANEL_WIDTH, PANEL_HEIGHT = 3.0, 1.75
Histogram = Mapping[int, int]


def panels_size(panels: int) -> tuple[float, float]:
    """Return the width and height in inches of a picture of small panels."""
    rows = math.ceil(panels / LENGTH_COLUMNS)
    return PANEL_WIDTH * LENGTH_COLUMNS, TOP + PANEL_HEIGHT * rows + 0.1


def draw_lengths(figure: Figure, panels: Sequence[tuple[str, Histogram]]) -> None:
    """Draw a histogram of lengths for each language.

    Args:
        figure: Of `panels_size` inches.
        panels: Name, and documents by floor(log2(characters)).
    """
    width, height = panels_size(len(panels))
    bins = [number for _, histogram in panels for number in histogram]
    limits = (min(bins), max(bins))
    for number, (name, histogram) in enumerate(panels):
        row, column = divmod(number, LENGTH_COLUMNS)
        left, bottom = 0.3 + PANEL_WIDTH * column, height - TOP - PANEL_HEIGHT * (row + 1) + 0.42
        box = (left / width, bottom / height, (PANEL_WIDTH - 0.5) / width, 1.0 / height)
        _draw_panel(figure.add_axes(box), name, histogram, limits)
    subtitle = "share of a language's documents by characters (K = 1,024)"
    write_title(figure, "Lengths of documents", subtitle)


def _draw_panel(axes: Axes, name: str, histogram: Histogram, limits: tuple[int, int]) -> None:
    total = sum(histogram.values())
    places = sorted(histogram)
    shares = [histogram[place] / max(total, 1) for place in places]
    axes.bar([place + 0.5 for place in places], shares, width=0.86, color=KEPT_COLOR)
    low, high = limits
    axes.set_xlim(low - 0.3, max(high + 1, low + 4) + 0.3)
    axes.grid(visible=False)
    axes.set_yticks([])
    step = max(1, math.ceil((high + 1 - low) / 5))
    ticks = list(range(low, high + 2, step))
    axes.set_xticks(ticks, [format_power(tick) for tick in ticks], fontsize=8)
    title: dict[str, Any] = {"fontsize": 9.5, "loc": "left", "color": INK}
    axes.set_title(shortened(name, 20), fontweight="bold", pad=4, **title)
    count: dict[str, Any] = {"fontsize": 8.5, "loc": "right", "color": MUTED, "pad": 4}
    axes.set_title(f"{total:,}", **count)


def format_power(exponent: int) -> str:
    """Return 2 to the power of an exponent in short: 64, 1K, 16K, 1M (K is 1,024)."""
    for power, unit in ((30, "G"), (20, "M"), (10, "K")):
        if exponent >= power:
            return f"{2 ** (exponent - power)}{unit}"
    return str(2**exponent)


CELL_WIDTH, CELL_HEIGHT, MAX_LANGUAGES = 0.62, 0.3, 12
Found = Sequence[tuple[str, int, Sequence[float]]]
"""Declared language, its documents, and the share of each column."""


def matrix_size(rows: int, columns: int) -> tuple[float, float]:
    """Return the width and height in inches of the picture of declared and found languages."""
    return max(5.6, 2.2 + CELL_WIDTH * columns + 0.3), TOP + 0.35 + CELL_HEIGHT * rows + 0.3


def draw_matrix(figure: Figure, rows: Found, columns: Sequence[str]) -> None:
    """Draw shares of the languages found, a row for each declared one.

    Args:
        figure: Of `matrix_size` inches.
        rows: One for each declared language.
        columns: Names of the languages found.
    """
    width, height = matrix_size(len(rows), len(columns))
    inner = (CELL_WIDTH * len(columns) / width, CELL_HEIGHT * len(rows) / height)
    axes = figure.add_axes((2.2 / width, 0.3 / height, *inner))
    for y, (declared, _, shares) in enumerate(rows):
        for x, (found, share) in enumerate(zip(columns, shares, strict=True)):
            _fill_cell(axes, (x, y), FAINT, 0.3)
            if share:
                _draw_cell(axes, (x, y), share, is_equal=declared == found)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for side in ("top", "bottom", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), [shortened(c, 8) for c in columns], fontsize=9)
    names = [f"{shortened(name, 12)}  ({format_count(total)})" for name, total, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9, color=INK)
    axes.grid(visible=False)
    subtitle = "rows: declared, with documents · columns: identified · per cent of the row"
    write_title(figure, "Languages declared and identified", subtitle)


def _draw_cell(axes: Axes, place: tuple[int, int], share: float, *, is_equal: bool) -> None:
    _fill_cell(axes, place, BLUE if is_equal else ORANGE, 0.12 + 0.8 * share)
    ink = "white" if share > 0.45 else INK
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
    axes.text(*place, _per_cent(share), color=ink, **text)


def _fill_cell(axes: Axes, place: tuple[int, int], color: str, strength: float) -> None:
    x, y = place
    left, right, upper, lower = x - 0.47, x + 0.47, y - 0.44, y + 0.44
    corners = [left, right, right, left], [upper, upper, lower, lower]
    axes.fill(*corners, color=color, alpha=strength, linewidth=0)


def _per_cent(share: float) -> str:
    if share < 0.001:
        return "< .1"
    return f"{100 * share:.1f}" if share < 0.9995 or share == 1 else "> 99.9"

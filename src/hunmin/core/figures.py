"""Figures: one style for all plots, the same bytes for the same numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT_SUFFIXES = (".png", ".svg")
# Okabe & Ito 2008: distinguishable with every common kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
LINE_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, "#E69F00", "#000000")
INK, MUTED, FAINT = "#1F2328", "#6E7781", "#D8DEE4"
STYLE: dict[str, Any] = {
    "svg.hashsalt": "hunmin",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
PNG_DPI = 160
MAX_LETTERS = 26
Marker = Mapping[str, Any]
"""How matplotlib draws a mark: marker, color, markersize and the like."""


def check_plotting() -> None:
    """Make sure that plots can be drawn, before any work starts.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="plots")


@contextlib.contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Open a figure in the house style; draw and save inside the block.

    Args:
        width: In inches.
        height: In inches.

    Yields:
        An empty figure that belongs to no window and no global state.
    """
    matplotlib = require("matplotlib", extra="plots")
    figure_module = require("matplotlib.figure", extra="plots")
    with matplotlib.rc_context(STYLE):
        yield figure_module.Figure(figsize=(width, height))


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, without dates or versions, so that equal numbers give equal files.

    Args:
        figure: Drawn with `new_figure`.
        path: Ends in .svg or .png.
    """
    without = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=PNG_DPI, metadata=without)


def write_title(figure: Figure, title: str, subtitle: str) -> None:
    """Write what is shown and which way is better, top left, at a fixed distance in inches."""
    width, height = figure.get_size_inches()
    left = 0.2 / width
    figure.text(left, 1 - 0.32 / height, title, fontsize=13, fontweight="bold", va="center")
    figure.text(left, 1 - 0.6 / height, subtitle, fontsize=9, color=MUTED, va="center")


def write_marker_legend(
    figure: Figure, markers: Mapping[str, Marker], place: tuple[float, float]
) -> None:
    """Write what each mark means in one line, each name in the colour of its mark.

    Args:
        figure: Drawn with `new_figure`.
        markers: Name -> mark, from left to right; each has a `color`.
        place: Left end and middle of the line, in shares of width and height of the figure.
    """
    lines = require("matplotlib.lines", extra="plots")
    handles = [
        lines.Line2D([], [], linestyle="none", label=name, **marker)
        for name, marker in markers.items()
    ]
    legend = figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=place,
        ncols=len(handles),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1,
        columnspacing=1.6,
        fontsize=9,
    )
    for text, marker in zip(legend.get_texts(), markers.values(), strict=True):
        text.set_color(marker["color"])


def shorten_name(name: str) -> str:
    """Return a name of a row, cut to 26 letters."""
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…"

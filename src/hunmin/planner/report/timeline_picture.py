"""The time line of a step as a picture: a whole microstep, and a closer look around the loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hunmin.core.figures import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    new_figure,
    save_figure,
    write_title,
)
from hunmin.planner.report.timeline_text import last_microstep
from hunmin.planner.speed.timeline import OUTSIDE, Event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    "forward": SKY,
    "loss": MUTED,
    "backward": BLUE,
    "tensor": "#F0E442",
    "optimizer": INK,
    "gather": GREEN,
    "scatter": PURPLE,
    "all_reduce": "#E69F00",
}
_NAMES = {
    "forward": "forward",
    "loss": "loss",
    "backward": "backward",
    "tensor": "between tensor ranks",
    "optimizer": "update",
    "gather": "gather",
    "scatter": "scatter",
    "all_reduce": "all-reduce between copies",
}
_COMPUTE, _NETWORK = 1.0, 0.0
_HEIGHT = 0.7
_CLOSE_BLOCKS = 4
"""Blocks on each side of the loss that the closer look shows."""
_MOST_CLOSE_SHARE = 0.9
"""Where the closer look would show nearly all, it is left out."""


def draw_timeline(
    events: Sequence[Event], title: str, subtitle: str, paths: Sequence[Path]
) -> None:
    """Draw the last microstep of a step and the update.

    Args:
        events: Of a step, as `step_time` returns them.
        title: What it is of.
        subtitle: What to look for.
        paths: Files to write, each .svg or .png.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    shown = last_microstep(events)
    close = _around_loss(shown)
    with new_figure(11.0, 4.9 if close else 3.0) as figure:
        write_title(figure, title, subtitle)
        axes = _axes(figure, 2 if close else 1)
        _draw_streams(axes[0], shown)
        if close:
            _draw_streams(axes[1], _within(shown, *close), window=close)
            axes[1].set_title("Around the loss", loc="left", fontsize=9, color=MUTED)
        _write_legend(figure, shown)
        for path in paths:
            save_figure(figure, path)


def _axes(figure: Figure, count: int) -> list[Axes]:
    grid = figure.subplots(count, 1, squeeze=False)
    height = figure.get_size_inches()[1]
    top, bottom = 1 - 0.95 / height, 0.95 / height
    figure.subplots_adjust(left=0.075, right=0.985, top=top, bottom=bottom, hspace=0.7)
    return [row[0] for row in grid]


def _draw_streams(
    axes: Axes, events: Sequence[Event], window: tuple[float, float] | None = None
) -> None:
    start, end = window or (0.0, max(event.end for event in events))
    unit, factor = ("ms", 1e3) if end - start < 1 else ("s", 1.0)
    for kind in dict.fromkeys(event.kind for event in events):
        for stream, row in (("compute", _COMPUTE), ("network", _NETWORK)):
            spans = _spans(events, stream, kind, factor)
            if spans:
                place = (row - _HEIGHT / 2, _HEIGHT)
                axes.broken_barh(
                    spans, place, facecolors=_COLORS[kind], edgecolors="white", linewidth=0.2
                )
    waits = [(a * factor, (b - a) * factor) for a, b in _waits(events, start)]
    axes.broken_barh(
        waits, (_COMPUTE - _HEIGHT / 2, _HEIGHT), facecolors="none", edgecolors=ORANGE,
        hatch="////", linewidth=0.0,
    )  # fmt: skip
    if window:
        _write_blocks(axes, events, start, end, factor)
    axes.set_xlim(start * factor, end * factor)
    axes.set_ylim(-0.5, 1.5)
    axes.set_yticks([_COMPUTE, _NETWORK], ["compute", "network"])
    axes.grid(visible=False)
    axes.set_xlabel(f"{unit} since the microstep began")


def _spans(
    events: Sequence[Event], stream: str, kind: str, factor: float
) -> list[tuple[float, float]]:
    mine = [event for event in events if event.stream == stream and event.kind == kind]
    return [(event.start * factor, event.seconds * factor) for event in mine]


def _waits(events: Sequence[Event], start: float) -> list[tuple[float, float]]:
    ended, waits = start, []
    for event in events:
        if event.stream == "compute":
            if event.start > ended:
                waits.append((ended, event.start))
            ended = event.end
    return waits


def _around_loss(events: Sequence[Event]) -> tuple[float, float] | None:
    """Return when a few blocks before the loss begin and a few after it have ended."""
    computed = [event for event in events if event.stream == "compute"]
    ahead = [e.start for e in computed if e.kind == "forward"][-_CLOSE_BLOCKS:]
    behind = [e.end for e in computed if e.kind == "backward"][:_CLOSE_BLOCKS]
    end = max(event.end for event in events)
    if not ahead or not behind or behind[-1] - ahead[0] > _MOST_CLOSE_SHARE * end:
        return None
    return ahead[0], behind[-1]


def _within(events: Sequence[Event], start: float, end: float) -> list[Event]:
    return [event for event in events if event.start < end and event.end > start]


def _write_blocks(
    axes: Axes, events: Sequence[Event], start: float, end: float, factor: float
) -> None:
    """Write a block's number on each bar that is wide enough for it."""
    for event in events:
        middle = (event.start + event.end) / 2
        wide = event.seconds > 0.015 * (end - start)
        if wide and start < middle < end and event.block != OUTSIDE:
            row = _COMPUTE if event.stream == "compute" else _NETWORK
            axes.text(
                middle * factor, row, str(event.block + 1), ha="center", va="center",
                fontsize=8, color="white",
            )  # fmt: skip


def _write_legend(figure: Figure, events: Sequence[Event]) -> None:
    from hunmin.core.extras import require

    patch = require("matplotlib.patches", extra="plots").Patch
    kinds = [kind for kind in _COLORS if any(event.kind == kind for event in events)]
    handles = [patch(facecolor=_COLORS[kind], label=_NAMES[kind]) for kind in kinds]
    waits = patch(facecolor="none", edgecolor=ORANGE, hatch="////", linewidth=0, label="waits")
    figure.legend(
        handles=[*handles, waits], loc="lower left", ncols=len(handles) + 1, frameon=False,
        fontsize=8.5, bbox_to_anchor=(0.065, 0.0), handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip

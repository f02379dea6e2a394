"""The flow picture: a band from what was read to what is kept, with what leaves it at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hunmin.core.figures import FAINT, INK, MUTED, write_title
from hunmin.core.units import format_bytes, format_count
from hunmin.corpus.report.bars import CUT_COLOR, DROPPED_COLOR, KEPT_COLOR
from hunmin.corpus.report.numbers import format_share, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# All lengths are inches; the axes of this picture count inches from its lower left corner.
WIDTH = 10.0
TOP, BOTTOM = 1.3, 0.72
BAND_LEFT, BAND_WIDTH = 2.4, 2.25
ELBOW, LABEL_LEFT, LABEL_PLACE = 0.16, 5.0, 5.12
DOCUMENTS_AT, SHARE_AT, BYTES_AT = 8.15, 9.0, 9.8
STEP_HEIGHT, ROW_HEIGHT, GAP = 0.66, 0.25, 0.16
THINNEST = 0.018
SEAM = 0.01
MAX_REASONS = 12
MAX_LETTERS = 32
OTHERS, TAKEN_OUT = "other reasons", "taken out of kept documents"


@dataclass(frozen=True)
class Branch:
    """What leaves the band at a step for one reason."""

    reason: str
    documents: int
    utf8_bytes: int
    is_cut: bool = False
    """Bytes taken out of documents that stay."""


@dataclass(frozen=True)
class Step:
    """What is left after a step, and what left there."""

    name: str
    documents: int
    utf8_bytes: int
    branches: Sequence[Branch] = ()


def flow_steps(flow: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Read the `flow` of the statistics.

    Args:
        flow: The first entry tells what was read, each other what is left after a step.

    Returns:
        The steps; the branches of each by falling bytes, all but the largest MAX_REASONS as one.
    """
    return [_step(entry) for entry in flow]


def _step(entry: Mapping[str, Any]) -> Step:
    branches = [
        Branch(reason, counts["documents"], counts["utf8_bytes"])
        for reason, counts in entry.get("dropped", {}).items()
        if counts["documents"] or counts["utf8_bytes"]
    ]
    branches.sort(key=lambda branch: (-branch.utf8_bytes, -branch.documents, branch.reason))
    if len(branches) > MAX_REASONS:
        rest = branches[MAX_REASONS - 1 :]
        branches = [*branches[: MAX_REASONS - 1], _summed(rest)]
    if entry.get("removed_bytes"):
        branches.append(Branch(TAKEN_OUT, 0, entry["removed_bytes"], is_cut=True))
    return Step(entry["step"], entry["documents"], entry["utf8_bytes"], tuple(branches))


def _summed(branches: Sequence[Branch]) -> Branch:
    name = f"{len(branches)} {OTHERS}"
    documents = sum(branch.documents for branch in branches)
    return Branch(name, documents, sum(branch.utf8_bytes for branch in branches))


def flow_height(steps: Sequence[Step]) -> float:
    """Return the height of the picture in inches."""
    scale = _scale(steps)
    return TOP + sum(_height(step, scale) for step in steps) + BOTTOM


def draw_flow(figure: Figure, steps: Sequence[Step], kept: str) -> None:
    """Draw the band.

    Args:
        figure: WIDTH by `flow_height` inches.
        steps: At least one; the first is what was read.
        kept: What became of what is left, in a line.

    Note:
        Widths are proportional to bytes. What is thinner than THINNEST is drawn as wide as that;
        the subtitle says so and the numbers stand beside it.
    """
    scale, height = _scale(steps), flow_height(steps)
    axes = _inch_axes(figure, height)
    subtitle = "widths are UTF-8 bytes · the thinnest lines are drawn wider than they are"
    write_title(figure, "From what was read to what is kept", subtitle)
    top, before = height - TOP, steps[0].utf8_bytes
    if any(step.branches for step in steps):
        _write_header(axes, top + 0.18)
    for step in steps:
        bottom = top - _height(step, scale)
        for x in ((0.2, BAND_LEFT - 0.15), (LABEL_PLACE, WIDTH - 0.2)):
            axes.plot(x, (top, top), color=FAINT, linewidth=0.7)
        _fill_band(axes, (top, bottom), (_kept_width(step, before, scale), step), scale)
        _draw_branches(axes, step, steps[0], top, scale)
        _write_step(axes, step, (top + bottom) / 2)
        top, before = bottom, step.utf8_bytes
    _draw_end(axes, top, _band(before, scale), kept)


def _inch_axes(figure: Figure, height: float) -> Axes:
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, height)
    return axes


def _scale(steps: Sequence[Step]) -> float:
    """Inches per byte."""
    return BAND_WIDTH / max(1, *(step.utf8_bytes for step in steps), 1)


def _band(num_bytes: int, scale: float) -> float:
    return max(THINNEST, num_bytes * scale) if num_bytes else 0.0


def _ribbon(branch: Branch, scale: float) -> float:
    """Width of a branch; documents without text are seen too."""
    return max(THINNEST, branch.utf8_bytes * scale)


def _room(branch: Branch, scale: float) -> float:
    """The height that a branch and its label take."""
    return max(ROW_HEIGHT, _ribbon(branch, scale) + 0.07)


def _height(step: Step, scale: float) -> float:
    rooms = sum(_room(branch, scale) for branch in step.branches)
    return max(STEP_HEIGHT, rooms + ELBOW + GAP)


def _kept_width(step: Step, before: int, scale: float) -> float:
    """Width at the top of a step: what stays, or what came if no branch tells what left."""
    return _band(step.utf8_bytes if step.branches else before, scale)


def _write_header(axes: Axes, y: float) -> None:
    style: dict[str, Any] = {"fontsize": 8.5, "color": MUTED, "va": "center"}
    axes.text(LABEL_PLACE, y, "left out", **style)
    for x, name in ((DOCUMENTS_AT, "documents"), (SHARE_AT, "of all bytes"), (BYTES_AT, "bytes")):
        axes.text(x, y, name, ha="right", **style)


def _fill_band(
    axes: Axes, edges: tuple[float, float], widths: tuple[float, Step], scale: float
) -> None:
    """Fill the part of the band that stays; a change that no branch explains is a slope."""
    (top, bottom), (upper, step) = edges, widths
    lower, left = _band(step.utf8_bytes, scale), BAND_LEFT
    x = [left, left + upper, left + lower, left + lower, left]
    bottom -= SEAM
    axes.fill(x, [top, top, top - ELBOW, bottom, bottom], color=KEPT_COLOR, linewidth=0)


def _draw_branches(axes: Axes, step: Step, first: Step, top: float, scale: float) -> None:
    leaving = sum(branch.utf8_bytes for branch in step.branches)
    right = BAND_LEFT + (step.utf8_bytes + leaving) * scale
    y = top - ELBOW + 0.03
    for branch in step.branches:
        room, width = _room(branch, scale), _ribbon(branch, scale)
        _draw_ribbon(axes, branch, (right, top), (y - room / 2, width))
        _write_branch(axes, branch, first, y - room / 2)
        right, y = right - branch.utf8_bytes * scale, y - room


def _draw_ribbon(
    axes: Axes, branch: Branch, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Draw a ribbon of even width: down out of the band, round a corner, right to its label."""
    (right, top), (y, width) = start, end
    left, upper, lower = right - width, y + width / 2, y - width / 2
    turn = min(ELBOW, top - upper)
    angles = np.linspace(np.pi, 1.5 * np.pi, 24)
    corner_x, corner_y = right + turn, upper + turn
    inner_x, inner_y = corner_x + turn * np.cos(angles), corner_y + turn * np.sin(angles)
    outer = turn + width
    outer_x, outer_y = corner_x + outer * np.cos(angles), corner_y + outer * np.sin(angles)
    x = [right, *inner_x, LABEL_LEFT, LABEL_LEFT, *outer_x[::-1], left]
    heights = [top, *inner_y, upper, lower, *outer_y[::-1], top]
    color = CUT_COLOR if branch.is_cut else DROPPED_COLOR
    axes.fill(x, heights, color=color, linewidth=0)


def _write_branch(axes: Axes, branch: Branch, first: Step, y: float) -> None:
    style: dict[str, Any] = {"fontsize": 8.5, "va": "center_baseline"}
    axes.text(LABEL_PLACE, y, shortened(branch.reason, MAX_LETTERS), color=INK, **style)
    share = format_share(branch.utf8_bytes, first.utf8_bytes)
    documents = "" if branch.is_cut else _counted(branch.documents)
    size = format_bytes(branch.utf8_bytes)
    for x, text in ((DOCUMENTS_AT, documents), (SHARE_AT, share), (BYTES_AT, size)):
        axes.text(x, y, text, ha="right", color=MUTED, **style)


def _counted(documents: int) -> str:
    """All digits where they fit; the tables have them all."""
    return f"{documents:,}" if documents < 10**8 else format_count(documents)


def _write_step(axes: Axes, step: Step, y: float) -> None:
    x = BAND_LEFT - 0.2
    axes.text(x, y + 0.13, step.name, ha="right", va="center", fontweight="bold", fontsize=9.5)
    numbers = f"{_counted(step.documents)} documents · {format_bytes(step.utf8_bytes)}"
    axes.text(x, y - 0.07, numbers, ha="right", va="center", color=MUTED, fontsize=8.5)


def _draw_end(axes: Axes, top: float, width: float, kept: str) -> None:
    """Draw the tip of the band, and write what is left."""
    middle = BAND_LEFT + width / 2
    tip = min(0.3, 0.06 + width / 6)
    x = [BAND_LEFT, BAND_LEFT + width, middle]
    axes.fill(x, [top, top, top - tip], color=KEPT_COLOR, linewidth=0)
    style: dict[str, Any] = {"va": "center", "fontsize": 9.5}
    axes.text(BAND_LEFT - 0.2, top - 0.14, "kept", ha="right", fontweight="bold", **style)
    axes.text(max(middle + 0.2, BAND_LEFT + width + 0.1), top - 0.14, kept, color=INK, **style)

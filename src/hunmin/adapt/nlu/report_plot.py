"""The plot of a report: one row a locale, three scores side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.adapt.nlu.report import NluReport
from hunmin.adapt.nlu.scores import Scores
from hunmin.core.estimates import Estimate
from hunmin.core.figures import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    new_figure,
    save_figure,
    write_marker_legend,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_ROW, _TOP, _BOTTOM, _LEFT, _PANEL, _GAP, _RIGHT = 0.21, 1.5, 0.75, 1.3, 2.5, 0.35, 0.3
_PANELS = (
    ("intent_accuracy", "intent accuracy"),
    ("slot_f1", "slot F1"),
    ("exact_match", "exact match"),
)
_MODEL: dict[str, Any] = {
    "marker": "o",
    "color": BLUE,
    "markersize": 6,
    "markeredgecolor": "white",
}
_LINEAR: dict[str, Any] = {
    "marker": "D",
    "color": ORANGE,
    "markersize": 4.4,
    "markerfacecolor": "white",
}
_CONSTANT: dict[str, Any] = {
    "marker": "|",
    "color": MUTED,
    "markersize": 7,
    "markeredgewidth": 1.8,
}
_TITLES = {"model": _MODEL, "linear model of n-grams": _LINEAR, "most frequent intent": _CONSTANT}


def plot_locales(report: NluReport, paths: Sequence[Path]) -> None:
    """Draw intent accuracy, slot F1 and exact match of each locale, with intervals.

    Args:
        report: The numbers.
        paths: Files to write, .svg or .png.
    """
    names = _order(report)
    width = _LEFT + 3 * _PANEL + 2 * _GAP + _RIGHT
    rows_height = _ROW * (len(names) + 1)
    height = _TOP + _BOTTOM + rows_height
    with new_figure(width, height) as figure:
        for number, (key, title) in enumerate(_PANELS):
            left = _LEFT + number * (_PANEL + _GAP)
            box = (left / width, _BOTTOM / height, _PANEL / width, rows_height / height)
            axes = figure.add_axes(box)
            _draw_panel(axes, report, names, key)
            axes.set_title(title, fontsize=10, color=INK, loc="left")
            axes.set_yticks(range(len(names)), names if number == 0 else [], fontsize=8.5)
            if number == 0:
                _mark_names(axes, names, report)
        write_marker_legend(figure, _TITLES, (_LEFT / width, 1 - 0.93 / height))
        write_title(
            figure,
            "Intents and slots, by locale",
            "per cent · further right is better · lines: 95 % intervals · bold: trained on",
        )
        chosen = ", ".join(report.selection_locales[:6])
        chosen += " and others" if len(report.selection_locales) > 6 else ""
        note = f"The epoch was chosen on the dev partition of {chosen}."
        figure.text(0.2 / width, 0.18 / height, note, fontsize=8.5, color=MUTED)
        for path in paths:
            save_figure(figure, path)


def _order(report: NluReport) -> list[str]:
    """Return trained locales first, each part with its best on top."""
    scores = report.scores.locales
    return sorted(
        scores, key=lambda name: (name not in report.train_locales, -scores[name].exact_match.value)
    )


def _draw_panel(axes: Axes, report: NluReport, names: Sequence[str], key: str) -> None:
    axes.set_xlim(-2, 102)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.tick_params(labelsize=8.5)
    axes.set_ylim(len(names) - 0.3, -0.7)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)
    num_trained = sum(name in report.train_locales for name in names)
    if 0 < num_trained < len(names):
        axes.axhline(num_trained - 0.5, color=MUTED, linewidth=0.8)
    systems = [(report.scores, _MODEL)]
    if key == "intent_accuracy":
        systems = [(report.constant, _CONSTANT), (report.linear, _LINEAR), *systems]
    for place, name in enumerate(names):
        for scores, marker in systems:
            _draw_mark(axes, place, scores.locales[name], key, marker)


def _draw_mark(axes: Axes, place: int, scores: Scores, key: str, marker: dict[str, Any]) -> None:
    estimate: Estimate | None = getattr(scores, key)
    if estimate is None:
        return
    if estimate.low is not None and estimate.high is not None:
        ends = (100 * estimate.low, 100 * estimate.high)
        axes.plot(ends, (place, place), color=marker["color"], linewidth=2, alpha=0.45)
    axes.plot(100 * estimate.value, place, linestyle="none", **marker)


def _mark_names(axes: Axes, names: Sequence[str], report: NluReport) -> None:
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(INK)
        if name in report.train_locales:
            label.set_fontweight("bold")

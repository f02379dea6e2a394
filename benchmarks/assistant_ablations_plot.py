"""Draw a result of assistant_ablations_report.py: changes of error, and accuracy by language.

python benchmarks/assistant_ablations_plot.py benchmarks/results/assistant-ablations-DATE.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hunmin.core.figures import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
    write_marker_legend,
    write_title,
)

ROW, TOP, BOTTOM = 0.3, 1.35, 0.65
SETTINGS = {"all": "labels in all languages", "english": "English labels only, other languages"}
MEASURES = {"intent": (BLUE, -0.12, 0), "slots": (ORANGE, 0.12, 1)}
SYSTEMS: dict[str, dict[str, Any]] = {
    "labels of the language": {"marker": "o", "color": GREEN},
    "zero-shot": {"marker": "o", "color": BLUE},
    "linear model of n-grams": {"marker": "D", "color": ORANGE, "markerfacecolor": "white"},
    "most frequent intent": {"marker": "|", "color": MUTED, "markeredgewidth": 1.8},
}


def draw_changes(changes: list[dict[str, Any]], path: Path) -> None:
    """Draw relative changes of error with their intervals, a comparison a row.

    Args:
        changes: As the result has them.
        path: Without suffix.
    """
    width, height = 11.5, TOP + BOTTOM + ROW * len(changes)
    with new_figure(width, height) as figure:
        for number, (labels, title) in enumerate(SETTINGS.items()):
            box = (0.335 + 0.335 * number, BOTTOM / height, 0.31, ROW * len(changes) / height)
            axes = figure.add_axes(box)
            for row, each in enumerate(changes):
                _draw_row(axes, row, each, labels)
            names = [f"({each['question']}) {each['arm']} / {each['with']}" for each in changes]
            _finish(axes, names if number == 0 else None, title, len(changes))
        marks = {name: {"marker": "o", "color": of[0]} for name, of in MEASURES.items()}
        published = {"marker": "x", "color": INK}
        place = (0.2 / width, 1 - 0.93 / height)
        write_marker_legend(figure, {**marks, "published": published}, place)
        write_title(
            figure,
            "What a step of the chain changes",
            "relative change of the error in per cent · left of 0 is better · lines: 95 % "
            "intervals over utterances and seeds",
        )
        _save(figure, path)


def _draw_row(axes: Any, row: int, each: dict[str, Any], labels: str) -> None:
    for measure, (color, shift, number) in MEASURES.items() if labels in each else ():
        found = each[labels][measure]
        axes.plot((found["low"], found["high"]), (row + shift,) * 2, color=color, alpha=0.45, lw=2)
        axes.plot(found["value"], row + shift, marker="o", color=color, markersize=5)
        if each["published"] and labels == "all":
            axes.plot(each["published"][number], row + shift, marker="x", color=INK, markersize=5)


def _finish(axes: Any, names: list[str] | None, title: str, rows: int) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.9)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_yticks(range(rows), names or [], fontsize=8.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_color(INK)


def draw_languages(languages: dict[str, Any], path: Path) -> None:
    """Draw intent accuracy by language: zero-shot, baselines, labels of the language.

    Args:
        languages: As the result has them.
        path: Without suffix.
    """
    names = sorted(languages["zero-shot"], key=lambda name: -languages["zero-shot"][name])
    height = TOP + BOTTOM + 0.21 * len(names)
    with new_figure(7.5, height) as figure:
        axes = figure.add_axes((0.12, BOTTOM / height, 0.84, 0.21 * len(names) / height))
        for system, marker in SYSTEMS.items():
            shares = [100 * languages[system][name] for name in names]
            axes.plot(shares, range(len(names)), linestyle="none", markersize=5.5, **marker)
        _finish(axes, names, "", len(names))
        axes.set_xlim(-2, 102)
        write_marker_legend(figure, SYSTEMS, (0.2 / 7.5, 1 - 0.93 / height))
        write_title(
            figure,
            "Intents by language, with and without labels of it",
            f"accuracy in per cent · right is better · {languages['arm']}, mean of the seeds",
        )
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    for suffix in PLOT_SUFFIXES:
        save_figure(figure, path.with_suffix(suffix))


def main() -> None:
    """Draw the result named on the command line."""
    path = Path(sys.argv[1])
    result = json.loads(path.read_text(encoding="utf-8"))
    draw_changes(result["changes"], path.with_suffix(""))
    draw_languages(result["languages"], path.with_name(f"{path.stem}-languages"))


if __name__ == "__main__":
    main()

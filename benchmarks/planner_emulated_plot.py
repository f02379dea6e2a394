"""Draw a result of planner_emulated.py: predicted against measured step times.

python benchmarks/planner_emulated_plot.py benchmarks/results/planner-emulated-DATE.json
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hunmin.core.figures import (
    FAINT,
    LINE_COLORS,
    MUTED,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
    write_title,
)

BAND = 0.2
TICKS = (0.5, 1, 2, 5, 10, 20)


def draw_predictions(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Write predicted against measured seconds.

    Args:
        points: The part `points` of a result.
        path: Of the plots; its suffix is replaced.
    """
    with new_figure(7.2, 6.4) as figure:
        axes = figure.add_axes((0.11, 0.1, 0.85, 0.76))
        _draw_band(axes, points)
        sources = list(dict.fromkeys((point["source"], point["site"]) for point in points))
        for color, source in zip(LINE_COLORS, sources, strict=False):
            of_source = [p for p in points if (p["source"], p["site"]) == source]
            measured = [point["measured"] for point in of_source]
            predicted = [point["predicted"] for point in of_source]
            label = f"{source[0]}: {source[1]}"
            axes.scatter(measured, predicted, s=26, color=color, alpha=0.8, label=label, zorder=3)
        axes.set_xlabel("measured seconds a step")
        axes.set_ylabel("predicted seconds a step")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        middle = statistics.median(
            abs(point["predicted"] / point["measured"] - 1) for point in points
        )
        worst = max(abs(point["predicted"] / point["measured"] - 1) for point in points)
        write_title(
            figure,
            "Step times on emulated nodes: predicted against measured",
            f"{len(points)} steps; error in the median {middle:.1%}, at most {worst:.1%}; "
            f"grey: within {BAND:.0%}",
        )
        for suffix in PLOT_SUFFIXES:
            save_figure(figure, path.with_suffix(suffix))


def _draw_band(axes: Any, points: Sequence[dict[str, Any]]) -> None:
    seconds = [point[key] for point in points for key in ("measured", "predicted")]
    ends = (0.8 * min(seconds), 1.25 * max(seconds))
    axes.fill_between(
        ends,
        [end * (1 - BAND) for end in ends],
        [end * (1 + BAND) for end in ends],
        color=FAINT,
        alpha=0.6,
        linewidth=0,
    )
    axes.plot(ends, ends, color=MUTED, linewidth=0.8)
    ticks = [tick for tick in TICKS if ends[0] <= tick <= ends[1]]
    for set_scale, set_ticks, set_limits in (
        (axes.set_xscale, axes.set_xticks, axes.set_xlim),
        (axes.set_yscale, axes.set_yticks, axes.set_ylim),
    ):
        set_scale("log")
        set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        set_ticks([], minor=True)
        set_limits(ends)


def main() -> None:
    """Draw the result named on the command line."""
    path = Path(sys.argv[1])
    record = json.loads(path.read_text(encoding="utf-8"))
    draw_predictions(record["points"], path)


if __name__ == "__main__":
    main()

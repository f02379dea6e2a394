"""Draw a result of mics_scaling.py: step times by contender, and weak scaling.

python benchmarks/mics_plot.py benchmarks/results/mics-scaling-DATE.json
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from hunmin.core.figures import (
    INK,
    LINE_COLORS,
    MUTED,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
    write_title,
)

LINE_HEIGHT = 3.5  # of a label, in percent


def draw_step_times(measured: dict[str, Any], path: Path) -> None:
    """Write bars of step times.

    Args:
        measured: The part `step_times` of a result.
        path: Of the plots, without suffix.
    """
    contenders = measured["contenders"]
    balances = list(next(iter(contenders.values()))["seconds"])
    height = 0.8 / len(balances)
    with new_figure(8.5, 1.4 + 0.55 * len(contenders)) as figure:
        axes = figure.add_axes((0.34, 0.12, 0.62, 0.7))
        for index, balance in enumerate(balances):
            for row, figures in enumerate(contenders.values()):
                seconds = statistics.median(figures["seconds"][balance])
                place = row + (index - (len(balances) - 1) / 2) * height
                label = f"balance {float(balance):g}" if row == 0 else None
                axes.barh(place, seconds, 0.9 * height, color=LINE_COLORS[index], label=label)
                ratios = [figures[f"{key}_over_this"][balance] for key in ("zero", "ahead")]
                text = f"{ratios[0]:.1f}x, {ratios[1]:.1f}x"
                axes.annotate(
                    text, (seconds, place), (3, 0), textcoords="offset points",
                    va="center", fontsize=7, color=MUTED,
                )  # fmt: skip
        axes.set_yticks(range(len(contenders)), contenders, color=INK)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel("seconds a step")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        write_title(
            figure,
            f"Step time on emulated nodes with links of {measured['mbit']:g} Mbit/s",
            "balance: computing over ZeRO-3's communication; numbers: faster than first, second",
        )
        _save(figure, path)


def draw_scaling(measured: dict[str, Any], path: Path) -> None:
    """Write curves of the efficiency on more and more nodes.

    Args:
        measured: The part `weak_scaling` of a result.
        path: Of the plots, without suffix.
    """
    sizes = measured["nodes"]
    with new_figure(7, 4.4) as figure:
        axes = figure.add_axes((0.11, 0.13, 0.85, 0.69))
        ends: list[tuple[float, str]] = []
        for color, (name, figures) in zip(
            LINE_COLORS, measured["contenders"].items(), strict=False
        ):
            shares = [100 * figures["efficiency"][str(nodes)] for nodes in sizes]
            axes.plot(sizes, shares, color=color, marker="o", label=name)
            ends.append((shares[-1], color))
        _label_ends(axes, sizes[-1], ends)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(nodes) for nodes in sizes])
        axes.margins(x=0.13)
        axes.set_ylim(0, 105)
        axes.set_xlabel("nodes; the same work for each rank")
        axes.set_ylabel("efficiency, % of one node's speed")
        axes.legend(frameon=False, fontsize=8, loc="lower left")
        write_title(
            figure,
            "Weak scaling on emulated nodes",
            f"{measured['microsteps']} microsteps a step, {measured['waiting_seconds']:.1f} s of "
            f"computing, links of {measured['mbit']:g} Mbit/s",
        )
        _save(figure, path)


def _label_ends(axes: Any, x: float, ends: list[tuple[float, str]]) -> None:
    """Write the last value of each curve beside it, none on top of another."""
    place = -LINE_HEIGHT
    for share, color in sorted(ends):
        place = max(share, place + LINE_HEIGHT)
        axes.annotate(
            f"{share:.1f} %", (x, place), (8, 0),
            textcoords="offset points", va="center", fontsize=8, color=color,
        )  # fmt: skip


def _save(figure: Any, path: Path) -> None:
    for suffix in PLOT_SUFFIXES:
        save_figure(figure, path.with_name(path.name + suffix))


def main() -> None:
    """Draw the result named on the command line."""
    path = Path(sys.argv[1])
    record = json.loads(path.read_text(encoding="utf-8"))
    draw_step_times(record["step_times"], path.with_name(f"{path.stem}-steps"))
    draw_scaling(record["weak_scaling"], path.with_name(f"{path.stem}-weak"))


if __name__ == "__main__":
    main()

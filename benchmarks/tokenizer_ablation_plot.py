"""Draw a result of tokenizer_ablation.py: bits per byte against the compute that it took.

python benchmarks/tokenizer_ablation_plot.py benchmarks/results/tokenizer-ablation-DATE.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hunmin.core.figures import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
    write_title,
)

BASELINES = ("byte-bpe", "byte-bpe, more steps")
RIGHT_HALF = 1.15
CLOSE_BITS, CLOSE_COMPUTE = 0.01, 0.04


def draw(variants: list[dict[str, Any]], path: Path) -> None:
    """Write the plot beside a result, as PNG and SVG.

    Args:
        variants: The figures of each variant.
        path: Without suffix.
    """
    with new_figure(8, 4.8) as figure:
        axes = figure.add_axes((0.1, 0.13, 0.86, 0.7))
        for each in variants:
            _mark(axes, each, variants)
        line = [each for each in variants if each["variant"] in BASELINES]
        compute, bits = zip(*[_point(each) for each in line], strict=True)
        axes.plot(compute, bits, color=MUTED, linewidth=1, linestyle=":")
        axes.set_xlabel("compute relative to byte-level BPE")
        axes.set_ylabel("bits per byte, held out")
        axes.margins(x=0.12, y=0.12)
        write_title(
            figure,
            "Equal models on equal text: only the tokenizer differs",
            "lower left is better; bars: lowest and highest of the seeds; dotted: byte-level BPE "
            "trained longer",
        )
        for suffix in PLOT_SUFFIXES:
            save_figure(figure, path.with_suffix(suffix))


def _point(each: dict[str, Any]) -> tuple[float, float]:
    return each["compute_relative"], each["bits_per_byte"]


def _mark(axes: Any, each: dict[str, Any], variants: list[dict[str, Any]]) -> None:
    compute, bits = _point(each)
    low, high = min(each["by_seed"]), max(each["by_seed"])
    color = ORANGE if each["variant"] in BASELINES else BLUE
    axes.errorbar(compute, bits, [[bits - low], [high - bits]], fmt="o", color=color, capsize=3)
    # Names stand towards the middle, and below where another point is close above.
    is_right = compute > RIGHT_HALF
    is_below = each["variant"] == BASELINES[1] or any(
        0 < other[1] - bits < CLOSE_BITS and abs(other[0] - compute) < CLOSE_COMPUTE
        for other in map(_point, variants)
    )
    axes.annotate(
        each["variant"],
        (compute, bits),
        (-7 if is_right else 7, -5 if is_below else 5),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top" if is_below else "bottom",
        fontsize=9,
        color=INK,
    )


def main() -> None:
    """Draw the result named on the command line."""
    path = Path(sys.argv[1])
    draw(json.loads(path.read_text(encoding="utf-8"))["variants"], path.with_suffix(""))


if __name__ == "__main__":
    main()

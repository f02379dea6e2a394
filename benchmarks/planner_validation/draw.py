"""Plots of the validation: every point, the headline curves, ZeRO-3 against bandwidth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.figures import (
    BLUE,
    FAINT,
    INK,
    LINE_COLORS,
    MUTED,
    ORANGE,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
    write_title,
)
from planner_validation.points import part
from planner_validation.predict import Predicted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["Figure"], None]
DGX2 = "ZeRO-3 against bandwidth"


def draw_all(predictions: Sequence[Predicted], details: Mapping[str, Any], path: Path) -> None:
    """Write all plots beside a result.

    Args:
        predictions: Of every point.
        details: JSON values of the report.
        path: Of the result, without suffix.
    """
    _save(path, "points", (8.5, 6.5), lambda figure: _draw_points(figure, predictions))
    _save(path, "headline", (8.5, 4.2), lambda figure: _draw_headline(figure, details))
    _save(path, "bandwidth", (8.5, 4.2), lambda figure: _draw_bandwidth(figure, predictions))


def _save(path: Path, name: str, size: tuple[float, float], draw: Draw) -> None:
    with new_figure(*size) as figure:
        draw(figure)
        for suffix in PLOT_SUFFIXES:
            save_figure(figure, path.with_name(f"{path.name}-{name}{suffix}"))


def _draw_points(figure: Figure, predictions: Sequence[Predicted]) -> None:
    axes = figure.add_axes((0.09, 0.1, 0.56, 0.75))
    shares = [(*_shares(each), each) for each in predictions]
    groups = list(dict.fromkeys(each.point.group for each in predictions))
    for place, group in enumerate(groups):
        color, marker = LINE_COLORS[place % len(LINE_COLORS)], "os^D"[place // len(LINE_COLORS)]
        for which, face in (("predict", color), ("calibrate", "none")):
            own = [s for s in shares if (s[2].point.group, part(s[2].point)) == (group, which)]
            label = f"{group}" if which == "predict" or not _has_predicted(shares, group) else None
            axes.scatter(
                [s[0] for s in own], [s[1] for s in own], 26, facecolors=face, edgecolors=color,
                marker=marker, label=label if own else None, linewidths=0.9,
            )  # fmt: skip
    line = (5, 70)
    axes.plot(line, line, color=INK, linewidth=0.8)
    axes.fill_between(
        line, [0.75 * x for x in line], [1.25 * x for x in line], color=FAINT, alpha=0.5
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = (5, 10, 20, 30, 50, 70)
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_yticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set_xlim(*line)
    axes.set_ylim(*line)
    axes.set_xlabel("published, hardware FLOPs in % of the peak")
    axes.set_ylabel("predicted, %")
    axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.02, 1), loc="upper left")
    write_title(
        figure,
        "Published training speeds and what the planner predicts",
        "hollow: constants were fitted to these; band: 25 % off",
    )


def _has_predicted(shares: Sequence[Any], group: str) -> bool:
    return any(s[2].point.group == group and part(s[2].point) == "predict" for s in shares)


def _shares(predicted: Predicted) -> tuple[float, float]:
    """Return published and predicted hardware FLOPs as a share of the peak, in percent."""
    point = predicted.point
    strategy = point.strategy
    flops = point.shape.hardware_flops(recomputes=strategy.recompute == "blocks")
    tokens = strategy.rows_per_step * point.shape.context / strategy.devices
    whole = 100 * flops * tokens / point.cluster.device.peak[strategy.precision]
    return whole / point.published_seconds(), whole / predicted.step.seconds


def _draw_headline(figure: Figure, details: Mapping[str, Any]) -> None:
    axes = figure.add_axes((0.08, 0.14, 0.52, 0.64))
    for (name, curve), color in zip(details["curves"].items(), (BLUE, ORANGE), strict=True):
        axes.plot(curve["devices"], curve["values"], color=color, marker="o", markersize=4)
        published = curve["published"]
        axes.scatter(
            list(published), list(published.values()), 46, marker="x", color=color, zorder=3
        )
        axes.annotate(
            name, (curve["devices"][-1], curve["values"][-1]), (0, 14),
            textcoords="offset points", ha="right", color=color,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(curve["devices"], map(str, curve["devices"]))
    axes.set_ylim(0, 190)
    axes.set_xlabel("GPUs (A100-40GB, 400 Gbps a node)")
    axes.set_ylabel("TFLOPS a GPU")
    groups = [row for row in details["groups"] if row["group"] >= 8]
    bars = figure.add_axes((0.68, 0.14, 0.3, 0.64))
    colors = [BLUE if row["fits"] else FAINT for row in groups]
    bars.bar(range(len(groups)), [row["tflops"] for row in groups], color=colors)
    bars.set_xticks(range(len(groups)), [str(row["group"]) for row in groups], fontsize=8)
    bars.grid(False, axis="x")
    bars.set_ylim(0, 190)
    bars.set_xlabel("partition group on 512 GPUs")
    write_title(
        figure,
        "100B parameters: partition groups and ZeRO-3",
        "lines: predicted, crosses: published; right: grey groups do not fit 40 GB",
    )


def _draw_bandwidth(figure: Figure, predictions: Sequence[Predicted]) -> None:
    own = [each for each in predictions if each.point.group == DGX2]
    for place, tokens in enumerate(("1K", "2K")):
        axes = figure.add_axes((0.08 + 0.45 * place, 0.14, 0.38, 0.62))
        chosen = [each for each in own if f"{tokens} tokens" in each.point.label]
        models = list(dict.fromkeys(each.point.label.split(",")[0] for each in chosen))
        for color, model in zip(LINE_COLORS, models, strict=False):
            runs = sorted(
                (_gbps(each), each.point.value, each.value)
                for each in chosen
                if each.point.label.startswith(f"{model},")
            )
            axes.plot([r[0] for r in runs], [r[2] for r in runs], color=color, label=model)
            axes.scatter([r[0] for r in runs], [r[1] for r in runs], 36, marker="x", color=color)
        axes.set_xscale("log", base=2)
        axes.set_xticks((100, 200, 400, 800), ("100", "200", "400", "800"))
        axes.set_ylim(0, 55)
        axes.set_xlabel("Gbps a node")
        axes.set_title(f"{tokens} tokens a GPU", fontsize=10, color=MUTED)
        if place == 0:
            axes.set_ylabel("TFLOPS a GPU")
            axes.legend(frameon=False, fontsize=8)
    write_title(
        figure,
        "ZeRO-3 against the bandwidth between nodes, 384 V100",
        "lines: predicted, crosses: published",
    )


def _gbps(predicted: Predicted) -> float:
    return predicted.point.cluster.between.bandwidth * 8 / 1e9

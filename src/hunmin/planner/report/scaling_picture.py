"""Weak and strong scaling as pictures: speed of a device, and of the whole cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hunmin.core.figures import BLUE, MUTED, ORANGE, new_figure, save_figure, write_title
from hunmin.core.units import format_count
from hunmin.planner.scaling import Scaling, ScalingSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {"partition_groups": BLUE, "zero3": ORANGE}
_MARKERS = {"partition_groups": "o", "zero3": "s"}
_SUBTITLES = {
    "weak": "The global batch grows with the cluster; ideal are a flat line and the dotted one",
    "strong": "The same global batch on ever more devices; the dotted line is ideal",
}
_MOST_TICKS = 8


def draw_scaling(scaling: Scaling, title: str, paths: Sequence[Path]) -> None:
    """Draw both ways to share a model against the number of nodes.

    Args:
        scaling: Weak or strong.
        title: What is scaled.
        paths: Files to write, each .svg or .png.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with new_figure(11.0, 4.6) as figure:
        write_title(figure, f"{title}: {scaling.kind} scaling", _SUBTITLES[scaling.kind])
        left, right = _axes(figure)
        _draw_devices(left, scaling)
        _draw_cluster(right, scaling)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="lower left", ncols=2, frameon=False,
            bbox_to_anchor=(0.06, 0.0),
        )  # fmt: skip
        for path in paths:
            save_figure(figure, path)


def _axes(figure: Figure) -> tuple[Axes, Axes]:
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.07, right=0.98, top=0.74, bottom=0.24, wspace=0.2)
    return left, right


def _draw_devices(axes: Axes, scaling: Scaling) -> None:
    for series in scaling.series:
        nodes, speeds = _known(series, series.model_tflops)
        _line(axes, series, nodes, speeds)
        efficiencies = [value for value in series.efficiency if value is not None]
        if nodes:
            _write_at(axes, nodes[-1], speeds[-1], f"{efficiencies[-1]:.0%}", (8, -3), "left")
    known = [value for series in scaling.series for value in series.model_tflops if value]
    axes.set_ylim(0, 1.1 * max(known, default=1.0))
    axes.set_title("TFLOPS of a device, model FLOPs", loc="left", fontsize=10)
    _label_nodes(axes, scaling)


def _draw_cluster(axes: Axes, scaling: Scaling) -> None:
    for series in scaling.series:
        nodes, speeds = _known(series, series.tokens_per_second)
        _line(axes, series, nodes, speeds)
    nodes, speeds = _known(scaling.partition_groups, scaling.partition_groups.tokens_per_second)
    if nodes:
        ideal = [speeds[0] * count / nodes[0] for count in nodes]
        axes.plot(nodes, ideal, color=MUTED, linestyle=":", linewidth=1.2, zorder=1)
    _write_groups(axes, scaling.partition_groups)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: format_count(value))
    axes.yaxis.minorticks_off()
    axes.set_title(
        "tokens a second of the cluster (numbers: partition group)",
        loc="left",
        fontsize=10,
    )
    _label_nodes(axes, scaling)


def _known(series: ScalingSeries, values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    pairs = [(n, v) for n, v in zip(series.nodes, values, strict=True) if v is not None]
    return [nodes for nodes, _ in pairs], [value for _, value in pairs]


def _line(axes: Axes, series: ScalingSeries, nodes: list[int], values: list[float]) -> None:
    axes.plot(
        nodes, values, color=_COLORS[series.name], marker=_MARKERS[series.name], markersize=5,
        linewidth=1.8, label=series.title, zorder=2,
    )  # fmt: skip


def _write_groups(axes: Axes, series: ScalingSeries) -> None:
    """Write the partition group that was best at each number of nodes."""
    groups = series.each(lambda one: one.strategy.layout.partition_group)
    places = zip(series.nodes, series.tokens_per_second, groups, strict=True)
    for nodes, speed, group in places:
        if speed is not None:
            _write_at(axes, nodes, speed, str(group), (-5, 5), "right")


def _write_at(
    axes: Axes, nodes: int, value: float, text: str, offset: tuple[int, int], side: str
) -> None:
    axes.annotate(
        text, (nodes, value), textcoords="offset points", xytext=offset, ha=side, fontsize=9,
        color=MUTED,
    )  # fmt: skip


def _label_nodes(axes: Axes, scaling: Scaling) -> None:
    """Name the nodes themselves, from the first on which the model fits."""
    points = scaling.partition_groups.points
    fitting = [p.nodes for s in scaling.series for p in s.points if p.prediction is not None]
    low, high = (min(fitting), max(fitting)) if fitting else (points[0].nodes, points[-1].nodes)
    nodes = [point.nodes for point in points if low <= point.nodes <= high]
    shown = nodes[:: -(-len(nodes) // _MOST_TICKS)]
    axes.set_xscale("log", base=2)
    axes.set_xlim(nodes[0] / 1.6, nodes[-1] * 1.6)
    axes.set_xticks(shown, [f"{count:,}" for count in shown])
    axes.xaxis.minorticks_off()
    axes.set_xlabel(f"nodes of {points[0].devices // points[0].nodes} devices")

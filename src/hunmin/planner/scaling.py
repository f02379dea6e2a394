"""The same training on more and more nodes: partition groups against ZeRO-3.

    weak      every device keeps its rows: the global batch grows with the cluster
    strong    the global batch stays: every device has fewer rows

Everything but the layout stays as it is in the strategy that is scaled: what differs between the
two lines is who gathers from whom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout, possible_groups
from hunmin.planner.cluster import Cluster
from hunmin.planner.memory import memory_use
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.search.bounds import Bounds
from hunmin.planner.search.reasons import explain_memory
from hunmin.planner.strategy import Strategy

T = TypeVar("T")
Kind = Literal["weak", "strong"]
SeriesName = Literal["partition_groups", "zero3"]
DEFAULT_NODES = tuple(2**power for power in range(12))
"""From one node to 2,048."""
_TITLES: dict[SeriesName, str] = {
    "partition_groups": "partition groups, two-hop",
    "zero3": "ZeRO-3: one group of all, flat",
}


@dataclass(frozen=True)
class ScalingPoint:
    """One number of nodes.

    Args:
        nodes: How many.
        devices: On all of them.
        prediction: The fastest layout that fits; None if none does.
        reason: Why there is none.
    """

    nodes: int
    devices: int
    prediction: Prediction | None
    reason: str | None = None


@dataclass(frozen=True)
class ScalingSeries:
    """One way to share the model on growing clusters.

    Args:
        name: Which way.
        title: For people.
        points: In the order of the nodes.
    """

    name: SeriesName
    title: str
    points: tuple[ScalingPoint, ...]

    @property
    def nodes(self) -> list[int]:
        """Nodes of each point."""
        return [point.nodes for point in self.points]

    @property
    def tokens_per_second(self) -> list[float | None]:
        """Tokens a second of the whole cluster."""
        return self.each(lambda one: one.tokens_per_second)

    @property
    def model_tflops(self) -> list[float | None]:
        """10^12 operations a second and device that the model needs."""
        return self.each(lambda one: one.model_flops / 1e12)

    @property
    def hardware_tflops(self) -> list[float | None]:
        """The same with what is computed again."""
        return self.each(lambda one: one.hardware_flops / 1e12)

    @property
    def efficiency(self) -> list[float | None]:
        """Tokens a second and device, relative to the fewest nodes on which the model fits."""
        speeds = self.each(lambda one: one.tokens_per_second_per_device)
        base = next((speed for speed in speeds if speed is not None), None)
        return [None if base is None or speed is None else speed / base for speed in speeds]

    def each(self, measure: Callable[[Prediction], T]) -> list[T | None]:
        """Measure each point; None where nothing fits.

        Args:
            measure: What is wanted of a prediction.

        Returns:
            As many values as points.
        """
        found = [point.prediction for point in self.points]
        return [None if one is None else measure(one) for one in found]

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "nodes": self.nodes,
            "devices": [point.devices for point in self.points],
            "tokens_per_second": self.tokens_per_second,
            "model_tflops": self.model_tflops,
            "hardware_tflops": self.hardware_tflops,
            "efficiency": self.efficiency,
            "partition_group": self.each(lambda one: one.strategy.layout.partition_group),
            "hierarchical": self.each(lambda one: one.strategy.layout.hierarchical),
            "reason": [point.reason for point in self.points],
        }


@dataclass(frozen=True)
class Scaling:
    """Both ways side by side.

    Args:
        kind: Whether the batch grows with the cluster.
        partition_groups: The best partition group for each number of nodes, synchronised in two
            hops, collectives in two stages where that is faster.
        zero3: All ranks in one group, flat collectives.
    """

    kind: Kind
    partition_groups: ScalingSeries
    zero3: ScalingSeries

    @property
    def series(self) -> tuple[ScalingSeries, ScalingSeries]:
        """Both."""
        return self.partition_groups, self.zero3

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {"kind": self.kind, "series": [series.as_dict() for series in self.series]}


def weak_scaling(best: Prediction, nodes: Sequence[int] = DEFAULT_NODES) -> Scaling:
    """Scale a strategy so that every device keeps its rows.

    Args:
        best: What is scaled: its tensor degree, microbatch, microsteps and recomputation stay.
        nodes: Numbers of nodes.

    Returns:
        Speed on each of them, for partition groups and for ZeRO-3.

    Raises:
        InputError: A strategy with a pipeline, or no nodes.
    """
    return _scale(best, nodes, "weak")


def strong_scaling(best: Prediction, nodes: Sequence[int] = DEFAULT_NODES) -> Scaling:
    """Scale a strategy so that the global batch stays.

    Args:
        best: What is scaled: its tensor degree and recomputation stay, and its microbatch as long
            as there are rows enough.
        nodes: Numbers of nodes.

    Returns:
        Speed on each of them, for partition groups and for ZeRO-3; none where there are more
        data-parallel ranks than rows.

    Raises:
        InputError: A strategy with a pipeline, or no nodes.
    """
    return _scale(best, nodes, "strong")


def _scale(best: Prediction, nodes: Sequence[int], kind: Kind) -> Scaling:
    _check(best, nodes)
    series = {
        name: ScalingSeries(
            name, title, tuple(_point(best, number, kind, name) for number in sorted(set(nodes)))
        )
        for name, title in _TITLES.items()
    }
    return Scaling(kind, series["partition_groups"], series["zero3"])


def _check(best: Prediction, nodes: Sequence[int]) -> None:
    if best.strategy.pipeline > 1:
        raise InputError(
            "a strategy with a pipeline is not scaled",
            where="pipeline",
            given=f"{best.strategy.pipeline} stages",
            allowed="1",
        )
    if not nodes or min(nodes) < 1:
        raise InputError(
            "there is no number of nodes to scale to",
            where="nodes",
            given=list(nodes),
            allowed="one or more numbers, each at least 1",
        )


def _point(best: Prediction, nodes: int, kind: Kind, name: SeriesName) -> ScalingPoint:
    cluster = best.cluster.with_nodes(nodes)
    data_ranks = cluster.devices // best.strategy.layout.tensor
    rows = best.strategy.rows_per_step
    if kind == "strong" and rows < data_ranks:
        reason = f"{rows} rows are fewer than {data_ranks} data-parallel ranks"
        return ScalingPoint(nodes, cluster.devices, None, reason)
    strategy = best.strategy if kind == "weak" else _spread(best.strategy, rows / data_ranks)
    layouts = _layouts(cluster, strategy.layout.tensor, name)
    found = _fastest(best, cluster, [replace(strategy, layout=layout) for layout in layouts])
    if not found.fits:
        return ScalingPoint(nodes, cluster.devices, None, explain_memory(found))
    return ScalingPoint(nodes, cluster.devices, found)


def _spread(strategy: Strategy, rows: float) -> Strategy:
    """Give each data-parallel rank about as many rows, in microbatches that divide them."""
    each = max(1, round(rows))
    micro_batch = math.gcd(each, strategy.micro_batch)
    return replace(strategy, micro_batch=micro_batch, microsteps=each // micro_batch)


def _layouts(cluster: Cluster, tensor: int, name: SeriesName) -> list[Layout]:
    data_ranks, per_node = cluster.devices // tensor, cluster.devices_per_node // tensor
    if name == "zero3":
        return [Layout(cluster.devices, cluster.devices_per_node, data_ranks, tensor)]
    return [
        Layout(cluster.devices, cluster.devices_per_node, group, tensor, hierarchical)
        for group in possible_groups(data_ranks, per_node)
        for hierarchical in ((False, True) if group > per_node > 1 else (False,))
    ]


def _fastest(best: Prediction, cluster: Cluster, strategies: Iterable[Strategy]) -> Prediction:
    """Return the fastest strategy that fits, or the smallest if none does."""
    shape, software = best.shape, best.software
    needs = [(strategy, memory_use(shape, strategy, software.habits)) for strategy in strategies]
    fitting = [strategy for strategy, memory in needs if memory.fits(cluster.device.memory)]
    if not fitting:
        smallest, _ = min(needs, key=lambda pair: pair[1].total)
        return predict(shape, smallest, cluster, software)
    least = Bounds(shape, cluster, software).least_seconds
    first, *others = sorted(fitting, key=least)
    found = predict(shape, first, cluster, software)
    for strategy in others:
        if least(strategy) >= found.step.seconds:
            break
        other = predict(shape, strategy, cluster, software)
        found = min(found, other, key=lambda one: one.step.seconds)
    return found

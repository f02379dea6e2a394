"""The headline curves of MiCS and ZeRO-3, as they come out of the model."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from hunmin.parallel.layout import Layout, possible_groups
from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.catalogue.models import find_model
from hunmin.planner.catalogue.software import find_software
from hunmin.planner.memory import DEEPSPEED, memory_use
from hunmin.planner.speed.network import Network, effective_bandwidth
from hunmin.planner.speed.step import StepTime, step_time
from hunmin.planner.strategy import Strategy
from planner_validation.point import Point
from planner_validation.points import part
from planner_validation.predict import predict

DEVICES = (128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Curve:
    """Speed by number of devices.

    Args:
        devices: How many.
        values: Predicted TFLOPS a device, as the publisher counts them.
        published: What was published, by devices.
    """

    devices: tuple[int, ...]
    values: tuple[float, ...]
    published: dict[int, float]

    def efficiency(self, devices: int) -> float:
        """Return the speed a device on so many over that on the fewest."""
        return self.values[self.devices.index(devices)] / self.values[0]

    def as_dict(self) -> dict[str, object]:
        """Return it as a JSON value."""
        return asdict(self)


def headline_curves(points: Sequence[Point]) -> dict[str, Curve]:
    """Return weak scaling of the 100B model: MiCS and ZeRO-3.

    Args:
        points: With their microbatches.

    Returns:
        Curves by system; each device keeps its rows.
    """
    runs = [p for p in points if p.group == "MiCS" and p.cluster_name.startswith("p4d:")]
    curves = {}
    for title, software in (("MiCS", "mics"), ("ZeRO-3", "deepspeed")):
        own = [point for point in runs if point.software == software]
        values = tuple(predict(_spread(own[0], devices)).value for devices in DEVICES)
        published = {point.strategy.devices: point.value for point in own}
        curves[title] = Curve(DEVICES, values, published)
    return curves


def _spread(point: Point, devices: int) -> Point:
    """Return the run on so many devices: ZeRO-3's group grows, that of MiCS does not."""
    layout = point.strategy.layout
    group = layout.partition_group if point.software == "mics" else devices
    layout = replace(layout, world_size=devices, partition_group=group)
    return replace(
        point,
        cluster_name=f"p4d:{devices // layout.ranks_per_node}",
        strategy=replace(point.strategy, layout=layout),
    )


def group_ranking(points: Sequence[Point]) -> list[dict[str, float | int | bool]]:
    """Return the speed of the 100B model on 512 GPUs by partition group, all else equal."""
    point = next(p for p in points if p.software == "mics" and p.cluster_name == "p4d:64")
    layout = point.strategy.layout
    rows: list[dict[str, float | int | bool]] = []
    for group in possible_groups(layout.data_ranks, layout.ranks_per_node):
        spans = group > layout.ranks_per_node
        changed = Layout(layout.world_size, layout.ranks_per_node, group, 1, spans)
        strategy = replace(point.strategy, layout=changed)
        needed = memory_use(point.shape, strategy, DEEPSPEED).total
        value = predict(replace(point, strategy=strategy)).value
        fits = needed <= point.cluster.device.memory
        rows.append({"group": group, "tflops": value, "gigabytes": needed / 1e9, "fits": fits})
    return rows


def parts_of_mics(points: Sequence[Point]) -> dict[str, float]:
    """Return what two stages and two hops bring: ratios, as the paper reports such.

    Returns:
        Time without over time with, of the 100B model on 512 GPUs; the time of a gather over two
        nodes in two stages over that of one ring; and what a small group brings.
    """
    point = next(p for p in points if p.software == "mics" and p.cluster_name == "p4d:64")
    layout = point.strategy.layout
    whole = _time(point, layout).seconds
    pair = find_cluster("p3dn:2")
    flat = Network(pair, Layout(16, 8, 16)).gather_seconds(2 * point.shape.block_parameters)
    staged = Network(pair, Layout(16, 8, 16, hierarchical=True))
    return {
        "one ring instead of two stages": _time(point, replace(layout, hierarchical=False)).seconds
        / whole,
        "one hop instead of two": _time(point, replace(layout, two_hop=False)).seconds / whole,
        "gather over two p3dn nodes, two stages over one ring": staged.gather_seconds(
            2 * point.shape.block_parameters
        )
        / flat,
        "BERT 10B on 8 p3dn nodes, groups of 8 over one of 64": _bert_groups(),
    }


def _bert_groups() -> float:
    """Return the speed in groups of 8 over that in one of 64, with 8 rows of 512 tokens."""
    shape, cluster = find_model("bert-10b"), find_cluster("p3dn:8")
    small, large = (
        Strategy(Layout(64, 8, group), 8, 16, precision="fp16", attention="plain", reduce_bytes=2)
        for group in (8, 64)
    )
    times = [step_time(shape, each, cluster, find_software("mics")) for each in (small, large)]
    return times[1].seconds / times[0].seconds


def _time(point: Point, layout: Layout) -> StepTime:
    strategy = replace(point.strategy, layout=layout)
    return step_time(point.shape, strategy, point.cluster, find_software(point.software))


def bandwidths(message_bytes: float = 1e9) -> dict[str, float]:
    """Return effective bandwidths of gathers on p3dn, bytes a second: a node, and 64 nodes."""
    node = Network(find_cluster("p3dn:1"), Layout(8, 8, 8))
    cluster = Network(find_cluster("p3dn:64"), Layout(512, 8, 512))
    return {
        "one node": effective_bandwidth(node, message_bytes),
        "64 nodes": effective_bandwidth(cluster, message_bytes),
    }


def constant_speed_error(points: Sequence[Point]) -> float:
    """Return the median error of a rule without a model: every system has one share of the peak.

    The share is the median of the calibrating points of the same kind of device, or of all if
    there are none; published and predicted values are of the points to predict.
    """
    shares: dict[str, list[float]] = {}
    for point in points:
        if part(point) == "calibrate":
            shares.setdefault(point.cluster.device.name, []).append(_hardware_share(point))
    everything = [share for found in shares.values() for share in found]
    errors = []
    for point in points:
        if part(point) == "predict":
            known = shares.get(point.cluster.device.name, everything)
            errors.append(abs(statistics.median(known) / _hardware_share(point) - 1))
    return statistics.median(errors)


def _hardware_share(point: Point) -> float:
    """Return the published speed as hardware FLOPs over the peak."""
    strategy = point.strategy
    flops = point.shape.hardware_flops(recomputes=strategy.recompute == "blocks")
    tokens = strategy.rows_per_step * point.shape.context / point.published_seconds()
    return flops * tokens / strategy.devices / point.cluster.device.peak[strategy.precision]

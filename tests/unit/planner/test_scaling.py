"""Scaling: the same training on more nodes, for partition groups and for ZeRO-3."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.planner_cases import DEVICE, SHAPE, SOFTWARE, toy_cluster

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Link
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.scaling import DEFAULT_NODES, Scaling, strong_scaling, weak_scaling
from hunmin.planner.strategy import Strategy

NODES = (1, 2, 4, 8, 16)
STRATEGY = Strategy(Layout(8, 4, 4), micro_batch=2, microsteps=4, recompute="none")


def base(strategy: Strategy = STRATEGY, memory: float = 4e9) -> Prediction:
    device = replace(DEVICE, memory=int(memory))
    cluster = toy_cluster(2, 4, device=device, between=Link(5e9, 20e-6))
    return predict(SHAPE, strategy, cluster, SOFTWARE)


def predictions(scaling: Scaling) -> list[Prediction]:
    found = [point.prediction for series in scaling.series for point in series.points]
    return [one for one in found if one is not None]


def test_weak_scaling_keeps_the_rows_of_each_device() -> None:
    scaling = weak_scaling(base(), NODES)
    assert len(predictions(scaling)) == 2 * len(NODES)
    for one in predictions(scaling):
        assert one.tokens_per_step == one.cluster.devices * 2 * 4 * SHAPE.context
        assert one.strategy.micro_batch == 2
        assert one.strategy.recompute == "none"


def test_strong_scaling_keeps_the_global_batch() -> None:
    best = base()
    scaling = strong_scaling(best, NODES)
    for one in predictions(scaling):
        assert one.tokens_per_step == best.tokens_per_step
    micro = scaling.zero3.each(lambda one: one.strategy.micro_batch)
    steps = scaling.zero3.each(lambda one: one.strategy.microsteps)
    assert list(zip(micro, steps, strict=True)) == [(2, 8), (2, 4), (2, 2), (2, 1), (1, 1)]


def test_strong_scaling_ends_where_ranks_have_no_rows() -> None:
    scaling = strong_scaling(base(), [16, 32])
    for series in scaling.series:
        assert series.points[0].prediction is not None
        assert series.points[1].prediction is None
        assert series.points[1].reason == "64 rows are fewer than 128 data-parallel ranks"
    assert scaling.zero3.tokens_per_second[1] is None
    assert scaling.zero3.efficiency[1] is None


def test_zero3_is_one_flat_group_and_partition_groups_are_the_fastest_that_fit() -> None:
    scaling = weak_scaling(base(), NODES)
    for point in scaling.zero3.points:
        assert point.prediction is not None
        layout = point.prediction.strategy.layout
        assert layout.partition_group == point.devices
        assert not layout.hierarchical
    for ours, theirs in zip(*(series.points for series in scaling.series), strict=True):
        assert ours.prediction is not None
        assert theirs.prediction is not None
        assert ours.prediction.step.seconds <= theirs.prediction.step.seconds


@pytest.mark.parametrize("nodes", [2, 8])
@pytest.mark.parametrize("prefetch", [0, 1])
def test_the_partition_group_is_the_best_of_all_that_fit(nodes: int, prefetch: int) -> None:
    strategy = replace(STRATEGY, prefetch=prefetch)
    best = base(strategy, memory=1.5e9)
    (point,) = weak_scaling(best, [nodes]).partition_groups.points
    assert point.prediction is not None
    cluster = best.cluster.with_nodes(nodes)
    seconds = []
    for group in (1, 2, 4, 8, 16, 32):
        for hierarchical in (False, True):
            if group > cluster.devices or (hierarchical and group <= 4):
                continue
            layout = Layout(cluster.devices, 4, group, hierarchical=hierarchical)
            one = predict(SHAPE, replace(strategy, layout=layout), cluster, SOFTWARE)
            seconds += [one.step.seconds] if one.fits else []
    assert point.prediction.step.seconds == min(seconds)


def test_partition_groups_scale_where_zero3_does_not() -> None:
    scaling = weak_scaling(base(replace(STRATEGY, microsteps=32)), [2, 64])
    _, ours = scaling.partition_groups.efficiency
    _, theirs = scaling.zero3.efficiency
    assert ours is not None
    assert theirs is not None
    assert theirs < 0.6 < 0.9 < ours


def test_efficiency_is_relative_to_the_fewest_nodes_that_fit() -> None:
    needed = base(replace(STRATEGY, layout=Layout(8, 4, 8))).memory.needed
    series = weak_scaling(base(memory=1.01 * needed), NODES).zero3
    assert series.points[0].prediction is None
    assert str(series.points[0].reason).startswith("memory: ")
    assert series.efficiency[:2] == [None, 1.0]
    speeds = [
        one and one / nodes for one, nodes in zip(series.tokens_per_second, NODES, strict=True)
    ]
    assert speeds[1] is not None
    assert speeds[4] is not None
    assert series.efficiency[4] == pytest.approx(speeds[4] / speeds[1])


def test_where_nothing_fits_every_point_says_why() -> None:
    series = weak_scaling(base(memory=0.2e9), NODES).partition_groups
    assert series.efficiency == [None] * len(NODES)
    assert all(str(point.reason).startswith("memory: ") for point in series.points)


def test_operations_count_what_the_model_needs_and_what_is_done_apart() -> None:
    series = weak_scaling(base(replace(STRATEGY, recompute="blocks")), [4]).zero3
    (one,) = predictions(weak_scaling(base(replace(STRATEGY, recompute="blocks")), [4]))[1:]
    assert series.model_tflops == [pytest.approx(one.model_flops / 1e12)]
    assert series.hardware_tflops == [pytest.approx(one.hardware_flops / 1e12)]


def test_a_scaling_is_a_json_value() -> None:
    scaling = strong_scaling(base(), [1, 32])
    read = json.loads(json.dumps(scaling.as_dict(), allow_nan=False))
    assert read["kind"] == "strong"
    assert [series["name"] for series in read["series"]] == ["partition_groups", "zero3"]
    zero3 = read["series"][1]
    assert zero3["nodes"] == [1, 32]
    assert zero3["partition_group"] == [4, None]
    assert zero3["reason"][0] is None


def test_nodes_are_put_in_order_and_reach_into_the_thousands() -> None:
    assert weak_scaling(base(), [4, 1, 4]).zero3.nodes == [1, 4]
    assert DEFAULT_NODES[0] == 1
    assert DEFAULT_NODES[-1] >= 1000


@pytest.mark.parametrize("nodes", [[], [0, 1]])
def test_no_nodes_are_refused(nodes: list[int]) -> None:
    with pytest.raises(InputError, match="no number of nodes"):
        weak_scaling(base(), nodes)


def test_pipelines_are_refused() -> None:
    piped = replace(STRATEGY, layout=Layout(4, 4, 4), pipeline=2)
    with pytest.raises(InputError, match="pipeline is not scaled"):
        strong_scaling(base(piped), NODES)

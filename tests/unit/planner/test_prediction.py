"""A prediction: utilisation, bytes on a node's link, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.planner_cases import SHAPE, SOFTWARE, Case, cases, toy_cluster

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.volume import all_reduce_volume, gather_volume, step_volume
from hunmin.parallel.layout import Layout, possible_groups
from hunmin.planner.memory import memory_use
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.strategy import Recompute, Strategy

few = settings(max_examples=50, deadline=None)
STRATEGY = Strategy(Layout(16, 4, 8, hierarchical=True), micro_batch=2, microsteps=4)


def predicted(strategy: Strategy = STRATEGY) -> Prediction:
    return predict(SHAPE, strategy, toy_cluster(), SOFTWARE)


def test_speed_follows_from_tokens_and_seconds() -> None:
    one = predicted()
    assert one.tokens_per_step == 16 * 2 * 4 * SHAPE.context
    assert one.tokens_per_second == pytest.approx(one.tokens_per_step / one.step.seconds)
    assert one.tokens_per_second_per_device == pytest.approx(one.tokens_per_second / 16)
    assert one.seconds_per_token == pytest.approx(1 / one.tokens_per_second)


def test_utilisation_counts_what_the_model_needs_and_what_is_done_apart() -> None:
    one = predicted()
    speed = one.tokens_per_second_per_device
    assert one.mfu == pytest.approx(speed * SHAPE.train_flops / 100e12)
    assert one.hfu == pytest.approx(speed * SHAPE.hardware_flops(recomputes=True) / 100e12)
    assert 0 < one.mfu < one.hfu < 0.5


@pytest.mark.parametrize(("recompute", "extra"), [("none", 0.0), ("attention", 1.0)])
def test_hardware_operations_are_those_computed_again(recompute: Recompute, extra: float) -> None:
    one = predicted(replace(STRATEGY, recompute=recompute))
    again = extra * SHAPE.layers * SHAPE.attention_flops
    expected = one.model_flops * (1 + again / SHAPE.train_flops)
    assert one.hardware_flops == pytest.approx(expected)


def test_the_peak_is_that_of_the_precision() -> None:
    single = predicted(replace(STRATEGY, precision="fp32"))
    assert single.peak_flops == 20e12
    assert single.mfu == pytest.approx(single.model_flops / 20e12)


def test_bytes_on_a_nodes_link_are_those_that_are_measured() -> None:
    layout = STRATEGY.layout
    weights, outside = SHAPE.parameters * 2, SHAPE.outside_parameters * 2
    expected = step_volume(
        layout, weights, SHAPE.parameters * 4, microsteps=4, gathered_once_bytes=outside
    )
    one = predicted()
    assert one.volume == expected
    assert one.node_link_bytes == expected.total


def test_bytes_follow_their_closed_forms() -> None:
    layout = STRATEGY.layout
    blocks = SHAPE.layers * SHAPE.block_parameters
    crossing = (8 - 4) / 8
    volume = predicted().volume
    assert volume.gather == pytest.approx(
        4 * 2 * (2 * blocks + SHAPE.outside_parameters) * crossing
    )
    assert volume.scatter == pytest.approx(4 * 4 * SHAPE.parameters * crossing)
    # Two copies: min(k, p) 2 (r-1)/r M/p.
    assert volume.all_reduce == pytest.approx(4 * 2 * (1 / 2) * 4 * SHAPE.parameters / 8)
    assert volume.all_reduce == all_reduce_volume(layout, SHAPE.parameters * 4)


def test_parameters_that_stay_gathered_travel_once() -> None:
    kept = predicted(replace(STRATEGY, reshard_after_forward=False))
    expected = 4 * gather_volume(STRATEGY.layout, SHAPE.parameters * 2, hierarchical=True)
    assert kept.volume.gather == pytest.approx(expected)


@given(cases())
@few
def test_hierarchical_and_two_hop_never_send_more(case: Case) -> None:
    def sent(**changes: bool) -> float:
        layout = replace(case.strategy.layout, **changes)
        strategy = replace(case.strategy, layout=layout)
        return predict(case.shape, strategy, case.cluster, case.software).node_link_bytes

    layout = case.strategy.layout
    if layout.spans_nodes and layout.group_ranks_per_node > 1:
        assert sent(hierarchical=True) <= sent(hierarchical=False)
    assert sent(two_hop=True) <= sent(two_hop=False)


@given(cases(), st.integers(2, 3))
@few
def test_tokens_and_bytes_scale_with_microsteps(case: Case, factor: int) -> None:
    longer = replace(case.strategy, microsteps=factor * case.strategy.microsteps)
    less = predict(case.shape, case.strategy, case.cluster, case.software)
    more = predict(case.shape, longer, case.cluster, case.software)
    assert more.tokens_per_step == factor * less.tokens_per_step
    assert more.volume.gather == pytest.approx(factor * less.volume.gather)
    assert more.tokens_per_second >= less.tokens_per_second * (1 - 1e-9)


@given(cases())
@few
def test_a_larger_group_never_needs_more_memory(case: Case) -> None:
    layout = case.strategy.layout
    local = layout.ranks_per_node // layout.tensor
    groups = [size for size in possible_groups(layout.data_ranks, local) if size > 1]
    layouts = [replace(layout, partition_group=size, hierarchical=False) for size in groups]
    needs = [memory_use(SHAPE, replace(case.strategy, layout=one)).total for one in layouts]
    assert needs == sorted(needs, reverse=True)


def test_what_fits_follows_from_the_memory_of_the_device() -> None:
    one = predicted()
    assert one.fits
    tight = replace(one.cluster, device=replace(one.cluster.device, memory=int(one.memory.total)))
    # Fragments need room too.
    assert not predict(SHAPE, STRATEGY, tight, SOFTWARE).fits


def test_a_prediction_is_a_json_value_with_both_utilisations() -> None:
    one = predicted()
    read = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert read["mfu"] == one.mfu
    assert read["hfu"] == one.hfu
    assert read["strategy"]["layout"]["partition_group"] == 8
    assert read["memory"]["total"] == one.memory.total
    assert read["node_link_bytes"]["total"] == one.node_link_bytes
    step = read["step"]
    parts = sum(step["computing"].values()) + sum(step["exposed"].values())
    assert parts + step["optimizer"] + step["bubble"] == pytest.approx(step["seconds"])


@pytest.mark.parametrize("layout", [Layout(8, 4, 8), Layout(16, 8, 8)])
def test_a_strategy_of_another_cluster_is_refused(layout: Layout) -> None:
    with pytest.raises(InputError, match="made for another cluster") as raised:
        predicted(replace(STRATEGY, layout=layout))
    assert raised.value.allowed == "16 ranks, 4 a node"


def test_a_precision_that_the_device_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="no matrix products") as raised:
        predicted(replace(STRATEGY, precision="fp16"))
    assert raised.value.allowed == "bf16, fp32"

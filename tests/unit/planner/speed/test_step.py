"""A step: its parts add up, and what should not make it slower does not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.planner_cases import SHAPE, Case, cases

from hunmin.parallel.collectives.volume import gather_volume
from hunmin.planner.cluster import Link
from hunmin.planner.search.bounds import Bounds, sending_seconds
from hunmin.planner.speed.costs import derive_costs
from hunmin.planner.speed.step import StepTime, step_time
from hunmin.planner.speed.timeline import simulate

few = settings(max_examples=60, deadline=None)
ROUNDING = 1 + 1e-9


def step_of(case: Case) -> StepTime:
    return step_time(case.shape, case.strategy, case.cluster, case.software)


def seconds_of(case: Case) -> float:
    return step_of(case).seconds


def with_strategy(case: Case, **changes: object) -> Case:
    return replace(case, strategy=replace(case.strategy, **changes))  # type: ignore[arg-type]


def with_layout(case: Case, **changes: object) -> Case:
    return with_strategy(case, layout=replace(case.strategy.layout, **changes))  # type: ignore[arg-type]


def with_link(case: Case, name: str, link: Link) -> Case:
    return replace(case, cluster=replace(case.cluster, **{name: link}))


@given(cases())
@few
def test_parts_add_up_to_the_step(case: Case) -> None:
    step = step_of(case)
    parts = sum(step.computing.values()) + step.exposed_seconds + step.optimizer + step.bubble
    assert parts == pytest.approx(step.seconds)


@given(cases(), st.integers(2, 8))
@few
def test_parts_add_up_with_a_pipeline(case: Case, stages: int) -> None:
    step = step_of(with_strategy(case, pipeline=stages))
    parts = sum(step.computing.values()) + step.exposed_seconds + step.optimizer + step.bubble
    assert step.bubble > 0
    assert parts == pytest.approx(step.seconds)


@given(cases())
@few
def test_what_is_sent_is_hidden_or_exposed_and_lasts_as_long_as_it_costs(case: Case) -> None:
    step = step_of(case)
    costs = derive_costs(case.shape, case.strategy, case.cluster, case.software)
    expected = sending_seconds(costs, case.strategy)
    for kind, seconds in expected.items():
        assert step.sending.get(kind, 0.0) == pytest.approx(seconds, abs=1e-12)
        assert step.exposed.get(kind, 0.0) <= seconds * ROUNDING + 1e-12


@given(cases(), st.sampled_from(["within", "between"]), st.sampled_from([2.0, 10.0]))
@few
def test_more_bandwidth_is_never_slower(case: Case, name: str, factor: float) -> None:
    link = getattr(case.cluster, name)
    faster = with_link(case, name, replace(link, bandwidth=link.bandwidth * factor))
    assert seconds_of(faster) <= seconds_of(case) * ROUNDING


@given(cases(), st.sampled_from(["within", "between"]))
@few
def test_less_latency_is_never_slower(case: Case, name: str) -> None:
    link = getattr(case.cluster, name)
    faster = with_link(case, name, replace(link, latency=link.latency / 4))
    assert seconds_of(faster) <= seconds_of(case) * ROUNDING


@given(cases())
@few
def test_two_hops_are_never_slower_than_one(case: Case) -> None:
    two, one = with_layout(case, two_hop=True), with_layout(case, two_hop=False)
    assert seconds_of(two) <= seconds_of(one) * ROUNDING


@given(cases())
@few
def test_gathering_one_block_ahead_is_never_slower_than_none(case: Case) -> None:
    ahead, none = with_strategy(case, prefetch=1), with_strategy(case, prefetch=0)
    assert seconds_of(ahead) <= seconds_of(none) * ROUNDING


@given(cases())
@few
def test_keeping_parameters_gathered_is_never_slower(case: Case) -> None:
    kept, freed = (with_strategy(case, reshard_after_forward=value) for value in (False, True))
    assert seconds_of(kept) <= seconds_of(freed) * ROUNDING


@given(cases())
@few
def test_each_further_microstep_takes_time(case: Case) -> None:
    steps = [seconds_of(with_strategy(case, microsteps=number)) for number in range(1, 7)]
    assert all(more > less for less, more in itertools.pairwise(steps))
    assert steps[5] - steps[4] == pytest.approx(steps[4] - steps[3])


@given(cases())
@few
def test_a_step_put_together_is_the_step_simulated_whole(case: Case) -> None:
    long = with_strategy(case, microsteps=8)
    costs = derive_costs(long.shape, long.strategy, long.cluster, long.software)
    whole = simulate(costs, long.strategy, 8).end + costs.optimizer
    assert seconds_of(long) == pytest.approx(whole, rel=1e-6)


@given(cases())
@few
def test_no_step_is_shorter_than_its_bound(case: Case) -> None:
    least = Bounds(case.shape, case.cluster, case.software).least_seconds(case.strategy)
    assert least <= seconds_of(case) * ROUNDING


@given(cases())
@few
def test_hierarchical_collectives_put_no_more_on_a_nodes_link(case: Case) -> None:
    layout = case.strategy.layout
    flat = gather_volume(layout, 1e9, hierarchical=False)
    assert gather_volume(layout, 1e9, hierarchical=True) <= flat


@given(cases(), st.sampled_from([2, 3]))
@few
def test_longer_rows_and_more_rows_take_longer(case: Case, factor: int) -> None:
    rows = with_strategy(case, micro_batch=case.strategy.micro_batch * factor)
    longer = replace(case, shape=SHAPE.with_context(SHAPE.context * factor))
    assert seconds_of(case) < seconds_of(rows) * ROUNDING
    assert seconds_of(rows) < seconds_of(longer) * ROUNDING

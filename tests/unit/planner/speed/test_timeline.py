"""The time line: each stream does one thing at a time, and nothing is used before it is there."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from tests.support.planner_cases import Case, cases

from hunmin.parallel.layout import Layout
from hunmin.planner.speed.costs import StepCosts, UnitCosts, derive_costs
from hunmin.planner.speed.timeline import OUTSIDE, Event, Timeline, simulate
from hunmin.planner.strategy import Strategy

few = settings(max_examples=60, deadline=None)
BLOCK = UnitCosts(
    forward=1.0,
    backward=2.0,
    tensor_forward=0.0,
    tensor_backward=0.0,
    gather=0.5,
    scatter=0.5,
    all_reduce=0.25,
)
OUTER = UnitCosts(1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.25)
COSTS = StepCosts(blocks=3, block=BLOCK, outside=OUTER, optimizer=0.1, overlap=1.0)
STRATEGY = Strategy(Layout(8, 4, 4), micro_batch=1, microsteps=1)


def line_of(case: Case, microsteps: int = 3) -> Timeline:
    costs = derive_costs(case.shape, case.strategy, case.cluster, case.software)
    return simulate(costs, case.strategy, microsteps)


def on(stream: str, line: Timeline) -> list[Event]:
    return [event for event in line.events if event.stream == stream]


@given(cases())
@few
def test_a_stream_does_one_thing_at_a_time_in_order(case: Case) -> None:
    line = line_of(case)
    for stream in ("compute", "network"):
        events = on(stream, line)
        for before, after in itertools.pairwise(events):
            assert before.end <= after.start + 1e-12
        assert all(event.seconds > 0 for event in events)


@given(cases())
@few
def test_parameters_are_there_before_they_are_used(case: Case) -> None:
    line = line_of(case)
    arrived: dict[tuple[int, int, int], float] = {}
    for gather in (event for event in on("network", line) if event.kind == "gather"):
        first = (gather.microstep, gather.block, 0)
        arrived[first if _is_forward(gather, line) else (*first[:2], 1)] = gather.end
    for event in on("compute", line):
        if event.kind in ("forward", "backward"):
            key = (event.microstep, event.block, int(event.kind == "backward"))
            assert arrived.get(key, 0.0) <= event.start + 1e-12


def _is_forward(gather: Event, line: Timeline) -> bool:
    uses = [
        event
        for event in on("compute", line)
        if (event.kind, event.block, event.microstep) == ("forward", gather.block, gather.microstep)
    ]
    return not uses or gather.end <= uses[0].start + 1e-12


@given(cases())
@few
def test_gradients_leave_after_their_backward_pass(case: Case) -> None:
    line = line_of(case)
    done = {
        (event.microstep, event.block): event.end
        for event in on("compute", line)
        if event.kind == "backward"
    }
    for event in on("network", line):
        if event.kind in ("scatter", "all_reduce") and event.block != OUTSIDE:
            assert done[event.microstep, event.block] <= event.start + 1e-12


@given(cases())
@few
def test_every_block_is_computed_once_forward_and_once_backward(case: Case) -> None:
    line = line_of(case)
    turns = Counter((e.kind, e.block, e.microstep) for e in on("compute", line))
    blocks = case.shape.layers
    passes = {key: n for key, n in turns.items() if key[0] in ("forward", "backward")}
    assert len(passes) == 2 * blocks * 3
    assert set(passes.values()) == {1}


def test_hidden_collectives_cost_only_the_first_gathers_and_the_last_scatters() -> None:
    line = simulate(COSTS, STRATEGY, 1)
    computing = 3 * 1.0 + 1.0 + 3 * 2.0
    # Embeddings and the first block are gathered before; the last block's gradients and those of
    # the embeddings leave afterwards, and are synchronised.
    assert on("compute", line)[-1].end == pytest.approx(0.5 + 0.5 + computing)
    assert line.end == pytest.approx(0.5 + 0.5 + computing + 2 * (0.5 + 0.25))


def test_without_prefetching_every_gather_is_waited_for() -> None:
    line = simulate(COSTS, replace(STRATEGY, prefetch=0), 1)
    # Scatters of the block before are in the way of gathers, and the copies' synchronisation.
    waiting = 0.5 + 3 * 0.5 + 3 * 0.5 + 2 * (0.5 + 0.25)
    assert on("compute", line)[-1].end == pytest.approx(10.0 + waiting)


def test_only_the_last_microstep_synchronises_with_two_hops() -> None:
    def synchronised(*, two_hop: bool) -> list[int]:
        layout = Layout(8, 4, 4, two_hop=two_hop)
        line = simulate(COSTS, replace(STRATEGY, layout=layout), 3)
        return sorted({e.microstep for e in line.events if e.kind == "all_reduce"})

    assert synchronised(two_hop=True) == [2]
    assert synchronised(two_hop=False) == [0, 1, 2]


def test_parameters_that_stay_are_gathered_once() -> None:
    def gathers(*, reshards: bool) -> int:
        line = simulate(COSTS, replace(STRATEGY, reshard_after_forward=reshards), 1)
        return sum(event.kind == "gather" for event in line.events)

    assert gathers(reshards=True) == 1 + 2 * 3
    assert gathers(reshards=False) == 1 + 3


@pytest.mark.parametrize("overlap", [0.9, 0.5, 0.0])
def test_what_does_not_overlap_is_waited_for_and_no_more(overlap: float) -> None:
    line = simulate(replace(COSTS, overlap=overlap), STRATEGY, 1)
    sent = sum(event.seconds for event in on("network", line))
    waited = line.end - 10.0
    assert sent == pytest.approx(0.5 * (1 + 6) + (0.5 + 0.25) * 4)
    assert (1 - overlap) * sent <= waited <= sent
    # Where nothing overlaps, all is waited for.
    assert (waited == pytest.approx(sent)) == (overlap == 0.0)


def test_reductions_may_overlap_less_than_gathers() -> None:
    open_ones = simulate(replace(COSTS, reduction_overlap=0.0), STRATEGY, 1)
    hidden = simulate(COSTS, STRATEGY, 1)
    inside = 2 * (0.5 + 0.25)
    assert open_ones.end == pytest.approx(hidden.end + inside)


def test_computing_beside_a_collective_takes_longer_by_what_they_share() -> None:
    still = simulate(COSTS, STRATEGY, 1)
    slowed = simulate(replace(COSTS, interference=0.2), STRATEGY, 1)
    # Five gathers and two blocks' gradients are hidden; each second of them costs 0.2 / 1.2.
    hidden = 5 * 0.5 + 2 * (0.5 + 0.25)
    assert slowed.end - still.end == pytest.approx(hidden * 0.2 / 1.2)


def test_a_microstep_ends_when_its_gradients_are_reduced() -> None:
    slow = replace(COSTS, block=replace(BLOCK, gather=0.0, all_reduce=5.0))
    layout = Layout(8, 4, 1, two_hop=False)
    line = simulate(slow, replace(STRATEGY, layout=layout), 4)
    spans = [after - before for before, after in itertools.pairwise(line.boundaries)]
    # Nothing is gathered that would wait for the network: without the wait it fell behind.
    assert spans == pytest.approx([line.boundaries[0]] * 3)


def test_boundaries_are_the_ends_of_microsteps() -> None:
    line = simulate(COSTS, STRATEGY, 3)
    assert len(line.boundaries) == 3
    assert line.boundaries == sorted(line.boundaries)
    ends = [max(e.end for e in line.events if e.microstep == n) for n in range(3)]
    assert line.boundaries == pytest.approx(ends)

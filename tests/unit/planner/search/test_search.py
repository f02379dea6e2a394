"""The search: as good as trying everything, and its reasons are those of the time line."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from tests.support.planner_cases import DEVICE, SHAPE, SOFTWARE, Case, cases, toy_cluster

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.planner.cluster import Link
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.search.candidates import Fixed, Request, default_batch_tokens, list_strategies
from hunmin.planner.search.reasons import explain_loss, step_parts
from hunmin.planner.search.search import DIMENSIONS, Loser, SearchResult, search, values_of
from hunmin.planner.shape import gpt2_shape

few = settings(max_examples=50, deadline=None)
ROW = SHAPE.context
BATCH = 64 * ROW


def request(
    *,
    nodes: int = 2,
    memory: float = 1.5e9,
    between: float = 10e9,
    tokens: int | None = BATCH,
    fixed: Fixed | None = None,
) -> Request:
    device = replace(DEVICE, memory=int(memory))
    cluster = toy_cluster(nodes, 4, device=device, between=Link(between, 20e-6))
    return Request(SHAPE, cluster, SOFTWARE, tokens, fixed=fixed or Fixed())


ROOMY = request(memory=40e9)
TIGHT = request(memory=0.8e9)
SLOW = request(memory=1.3e9, between=0.5e9, tokens=8 * BATCH)
UNEVEN = request(nodes=3, tokens=50 * ROW)
WISHES = {id(wish): wish for wish in (ROOMY, TIGHT, SLOW, UNEVEN)}


@cache
def _tried(identity: int) -> list[Prediction]:
    wish = WISHES[identity]
    return [
        predict(wish.shape, strategy, wish.cluster, wish.software)
        for strategy in list_strategies(wish)
    ]


def tried(wish: Request) -> list[Prediction]:
    """Predict every strategy of a request."""
    return _tried(id(wish))


@cache
def _found(identity: int) -> SearchResult:
    return search(WISHES[identity])


def found(wish: Request) -> SearchResult:
    """Search once for each request."""
    return _found(id(wish))


def misses(wish: Request, one: Prediction) -> bool:
    return abs(one.strategy.rows_per_step - wish.rows) > 0.1 * wish.rows


def loser(result: SearchResult, dimension: str, value: object) -> Loser:
    return next(one for one in result.losers if (one.dimension, one.value) == (dimension, value))


requests = pytest.mark.parametrize(
    "wish", [ROOMY, TIGHT, SLOW, UNEVEN], ids=["roomy", "tight", "slow", "uneven"]
)


@requests
def test_the_best_is_about_as_fast_as_the_fastest_of_all(wish: Request) -> None:
    result = found(wish)
    fitting = [one for one in tried(wish) if one.fits]
    ranks = [(misses(wish, one), one.seconds_per_token) for one in fitting]
    missed, seconds = min(ranks)
    assert result.best.fits
    assert misses(wish, result.best) == missed
    assert result.best.seconds_per_token <= 1.01 * seconds
    assert (result.strategies, result.fitting) == (len(tried(wish)), len(fitting))


@requests
def test_of_equally_fast_strategies_the_simplest_is_taken(wish: Request) -> None:
    def complexity(one: Prediction) -> tuple[float, ...]:
        layout = one.strategy.layout
        return (
            abs(one.strategy.rows_per_step - wish.rows),
            layout.tensor,
            layout.hierarchical,
            not layout.two_hop,
            layout.partition_group,
            one.memory.total,
        )

    fitting = [one for one in tried(wish) if one.fits]
    missed, seconds = min((misses(wish, one), one.seconds_per_token) for one in fitting)
    near = [
        one
        for one in fitting
        if misses(wish, one) == missed and one.seconds_per_token <= 1.01 * seconds
    ]
    assert complexity(found(wish).best) == min(map(complexity, near))


@requests
def test_every_other_value_has_its_best_strategy_among_the_losers(wish: Request) -> None:
    result = found(wish)
    values = {value for one in tried(wish) for value in values_of(one.strategy)}
    expected = values - set(values_of(result.best.strategy))
    assert {(one.dimension, one.value) for one in result.losers} == expected
    for one in result.losers:
        having = [p for p in tried(wish) if (one.dimension, one.value) in values_of(p.strategy)]
        fitting = [p for p in having if p.fits]
        assert one.prediction.fits == bool(fitting)
        if fitting:
            best = min((misses(wish, p), p.seconds_per_token) for p in fitting)
            ours = misses(wish, one.prediction), one.prediction.seconds_per_token
            assert ours == pytest.approx(best)


def test_few_time_lines_are_drawn() -> None:
    large = gpt2_shape("13b", layers=40, width=5120, heads=40, vocab_size=50_257, context=2048)
    cluster = toy_cluster(32, 8, device=replace(DEVICE, memory=40 * 10**9))
    result = search(Request(large, cluster, SOFTWARE))
    assert result.fitting > 200
    assert result.simulated < result.fitting / 3


@requests
def test_the_best_of_each_group_and_zero3_are_reported(wish: Request) -> None:
    result = found(wish)
    groups = {one.strategy.layout.partition_group for one in tried(wish) if one.fits}
    assert set(result.by_group) == groups
    assert result.by_group[result.best.strategy.layout.partition_group] == result.best
    assert result.zero3 is not None
    layout = result.zero3.strategy.layout
    assert (layout.partition_group, layout.tensor) == (wish.cluster.devices, 1)
    assert not layout.hierarchical


def test_zero3_is_reported_where_another_group_is_fixed() -> None:
    result = search(request(fixed=Fixed(partition_group=4, tensor=1)))
    assert set(result.by_group) == {4}
    assert result.zero3 is not None
    assert result.zero3.strategy.layout.partition_group == 8


@pytest.mark.parametrize(
    "fixed",
    [
        Fixed(partition_group=4),
        Fixed(partition_group="world"),
        Fixed(tensor=2),
        Fixed(micro_batch=2),
        Fixed(recompute="attention"),
        Fixed(hierarchical=True, partition_group="world"),
        Fixed(two_hop=False, partition_group=2),
        Fixed(reshard_after_forward=False),
    ],
)
def test_what_is_fixed_stays(fixed: Fixed) -> None:
    best = search(request(memory=4e9, fixed=fixed)).best.strategy
    group = best.layout.data_ranks if fixed.partition_group == "world" else fixed.partition_group
    values = {**dict(values_of(best)), "pipeline": best.pipeline}
    wished = {**vars(fixed), "partition_group": group}
    assert {name: values[name] for name, value in wished.items() if value is not None} == {
        name: value for name, value in wished.items() if value is not None
    }


# -- why the others lose -------------------------------------------------------------------------


@given(cases())
@few
def test_the_parts_that_are_compared_add_up_to_a_token(case: Case) -> None:
    one = predict(case.shape, case.strategy, case.cluster, case.software)
    assert sum(step_parts(one).values()) == pytest.approx(one.seconds_per_token)


def test_what_does_not_fit_says_what_fills_the_memory() -> None:
    result = found(TIGHT)
    reasons = [one.reason for one in result.losers if not one.prediction.fits]
    assert reasons
    assert all(reason.startswith("memory: ") for reason in reasons)
    rows = max(one.value for one in result.losers if one.dimension == "micro_batch")
    largest = loser(result, "micro_batch", rows)
    needed = format_bytes(largest.prediction.memory.needed)
    assert largest.reason.startswith(f"memory: {needed} of 800 MB, ")
    assert largest.reason.endswith("of it activations")


def test_recomputing_is_named_with_what_it_costs() -> None:
    reason = loser(found(ROOMY), "recompute", "blocks").reason
    assert reason.startswith("recomputes blocks: +")
    share = float(reason.split("+")[1].split("%")[0]) / 100
    best, other = found(ROOMY).best, loser(found(ROOMY), "recompute", "blocks").prediction
    again = step_parts(other)["recomputing"] / best.seconds_per_token
    assert share == pytest.approx(again, abs=0.006)


def test_slow_links_are_named_with_how_far_they_reach() -> None:
    result = found(SLOW)
    assert not result.best.strategy.layout.spans_nodes
    reason = loser(result, "partition_group", 8).reason
    assert reason.startswith("exposed communication: +")
    assert "scatters over 2 nodes +" in reason
    synchronising = loser(result, "two_hop", False).reason
    assert synchronising.endswith("all-reduces between 2 copies in every microstep")


def test_tensor_ranks_wait_for_each_other() -> None:
    cluster = replace(ROOMY.cluster, within=Link(5e9, 5e-6))
    reason = loser(search(replace(ROOMY, cluster=cluster)), "tensor", 4).reason
    assert "waits for tensor all-reduces of 4 devices: +" in reason


def test_equally_fast_strategies_say_what_makes_them_worse() -> None:
    best = found(SLOW).best
    assert best.strategy.layout.partition_group == 4
    layout = replace(best.strategy.layout, partition_group=8)
    larger = replace(best, strategy=replace(best.strategy, layout=layout))
    assert explain_loss(larger, best) == "equally fast, but groups of 8 where 4 do"
    heavy = replace(best, memory=replace(best.memory, activations=0.66e9))
    assert heavy.fits
    assert explain_loss(heavy, best).startswith("equally fast, but needs ")


def test_a_missed_batch_is_a_reason() -> None:
    best = found(ROOMY).best
    reason = explain_loss(best, best, misses_batch=True)
    assert reason.startswith("global batch: 64 rows")


def test_what_else_differs_is_told() -> None:
    result = found(TIGHT)
    own = dict(values_of(result.best.strategy))
    for one in result.losers:
        values = dict(values_of(one.prediction.strategy))
        differing = {name: value for name, value in values.items() if value != own[name]}
        assert {**one.also, one.dimension: one.value} == differing


# -- the request ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "tokens"),
    [(50e6, 0.5e6), (125e6, 0.5e6), (1.3e9, 1e6), (7e9, 2e6), (175e9, 3.2e6), (1e12, 3.2e6)],
)
def test_the_default_batch_is_that_of_gpt3(parameters: float, tokens: float) -> None:
    assert default_batch_tokens(parameters) == tokens


def test_the_default_batch_divides_among_the_devices() -> None:
    wish = request(nodes=3, tokens=None)
    result = search(wish)
    assert wish.rows % wish.cluster.devices == 0
    assert result.best.strategy.rows_per_step == wish.rows
    assert 0.5e6 / 1.5 < result.best.tokens_per_step < 0.5e6 * 1.5
    assert "GPT-3" in result.notes[0]


def test_a_batch_that_does_not_divide_is_rounded_and_said() -> None:
    result = found(UNEVEN)
    rows = result.best.strategy.rows_per_step
    assert rows == 48
    expected = f"global batch: {48 * ROW:,} tokens instead of {50 * ROW:,}"
    assert result.notes[0].startswith(expected)
    assert found(ROOMY).notes == ()


def test_each_layout_takes_the_nearest_batch_that_it_can() -> None:
    for one in tried(UNEVEN):
        each = one.strategy.layout.data_ranks * one.strategy.micro_batch
        assert abs(one.strategy.rows_per_step - 50) <= max(each / 2, each - 50)


def test_the_precision_is_the_best_of_the_device() -> None:
    assert found(ROOMY).best.strategy.precision == "bf16"
    old = replace(DEVICE, memory=int(4e9), peak={"fp16": 50e12, "fp32": 10e12})
    wish = replace(ROOMY, cluster=toy_cluster(2, 4, device=old))
    assert search(wish).best.strategy.precision == "fp16"


def test_a_result_is_a_json_value() -> None:
    result = found(TIGHT)
    read = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert read["best"]["mfu"] == result.best.mfu
    assert set(read["by_group"]) == {str(group) for group in result.by_group}
    assert [one["reason"] for one in read["losers"]] == [one.reason for one in result.losers]
    assert {one["dimension"] for one in read["losers"]} <= set(DIMENSIONS)


# -- bad input -----------------------------------------------------------------------------------


def test_a_model_that_does_not_fit_is_answered_with_what_would_hold_it() -> None:
    with pytest.raises(InputError, match="toy-50m does not fit 8 x 300 MB") as raised:
        search(request(memory=0.3e9))
    assert "at the least" in str(raised.value.given)
    assert "devices of" in str(raised.value.hint)


def test_what_is_named_as_fitting_fits() -> None:
    fixed = Fixed(partition_group=1, tensor=1)
    tight = request(memory=1.1e9, fixed=fixed)
    with pytest.raises(InputError, match="does not fit") as raised:
        search(tight)
    assert "a partition group of at least" in str(raised.value.hint)
    assert search(replace(tight, fixed=Fixed(tensor=1))).best.fits


def test_parameters_that_cannot_stay_gathered_are_to_be_freed() -> None:
    kept = Fixed(reshard_after_forward=False, tensor=1, partition_group="world", micro_batch=1)
    sizes = [
        predict(SHAPE, s, ROOMY.cluster, SOFTWARE).memory.needed
        for s in (
            next(
                iter(
                    list_strategies(
                        replace(
                            ROOMY,
                            fixed=replace(kept, recompute="blocks", reshard_after_forward=frees),
                        )
                    )
                )
            )
            for frees in (True, False)
        )
    ]
    assert sizes[0] < sizes[1]
    with pytest.raises(InputError, match="does not fit") as raised:
        search(request(memory=sum(sizes) / 2, fixed=kept))
    assert "reshard_after_forward" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("fixed", "where", "allowed"),
    [
        (Fixed(partition_group=3), "partition_group", "1, 2, 4, 8"),
        (Fixed(tensor=3), "tensor", "1, 2, 4"),
        (Fixed(tensor=8), "tensor", "1, 2, 4"),
        (Fixed(partition_group=8, tensor=2), "partition_group", "1, 2, 4"),
    ],
)
def test_a_layout_that_the_cluster_does_not_have_is_refused(
    fixed: Fixed, where: str, allowed: str
) -> None:
    with pytest.raises(InputError) as raised:
        search(request(fixed=fixed))
    assert raised.value.where == where
    assert raised.value.allowed == allowed


def test_a_request_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="smaller than one row"):
        request(tokens=ROW - 1)
    with pytest.raises(InputError, match="at least one row"):
        request(fixed=Fixed(micro_batch=0))
    with pytest.raises(InputError, match="no matrix products") as raised:
        replace(ROOMY, precision="fp16")
    assert raised.value.allowed == "bf16, fp32"

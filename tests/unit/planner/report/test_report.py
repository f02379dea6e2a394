"""A plan for people: every part is there, adds up, and means what the numbers mean."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hunmin.parallel.layout import Layout
from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.catalogue.models import find_model
from hunmin.planner.catalogue.software import find_software
from hunmin.planner.plan import SHOWN_TOKENS, Plan, make_plan
from hunmin.planner.prediction import predict
from hunmin.planner.report import accuracy
from hunmin.planner.report.accuracy import Accuracy
from hunmin.planner.report.report import (
    describe_difference,
    headline,
    markdown_lines,
    plan_sections,
    terminal_lines,
)
from hunmin.planner.run.run import RunWishes
from hunmin.planner.search.candidates import Fixed, Request
from hunmin.planner.search.search import DIMENSIONS, Loser

TOKENS = 26_000_000_000


def planned(tokens: int | None = TOKENS, *, fixed: Fixed | None = None, **wishes: float) -> Plan:
    request = Request(
        find_model("gpt3-1.3b"),
        find_cluster("p4d:4"),
        find_software("hunmin"),
        fixed=fixed or Fixed(),
    )
    return make_plan(request, RunWishes(tokens or SHOWN_TOKENS, **wishes), tokens=tokens)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(price=32.77, storage_bandwidth=2e9)


def rows(plan: Plan) -> dict[str, str]:
    return {label.strip(): text for each in plan_sections(plan) for label, text in each.rows}


def shares(plan: Plan) -> list[float]:
    """The shares of a step in its lines."""
    lines = [text for label, text in dict_of("Speed", plan).items() if label.startswith("  ")]
    return [float(match[1]) for match in map(re.compile(r"\(([\d.]+)%\)").search, lines) if match]


def dict_of(title: str, plan: Plan) -> dict[str, str]:
    return next(dict(each.rows) for each in plan_sections(plan) if each.title == title)


def test_the_headline_names_model_and_cluster(plan: Plan) -> None:
    assert headline(plan).startswith(
        "gpt3-1.3b, 1.32B parameters, rows of 2,048 tokens, on 4 nodes"
    )
    assert "32 x NVIDIA A100" in headline(plan)


def test_the_parts_of_a_step_add_up(plan: Plan) -> None:
    assert sum(shares(plan)) == pytest.approx(100, abs=0.4)


def test_mfu_and_hfu_are_told_apart() -> None:
    without = rows(planned(fixed=Fixed(recompute="none")))
    assert "nothing is recomputed" in without["hardware FLOPs"]
    again = planned(fixed=Fixed(recompute="blocks"))
    assert "what is recomputed counts" in rows(again)["hardware FLOPs"]
    mfu, hfu = (
        float(re.search(r"([\d.]+)%", rows(again)[name])[1])  # type: ignore[index]
        for name in ("model FLOPs", "hardware FLOPs")
    )
    assert 1.2 < hfu / mfu <= 4 / 3 + 0.01


def test_money_needs_a_price_and_checkpoints_a_storage(plan: Plan) -> None:
    assert "at 32.77 a node and hour" in rows(plan)["cost"]
    assert "written in" in rows(plan)["checkpoint"]
    assert "goodput" in rows(plan)["with failures"]
    without = planned()
    assert "cost" not in rows(without)
    assert "--storage" in rows(without)["checkpoint"]
    assert "with failures" not in rows(without)


def test_a_run_without_tokens_is_told_of_a_hundred_billion() -> None:
    without = planned(None)
    assert "100B tokens" in rows(without)
    assert "duration" not in "\n".join(without.recipe)
    assert any("--tokens says how long" in line for line in terminal_lines(without))


def test_rivals_are_different_fit_and_come_fastest_first(plan: Plan) -> None:
    rivals = plan.rivals()
    assert rivals
    strategies = [rival.prediction.strategy for rival in rivals]
    assert len(set(strategies)) == len(strategies)
    assert plan.best.strategy not in strategies
    assert all(rival.prediction.fits for rival in rivals)
    seconds = [rival.prediction.seconds_per_token for rival in rivals]
    assert seconds == sorted(seconds)
    assert max(sum(r.dimension == name for r in rivals) for name in DIMENSIONS) <= 2


def test_zero3_is_compared_unless_it_is_the_best(plan: Plan) -> None:
    assert any("ZeRO-3: groups of 32" in line for line in terminal_lines(plan))
    world = planned(fixed=Fixed(partition_group="world", tensor=1, hierarchical=False))
    assert world.zero3_loss is None
    assert not any("ZeRO-3" in line for line in terminal_lines(world))


def test_a_difference_says_all_that_differs_and_nothing_without_meaning(plan: Plan) -> None:
    best = plan.best
    strategy = replace(best.strategy, layout=Layout(32, 8, 1), reshard_after_forward=False)
    other = predict(best.shape, strategy, best.cluster, best.software)
    text = describe_difference(Loser("partition_group", 1, other, "", {}), best)
    assert text == "groups of 1", "alone there is nothing to gather, and no stages"
    strategy = replace(
        best.strategy, layout=Layout(32, 8, 16, 2, True), micro_batch=1, microsteps=2
    )
    other = predict(best.shape, strategy, best.cluster, best.software)
    text = describe_difference(Loser("tensor", 2, other, "", {}), best)
    assert text.startswith("tensor 2, groups of 16, 1 row at a time")
    assert "in two stages" in text
    text = describe_difference(Loser("tensor", 1, plan.best, "", {}), other)
    assert "in one ring" not in text, "a group within a node has no ring over nodes"


def test_explaining_says_more(plan: Plan) -> None:
    short, long = (terminal_lines(plan, explain=explain) for explain in (False, True))
    assert len(long) > len(short)
    assert any("network meanwhile" in line for line in long)
    assert sum("no room" in line for line in long) == sum(
        not loser.prediction.fits for loser in plan.result.losers
    )


def test_markdown_has_every_table_and_picture(plan: Plan) -> None:
    text = "\n".join(markdown_lines(plan, "hunmin plan gpt3-1.3b --cluster p4d:4"))
    for each in plan_sections(plan):
        assert f"## {each.title}" in text
    for loser in plan.result.losers:
        assert loser.reason in text
    assert text.count("```") == 4
    assert "\n".join(plan.recipe) in text


def test_accuracy_is_said_where_it_is_known(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "MEASURED", None)
    assert any("not been compared" in line for line in terminal_lines(plan))
    assert plan.as_dict()["accuracy"]["measured"] is None
    known = Accuracy(points=80, median=0.07, nine_tenths=0.21, where="benchmarks/x.md")
    monkeypatch.setattr(accuracy, "MEASURED", known)
    text = " ".join(terminal_lines(plan))
    assert "80 runs differ by 7% in the median and by at most 21% in nine tenths" in text
    assert plan.as_dict()["accuracy"]["measured"]["points"] == 80

"""Published runs beside predictions: the errors that the documentation states are held here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.catalogue.models import find_model
from hunmin.planner.catalogue.software import find_software
from hunmin.planner.report import accuracy
from hunmin.planner.search.candidates import Request
from hunmin.planner.search.search import search

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def validate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        if not import_module("planner_validation.points").CSV.is_file():
            pytest.skip("no table of published results here")
        yield import_module("planner_validation.validate")
    finally:
        sys.path.remove(str(REPOSITORY / "benchmarks"))


@pytest.fixture(scope="module")
def predictions(validate: ModuleType) -> list[Any]:
    return list(validate.all_predictions())


@pytest.fixture(scope="module")
def points(predictions: list[Any]) -> list[Any]:
    return [each.point for each in predictions]


def test_the_goal_is_met_on_runs_that_calibrated_nothing(
    validate: ModuleType, predictions: list[Any]
) -> None:
    chosen = validate.of_goal(predictions)
    errors = validate.Errors.of(chosen)
    assert errors.count == len(chosen) >= 50
    assert errors.median <= 0.10
    assert errors.nine_tenths <= 0.25


def test_every_group_alone_is_within_its_stated_error(
    validate: ModuleType, predictions: list[Any]
) -> None:
    largest = {
        "MiCS": 0.15,
        "SageMaker": 0.25,
        "ZeRO-3 against bandwidth": 0.25,
        "llm-foundry A100": 0.25,
        "Megatron A100": 0.10,
        "FSDP paper": 0.10,
        "IBM/Meta FSDP": 0.26,
    }
    for group, limit in largest.items():
        own = [p for p in predictions if p.point.group == group]
        assert validate.Errors.of(own).largest <= limit, group


def test_what_plans_say_about_their_accuracy_is_what_was_measured(
    validate: ModuleType, predictions: list[Any]
) -> None:
    errors = validate.Errors.of(validate.of_goal(predictions))
    assert accuracy.MEASURED is not None
    assert accuracy.MEASURED.points == errors.count
    assert accuracy.MEASURED.median == pytest.approx(errors.median, abs=0.005)
    assert accuracy.MEASURED.nine_tenths == pytest.approx(errors.nine_tenths, abs=0.005)


def test_the_headline_curves_come_out_of_the_model(points: list[Any]) -> None:
    curves = import_module("planner_validation.curves").headline_curves(points)
    mics, zero = curves["MiCS"], curves["ZeRO-3"]
    assert mics.efficiency(512) >= 0.99
    assert zero.efficiency(512) == pytest.approx(0.72, abs=0.08)
    assert zero.values[2] == pytest.approx(62, rel=0.12)
    assert all(many < few for few, many in pairwise(zero.values))
    assert mics.values[2] / zero.values[2] > 2


def test_smaller_partition_groups_are_faster_and_the_smallest_that_fits_is_the_published_one(
    points: list[Any],
) -> None:
    ranking = import_module("planner_validation.curves").group_ranking(points)
    # Within a node they hardly differ, and the update is shorter in the larger one.
    speeds = [row["tflops"] for row in ranking if row["group"] >= 8]
    assert len(speeds) == 7
    assert speeds == sorted(speeds, reverse=True)
    assert next(row["group"] for row in ranking if row["fits"]) == 128


def test_the_model_is_better_than_one_share_of_the_peak(
    validate: ModuleType, predictions: list[Any], points: list[Any]
) -> None:
    predicted = [p for p in predictions if validate.part(p.point) == "predict"]
    simple = import_module("planner_validation.curves").constant_speed_error(points)
    assert validate.Errors.of(predicted).median < simple / 2


def test_the_catalogue_has_the_constants_that_fit_best(points: list[Any]) -> None:
    calibrate = import_module("planner_validation.calibrate")
    chosen = [p for p in points if calibrate.part(p) == "calibrate"]
    kept = calibrate.np.array(calibrate.catalogue_values())
    low, high = (
        calibrate.np.array([getattr(c, side) for c in calibrate.CONSTANTS])
        for side in ("low", "high")
    )
    now = calibrate.residuals(chosen, list(kept))
    _, better = calibrate.gauss_newton(
        lambda values: calibrate.residuals(chosen, list(values)), kept, low, high, steps=1
    )
    assert better > 0.99 * float(now @ now)


def test_the_plan_of_the_published_175b_run_is_as_fast_as_that_run() -> None:
    """MiCS: 169 TFLOPS a GPU on 16 nodes of p4de, hardware FLOPs."""
    request = Request(find_model("gpt3-175b"), find_cluster("p4de:16"), find_software("hunmin"))
    best = search(request).best
    assert accuracy.MEASURED is not None
    assert best.hardware_flops / 1e12 == pytest.approx(169, rel=accuracy.MEASURED.nine_tenths)
    assert best.mfu < best.hfu

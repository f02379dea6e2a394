"""The published points: every row of the table has a place, and every point says what was run."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hunmin.core.errors import InputError
from hunmin.planner.shape import gpt2_shape

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def validation() -> Iterator[ModuleType]:
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    yield import_module("planner_validation.points")
    sys.path.remove(str(REPOSITORY / "benchmarks"))


@pytest.fixture(scope="module")
def table(validation: ModuleType) -> Path:
    path: Path = validation.CSV
    if not path.is_file():
        pytest.skip(f"no table of published results at {path}")
    return path


@pytest.fixture(scope="module")
def points(validation: ModuleType, table: Path) -> list[Any]:
    return list(validation.load_points(table))


def find(points: list[Any], label: str) -> Any:
    (found,) = (point for point in points if point.label == label)
    return found


def test_every_row_makes_points_belongs_to_one_or_is_skipped_for_a_reason(
    validation: ModuleType, table: Path
) -> None:
    entries = validation.outcomes(table)
    assert len(entries) > 300
    for entry in entries:
        fates = [bool(entry.points), bool(entry.part_of), bool(entry.skipped)]
        assert sum(fates) == 1, entry.row


def test_no_pattern_is_there_for_nothing(validation: ModuleType, table: Path) -> None:
    entries = validation.outcomes(table)
    rows = import_module("planner_validation.rows")
    for name in ("parts", "skipped"):
        for pattern in rows.assumptions()[name]:
            assert any(entry.row.matches(pattern) for entry in entries), pattern
    used = {text for entry in entries for point in entry.points for text in point.assumptions}
    elsewhere = {text for point in validation.load_points(table) for text in point.assumptions}
    assert set(rows.assumptions()["texts"].values()) == used | elsewhere


def test_a_row_of_an_unknown_source_is_refused(validation: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    columns = "source,system,model,metric,value"
    path.write_text(f"{columns}\nsomebody,anything,GPT,tflops_per_gpu,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        validation.load_points(path)


def test_groups_have_the_points_that_were_published(points: list[Any]) -> None:
    counts = Counter(point.group for point in points)
    assert counts["ZeRO-3 against bandwidth"] == 20
    assert counts["MiCS"] == 5
    assert counts["Megatron A100"] == 5
    assert counts["llm-foundry A100"] == 50
    assert counts["BloombergGPT"] == 1
    assert len({(point.group, point.label) for point in points}) == len(points)


def test_strategies_use_all_devices_of_their_clusters(points: list[Any]) -> None:
    for point in points:
        assert point.strategy.devices == point.cluster.devices, point.label
        assert point.strategy.layout.ranks_per_node == point.cluster.devices_per_node


def test_batches_are_the_published_ones(validation: ModuleType, table: Path) -> None:
    checked = 0
    for entry in validation.outcomes(table):
        batch = entry.row["global_batch"]
        for point in entry.points:
            if batch.isdigit():
                assert point.strategy.rows_per_step == int(batch), point.label
                checked += 1
    assert checked > 90


def test_sizes_are_the_published_ones(validation: ModuleType, table: Path) -> None:
    for entry in validation.outcomes(table):
        for point in entry.points:
            size = float(entry.row["params_b"] or 0) * 1e9
            if size:
                # MPT sizes are given to three places, others are names: 18B, 100B, InternLM-7B
                tolerance = 0.003 if point.group.startswith("llm-foundry") else 0.05
                assert point.shape.parameters == pytest.approx(size, rel=tolerance), point.label


def test_conversion_gives_the_published_step_times(points: list[Any]) -> None:
    """Korthikanti et al., table 5, state both: seconds of an iteration and MFU."""
    times = {"22B, 8": 1.10, "175B, 64": 13.75, "530B, 280": 37.83, "1T, 512": 71.49}
    for name, seconds in times.items():
        point = find(points, f"{name} A100-80GB")
        assert point.published_seconds() == pytest.approx(seconds, rel=0.005)
        assert point.predicted_value(seconds) == pytest.approx(point.value, rel=0.005)


def test_conversion_gives_the_published_rates_of_llm_foundry(points: list[Any]) -> None:
    """Its table states MFU and tokens a second and GPU: 376 for 48.91 %, 4,641 for 64.23 %."""
    for label, tokens in (
        ("MPT-70b, 128 A100-40GB, 4 rows", 376),
        ("MPT-7b, 8 A100-80GB, 6 rows", 4641),
        ("MPT-70b, 512 H100-80GB, 8 rows", 1007),
    ):
        point = find(points, label)
        rows = point.strategy.rows_per_step / point.cluster.devices
        rate = rows * point.shape.context / point.published_seconds()
        assert rate == pytest.approx(tokens, rel=0.003)


def test_bloomberg_counts_eight_operations_for_each_parameter(points: list[Any]) -> None:
    point = find(points, "50.6B MiCS, 512 p4d GPUs")
    tflops = dataclasses.replace(point, metric="tflops_per_gpu")
    assert tflops.predicted_value(32.5) == pytest.approx(102, rel=0.005)
    samples = dataclasses.replace(point, metric="samples_per_s")
    assert samples.predicted_value(32.5) == pytest.approx(2048 / 32.5)


def test_conventions_are_the_published_formulas(points: list[Any]) -> None:
    conventions = import_module("planner_validation.conventions")
    shape = find(points, "175B, 64 A100-80GB").shape
    layers, width, context, words = shape.layers, shape.width, shape.context, shape.vocab_size
    bracket = 1 + context / (6 * width) + words / (16 * layers * width)
    hardware = 96 * layers * width**2 * bracket
    assert conventions.MEGATRON_HARDWARE.flops(shape, "blocks") == pytest.approx(hardware)
    bracket = 1 + context / (6 * width) + words / (12 * layers * width)
    model = 72 * layers * width**2 * bracket
    for recompute in ("none", "attention"):
        assert conventions.MEGATRON_HARDWARE.flops(shape, recompute) == pytest.approx(model)
    assert conventions.SIX_N.flops(shape, "blocks") == 6 * shape.parameters


def test_derived_values_follow_from_the_published_ones(points: list[Any]) -> None:
    for system, efficiency in (("MiCS", 0.994), ("ZeRO-3", 0.72)):
        small, large = (find(points, f"100B {system}, {gpus} p4d GPUs") for gpus in (128, 512))
        assert large.value / small.value == pytest.approx(efficiency)
    mics, zero = (find(points, f"30B {system}, 256 p4d GPUs") for system in ("MiCS", "ZeRO-3"))
    assert mics.value / zero.value == pytest.approx(1.397)


def test_settings_of_llm_foundry_are_the_published_ones(points: list[Any]) -> None:
    pure = find(points, "MPT-13b, 128 A100-40GB, 16 rows").strategy
    assert (pure.recompute, pure.reduce_bytes, pure.reshard_after_forward) == ("blocks", 2, True)
    default = find(points, "MPT-7b, 8 A100-80GB, 6 rows").strategy
    assert (default.recompute, default.reduce_bytes, default.microsteps) == ("none", 4, 2)
    large = find(points, "MPT-70b, 64 A100-80GB, 8 rows").strategy
    assert (large.recompute, large.reduce_bytes) == ("blocks", 2)
    kept = find(points, "MPT-3b, 512 H100-80GB, 8 rows").strategy
    assert (kept.reduce_bytes, kept.reshard_after_forward) == (4, False)


def test_tokens_a_gpu_are_the_published_ones(points: list[Any]) -> None:
    for point in points:
        if point.group == "ZeRO-3 against bandwidth":
            tokens = point.strategy.rows_per_step * point.shape.context // point.cluster.devices
            assert f"{tokens // 1024}K tokens" in point.label
            assert point.strategy.precision == "fp16"


def test_stages_hold_whole_layers(points: list[Any]) -> None:
    for point in points:
        stages = point.strategy.pipeline * point.strategy.interleaved
        assert point.shape.layers % stages == 0, point.label
    assert find(points, "462B, 6144 H100-80GB").strategy.interleaved == 7


def test_the_headline_results_are_predicted(validation: ModuleType, points: list[Any]) -> None:
    headlines = [point for point in points if point.group in ("MiCS", "Megatron A100")]
    assert {validation.part(point) for point in headlines} == {"predict"}
    assert {point.value for point in points if point.group == "MiCS"} >= {169, 170, 62}
    calibrating = [
        point.label
        for point in points
        if validation.part(point) == "calibrate" and point.group in ("BloombergGPT", "SageMaker")
    ]
    assert calibrating == ["30B ZeRO-3, 256 p4d GPUs"]


def test_each_device_and_network_has_points_to_calibrate(
    validation: ModuleType, points: list[Any]
) -> None:
    known = {
        point.cluster_name.split(":")[0]
        for point in points
        if validation.part(point) == "calibrate"
    }
    assert known == {"dgx-2", "p4d", "a100-40gb-roce", "a100-80gb-roce", "h100-roce"}
    goals = [point for point in points if validation.goal_group(point)]
    predicted = [point for point in goals if validation.part(point) == "predict"]
    assert len(predicted) > len(goals) / 2


def test_mics_groups_follow_the_memory_rule(points: list[Any]) -> None:
    groups = {
        label: find(points, label).strategy.layout.partition_group
        for label in (
            "100B MiCS, 512 p4d GPUs",
            "100B ZeRO-3, 512 p4d GPUs",
            "175B MiCS, 128 p4de GPUs",
            "30B MiCS, 256 p4d GPUs",
        )
    }
    assert list(groups.values()) == [128, 512, 64, 32]


def test_the_memory_rule_gives_a_published_group(validation: ModuleType) -> None:
    """SageMaker's guide has NeoX-20B (44 layers, width 6144) in groups of 16 on p4d."""
    rule = import_module("planner_validation.sources.deepspeed").smallest_group
    shape = gpt2_shape("NeoX", layers=44, width=6144, heads=64, vocab_size=50_432, context=2048)
    assert rule(shape, 40 * 2**30, 8) == 16


def test_the_shape_rule_gives_published_shapes(validation: ModuleType) -> None:
    rule = import_module("planner_validation.shapes").shape_of_size
    for parameters, layers, width in ((175e9, 96, 12_288), (29.975e9, 48, 7168)):
        shape = rule("GPT", parameters, 2048)
        assert (shape.layers, shape.width) == (layers, width)
        assert shape.parameters == pytest.approx(parameters, rel=0.005)


def test_an_open_microbatch_keeps_a_published_batch(points: list[Any]) -> None:
    point = find(points, "50.6B MiCS, 512 p4d GPUs")
    assert point.micro_batches == (4, 2, 1)
    for rows in point.micro_batches:
        assert point.with_micro_batch(rows).strategy.rows_per_step == 2048
    zero = find(points, "100B ZeRO-3, 512 p4d GPUs")
    assert zero.micro_batches == (16, 8, 4, 2, 1)
    assert zero.with_micro_batch(8).strategy.rows_per_step == 8 * 4 * 512
    assert zero.strategy_to_fit.layout.partition_group == 128


def test_recalled_results_are_not_taken_for_verified(points: list[Any]) -> None:
    assert [point.group for point in points if not point.verified] == ["HyperCLOVA"]
    derived = [point.label for point in points if point.is_derived and point.verified]
    assert derived == [
        "100B MiCS, 128 p4d GPUs",
        "100B ZeRO-3, 128 p4d GPUs",
        "30B ZeRO-3, 256 p4d GPUs",
    ]

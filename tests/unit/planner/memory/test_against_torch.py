"""The memory model beside hunmin's own training step, counted operation by operation."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from hunmin.models.build import model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.layout import Layout
from hunmin.planner.strategy import Strategy

TOLERANCE = 0.1
LAYERS = 2
"""Deeper models only hide what is wrong outside of the blocks."""


@pytest.fixture(scope="module")
def benchmark(repository: Path) -> Iterator[ModuleType]:
    """The benchmark that does the same with whole models."""
    folder = repository / "benchmarks"
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("planner_memory", folder / "planner_memory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(folder))


@pytest.mark.slow
def test_predictions_lie_within_a_tenth_of_what_is_allocated(benchmark: ModuleType) -> None:
    """All cases of the benchmark: two families, groups of 1 to 64, tensor 1 and 2, …"""
    compared = [benchmark.compare(case, layers=LAYERS) for case in benchmark.CASES]
    errors = {c.case.name: c.error for c in compared if abs(c.error) > TOLERANCE}
    assert not errors
    assert len(compared) >= 10
    groups = {c.case.group for c in compared}
    assert {1, 2, 4, 8, 64} <= groups


def test_parts_are_those_that_were_counted(benchmark: ModuleType) -> None:
    case = benchmark.Case("hyperclova-1.3b", 51_200, 2048, 1, copies=8, choices=benchmark.BLOCKS)
    compared = benchmark.compare(case, layers=LAYERS)
    assert compared.predicted.moment == compared.counted.moment == "backward"
    for part, predicted, counted in compared.parts():
        assert predicted == pytest.approx(counted, rel=0.03), part


def test_the_benchmark_writes_a_table(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--only", "13b", "--layers", "1", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["planner_memory.py", *arguments])
    benchmark.main()
    (table,) = tmp_path.glob("planner-memory-*.md")
    assert table.read_text(encoding="utf-8").count("| hyperclova-13b, ") == 2
    (record,) = tmp_path.glob("planner-memory-*.json")
    cases = json.loads(record.read_text(encoding="utf-8"))["cases"]
    assert all(case["counted"]["total"] == case["allocated"] for case in cases)


@pytest.mark.parametrize(
    ("model", "choices"),
    [
        (ModelSpec(preset="kogpt2-125m", layers=3, width=256, heads=4), {"recompute": "blocks"}),
        (ModelSpec(size=None, layers=3, width=256), {"attention": "plain", "optimizer": "muon"}),
    ],
)
def test_tensors_without_values_count_as_real_memory_does(
    benchmark: ModuleType, model: ModelSpec, choices: dict[str, str]
) -> None:
    """In float32: a CPU makes a copy of a bf16 product that it adds to a float32 sum."""
    allocations = sys.modules["planner_allocations"]
    config = model_config(model, vocab_size=4096, context=128)
    strategy = Strategy(
        Layout(4, 4, 4), micro_batch=2, microsteps=1, precision="fp32", loss_chunk=128
    )
    strategy = benchmark.dataclasses.replace(strategy, **{"recompute": "none", **choices})
    counted = allocations.allocations(config, strategy, 128)
    real = allocations.real_peak(config, strategy, 128, torch.device("cpu"))
    assert counted.total == pytest.approx(real, rel=0.01)

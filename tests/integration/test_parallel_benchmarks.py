"""Benchmarks of training on several devices run with tiny models and write what they found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.namespaces import why_not
from tests.support.recipes import ENVIRONMENT

needs_namespaces = pytest.mark.skipif(
    why_not() is not None, reason=f"no network namespaces: {why_not()}"
)


def run(script: Path, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *options, "--results", str(results)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def record_of(results: Path) -> dict[str, Any]:
    (path,) = results.glob("*.json")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


@pytest.mark.slow
@needs_namespaces
def test_partition_groups_and_zero_on_emulated_nodes(repository: Path, tmp_path: Path) -> None:
    small = ("--nodes", "2", "--rounds", "1", "--blocks", "2", "--balances", "0.5")
    scaling = ("--scaling-rounds", "1", "--scaling-microsteps", "2", "--scaling-block-kib", "128")
    script = repository / "benchmarks" / "mics_scaling.py"
    result = run(script, tmp_path, *small, "--block-kib", "128", *scaling)
    assert result.returncode == 0, result.stderr
    record = record_of(tmp_path)
    contenders = record["step_times"]["contenders"]
    assert {"ZeRO-3, FSDP2", "group = node, two-hop"} <= contenders.keys()
    for figures in contenders.values():
        measured, formula = figures["measured_bytes"], figures["formula_bytes"]
        assert measured == pytest.approx(formula, rel=0.05, abs=20_000)
    for figures in record["weak_scaling"]["contenders"].values():
        assert figures["efficiency"]["1"] == 1
        assert set(figures["seconds"]) == {"1", "2"}
    plots = {path.suffix for path in tmp_path.glob("*-weak.*")}
    assert plots == {".png", ".svg"}


@pytest.mark.slow
def test_cost_of_fsdp2_on_one_device(repository: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "gpu" / "parallel_overhead.py"
    result = run(script, tmp_path, "--tiny", "--steps", "1", "--rounds", "2")
    assert result.returncode == 0, result.stderr
    shapes = record_of(tmp_path)["shapes"]
    assert set(shapes) == {"1B", "7B"}
    for contenders in shapes.values():
        bare, recomputed = contenders["bare module"], contenders["FSDP2, activation checkpointing"]
        assert bare["mfu"] == bare["hfu"] > 0
        assert recomputed["hfu"] > recomputed["mfu"] > 0


@pytest.mark.slow
def test_a_missing_gpu_is_named(repository: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    result = run(repository / "benchmarks" / "gpu" / "parallel_overhead.py", tmp_path)
    assert result.returncode == 2
    assert "no CUDA device here" in result.stderr


def test_a_benchmark_that_cannot_emulate_nodes_says_why(repository: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "mics_scaling.py"
    result = subprocess.run(
        [sys.executable, str(script), "--results", str(tmp_path)],
        env={**ENVIRONMENT, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 1
    assert "no command ip or tc" in result.stderr

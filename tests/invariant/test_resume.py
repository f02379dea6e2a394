"""A run that is killed and started again goes through the same losses, to the last bit."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.recipes import ENVIRONMENT, command, hunmin, read_losses, tiny_recipe

STEPS = 8


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def uninterrupted(recipe: Path) -> dict[int, float]:
    run = recipe.parent / "whole"
    result = hunmin("train", recipe, "--run-dir", run)
    assert result.returncode == 0, result.stderr
    return read_losses(run)


def start(recipe: Path, run: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("train", recipe, "--run-dir", run, *flags),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    metrics = run / "train" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"ended before step {step}: {process.communicate()[1]}")
        if metrics.is_file() and step in read_losses(run):
            return
        time.sleep(0.005)
    pytest.fail(f"step {step} was not reached")


@pytest.mark.slow
def test_kill_9_changes_no_loss(recipe: Path, uninterrupted: dict[int, float]) -> None:
    run = recipe.parent / "killed"
    for step in (1, 3, 6):
        process = start(recipe, run)
        wait_for_step(run, step, process)
        process.kill()
        process.communicate()
    result = hunmin("train", recipe, "--run-dir", run)
    assert result.returncode == 0, result.stderr
    assert "resuming after step" in result.stderr
    assert read_losses(run) == uninterrupted
    assert sorted(uninterrupted) == list(range(1, STEPS + 1))
    leftovers = [p for p in run.rglob("*") if ".tmp-" in p.name or p.name.endswith(".old")]
    assert (run / "model" / "model.safetensors").is_file()
    assert leftovers == []


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(recipe: Path, uninterrupted: dict[int, float]) -> None:
    run = recipe.parent / "interrupted"
    process = start(recipe, run)
    wait_for_step(run, 2, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "training was interrupted after step" in stderr
    assert "give the same command again" in stderr
    assert "Traceback" not in stderr
    result = hunmin("train", recipe, "--run-dir", run)
    assert result.returncode == 0, result.stderr
    assert read_losses(run) == uninterrupted

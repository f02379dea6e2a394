"""Faults against a real run of torchrun: it goes on by itself, and ends as it would have."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.distributed import run_ranks
from tests.support.faults import (
    CORRUPT,
    CUT,
    FAULTS,
    KILL,
    Fault,
    damage_newest,
    draw_faults,
    fill_disk,
    inject,
    newest_safe_step,
    small_disk,
)
from tests.support.launched import TrainingJob
from tests.support.recipes import hunmin, tiny_recipe

STEPS, EVERY = 24, 4
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and a run folder with all that comes before training."""
    folder = tmp_path_factory.mktemp("chaos")
    recipe = tiny_recipe(
        folder,
        duration=f"{STEPS} steps",
        checkpoint_every=EVERY,
        evaluate_every=None,
        export="last",
    )
    run = folder / "prepared"
    result = hunmin("data", recipe, "--run-dir", run)
    assert result.returncode == 0, result.stderr
    return recipe, run


def train_undisturbed(recipe: Path, run: Path) -> None:
    from hunmin.pipeline.recipe import read_recipe
    from hunmin.pipeline.run import PipelineRun

    PipelineRun(read_recipe(recipe, ()), run, tell=lambda line: None).execute(until="train")


@pytest.mark.slow
def test_a_run_with_faults_ends_as_one_without(prepared: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, source = prepared
    without = TrainingJob(recipe, tmp_path / "without", ranks_per_node=2)
    shutil.copytree(source, without.run)
    run_ranks(2, train_undisturbed, recipe, without.run, start_group=False, seconds=300)
    job = TrainingJob(
        recipe, tmp_path / "with", ranks_per_node=2, overrides=["parallel.timeout=60"]
    )
    shutil.copytree(source, job.run)
    with job.running():
        killed, damaged = inject(job, [Fault(KILL, 7, 0, 1), Fault(CORRUPT, 14, 0, 0)], seconds=500)
    assert sorted(without.losses()) == list(range(1, STEPS + 1))
    assert job.losses() == without.losses()
    # Nothing is lost that was called safe.
    assert killed.resumed_step >= killed.safe_step >= EVERY
    assert damaged.resumed_step >= damaged.safe_step >= EVERY
    assert "skipping a damaged checkpoint" in job.log()
    resumed = [each["resumed_step"] for each in job.records() if each["event"] == "start"]
    assert resumed == [0, killed.resumed_step, damaged.resumed_step]
    assert job.starts == 1


def test_faults_are_drawn_alike_from_the_same_seed() -> None:
    options = {"nodes": 2, "ranks_per_node": 4}
    first = draw_faults(3, 20, 200, **options)
    assert first == draw_faults(3, 20, 200, **options)
    assert first != draw_faults(4, 20, 200, **options)
    counts = [sum(each.kind == kind for each in first) for kind in FAULTS]
    assert max(counts) - min(counts) <= 1
    steps = [each.step for each in first]
    assert steps == sorted(set(steps))
    assert {each.node for each in first} == {0, 1}
    assert min(each.step for each in draw_faults(3, 20, 40, first_step=15, **options)) == 15


def test_a_large_disk_is_not_filled(tmp_path: Path) -> None:
    if os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize <= 2**30:
        pytest.skip("the temporary folder lies on a small disk")
    with pytest.raises(ValueError, match="must not be filled"):
        fill_disk(tmp_path)


@needs_root
def test_a_small_disk_is_filled_to_the_last_byte(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        filler = fill_disk(disk)
        with pytest.raises(OSError, match="No space left"):
            (disk / "more").write_bytes(bytes(100_000))
        filler.unlink()
        (disk / "more").write_bytes(bytes(100_000))


def test_the_newest_checkpoint_is_damaged(tmp_path: Path) -> None:
    for step in (4, 8):
        folder = tmp_path / f"step-{step:08}"
        folder.mkdir()
        (folder / "manifest.json").touch()
        (folder / "shard-00000-of-00001.safetensors").write_bytes(bytes(1000))
    (tmp_path / "step-00000012").mkdir()  # Not finished.
    damaged = damage_newest(tmp_path)
    assert damaged.parent.name == "step-00000008"
    assert damaged.stat().st_size == 1000
    assert 900 < damaged.read_bytes().count(0) < 950


def test_a_link_needs_a_cluster(tmp_path: Path) -> None:
    job = TrainingJob(tmp_path / "recipe.yaml", tmp_path, ranks_per_node=1)
    with pytest.raises(ValueError, match="in an emulated cluster only"):
        inject(job, [Fault(CUT, 1, 0, 0)], seconds=1)


def test_a_run_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    job = TrainingJob(tmp_path / "no-recipe.yaml", tmp_path, ranks_per_node=1)
    with job.running(), pytest.raises(TimeoutError, match="did not come to step 1"):
        inject(job, [Fault(KILL, 1, 0, 0)], seconds=1)


def test_only_checkpoints_that_were_called_safe_count() -> None:
    records = [
        {"event": "step", "step": 9},
        {"event": "checkpoint", "step": 5, "path": "step-00000004"},
        {"event": "checkpoint", "step": 8, "path": "step-00000008"},
    ]
    assert newest_safe_step(records) == 8
    assert newest_safe_step(records, "step-00000008") == 4
    assert newest_safe_step(records[:1]) == 0


LEAVE = """
import os, signal, sys
sys.path.insert(0, {repository!r})
from pathlib import Path
from tests.support.faults import small_disk
with small_disk(Path({folder!r}), 1):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_root
def test_the_disk_of_a_killed_process_is_removed(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "left"
    code = LEAVE.format(repository=str(repository), folder=str(folder))
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert folder.is_mount()
    with small_disk(tmp_path / "disk", 1):
        assert not folder.is_mount()

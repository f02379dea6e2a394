"""Checkpoints of many ranks when something goes wrong: all hear of it, and nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from tests.support.checkpoints import (
    HeldWrites,
    build,
    error_of,
    train,
)
from tests.support.distributed import run_ranks

from hunmin.core.errors import HunminError
from hunmin.parallel.checkpoint import storage
from hunmin.training.checkpoint import (
    CheckpointFolder,
)
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.state import TrainState


def fail_in_three_ways(folder: Path) -> dict[str, Any]:
    """A rank that may write only small files, one whose folder is taken away; then all is well."""
    model, optimizer = build(2)
    found: dict[str, Any] = {}
    at_once = CheckpointFolder(folder, "identity")
    beside = CheckpointFolder(folder, "identity", asynchronous=True)
    at_once.save(model, optimizer, TrainState(step=1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if dist.get_rank() == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    found["limit"] = error_of(lambda: at_once.save(model, optimizer, TrainState(step=2)))
    beside.save(model, optimizer, TrainState(step=2))
    found["limit beside"] = error_of(lambda: beside.collect(wait=True))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    found["folder"] = error_of(lambda: lose_folder(beside, model, optimizer))
    dist.barrier()
    found["left"] = sorted(path.name for path in folder.iterdir())
    beside.save(model, optimizer, TrainState(step=3))
    found["afterwards"] = [saved.step for saved in beside.collect(wait=True)]
    return found


def lose_folder(checkpoints: CheckpointFolder, model: Any, optimizer: OptimizerSet) -> None:
    with HeldWrites() as writes:
        checkpoints.save(model, optimizer, TrainState(step=2))
        if dist.get_rank() == 0:
            deadline = time.monotonic() + 30
            while not (drafts := list(checkpoints.path.glob(".step-*"))):
                assert time.monotonic() < deadline
            shutil.rmtree(drafts[0])
        dist.barrier()
        writes.gate.set()
        checkpoints.collect(wait=True)


def test_a_failed_checkpoint_fails_on_every_rank_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = run_ranks(2, fail_in_three_ways, tmp_path)
    assert first == second
    for kind in ("limit", "limit beside"):
        name, message = first[kind]
        assert name == "StageFailedError"
        assert "rank 1 of 2 on " in message
        assert "shard-00001-of-00002.safetensors" in message
        assert "File too large" in message
    name, message = first["folder"]
    assert name == "StageFailedError"
    assert "was taken away" in message
    assert "--run-dir" in message
    assert first["left"] == ["step-00000001"]
    assert first["afterwards"] == [3]


def write_elsewhere(folder: Path) -> tuple[str, str] | None:
    """What the second rank writes lands on a disk that the first one does not see."""
    original = storage.write_tensor_file

    def write_and_lose(path: Path, *arguments: Any) -> Any:
        record = original(path, *arguments)
        path.unlink()
        return record

    if dist.get_rank() == 1:
        storage.write_tensor_file = write_and_lose
    model, optimizer = build(2)
    checkpoints = CheckpointFolder(folder, "identity")
    return error_of(lambda: checkpoints.save(model, optimizer, TrainState(step=1)))


def test_disks_that_nodes_do_not_share_are_noticed(tmp_path: Path) -> None:
    for name, message in run_ranks(2, write_elsewhere, tmp_path):
        assert name == "StageFailedError"
        assert "shard-00001-of-00002.safetensors" in message
        assert "another node wrote cannot be seen here" in message
        assert "a disk that all nodes share" in message
    assert list(tmp_path.iterdir()) == []


def die_while_saving(folder: Path) -> None:
    model, optimizer = build(2)
    checkpoints = CheckpointFolder(folder, "identity")
    checkpoints.save(model, optimizer, TrainState(step=1))
    if dist.get_rank() == 1:
        storage.write_tensor_file = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    checkpoints.save(model, optimizer, TrainState(step=2))


def test_a_rank_that_dies_while_saving_costs_no_older_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as failure:
        run_ranks(2, die_while_saving, tmp_path)
    assert "rank 1: ended with exit code -9" in str(failure.value)
    assert "CollectiveError" in str(failure.value)
    assert "a rank was lost while a checkpoint was saved" in str(failure.value)
    checkpoints = CheckpointFolder(tmp_path, "identity")
    newest = checkpoints.newest_whole()
    assert newest is not None
    assert newest.facts["step"] == 1


def test_a_killed_process_leaves_a_draft_that_the_next_one_takes_away(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit code -9"):
        run_ranks(1, die_alone, tmp_path)
    assert [path.name.split(".tmp-")[0] for path in tmp_path.iterdir()] == [".step-00000001"]
    checkpoints = CheckpointFolder(tmp_path, "identity")
    assert checkpoints.newest_whole() is None
    model, optimizer = build(None)
    checkpoints.save(model, optimizer, TrainState(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def die_alone(folder: Path) -> None:
    storage.write_tensor_file = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    model, optimizer = build(None)
    CheckpointFolder(folder, "identity").save(model, optimizer, TrainState(step=1))


def save_three(folder: Path) -> None:
    model, optimizer = build(2)
    for step in (1, 2, 3):
        CheckpointFolder(folder, "identity").save(model, optimizer, TrainState(step=step))


def open_newest(folder: Path) -> list[Any]:
    checkpoints = CheckpointFolder(folder, "identity")
    found: list[Any] = []
    for damage in (flip_byte, remove_shard, remove_marker):
        if dist.get_rank() == 0:
            damage(checkpoints.step_path(checkpoints.steps()[-len(found) - 1]))
        dist.barrier()
        try:
            newest = checkpoints.newest_whole()
            found.append(newest and newest.facts["step"])
        except HunminError as error:
            found.append((type(error).__name__, str(error)))
    return found


def flip_byte(checkpoint: Path) -> None:
    file = checkpoint / "shard-00001-of-00004.safetensors"
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)


def remove_shard(checkpoint: Path) -> None:
    (checkpoint / "shard-00002-of-00004.safetensors").unlink()


def remove_marker(checkpoint: Path) -> None:
    (checkpoint / "manifest.json").unlink()


def test_all_ranks_fall_back_to_the_same_whole_checkpoint(tmp_path: Path) -> None:
    run_ranks(4, save_three, tmp_path)
    for found in run_ranks(3, open_newest, tmp_path):
        assert found[:2] == [2, 1]
        name, message = found[2]
        assert name == "CorruptArtifactError"
        assert "shard-00001-of-00004.safetensors" in message
        assert "differs from what was written" in message


def test_only_one_rank_deletes_and_the_best_stays(tmp_path: Path) -> None:
    run_ranks(2, save_three, tmp_path)
    checkpoints = CheckpointFolder(tmp_path, "identity")
    checkpoints.prune(keep=1, best_step=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill_the_disk(folder: Path) -> list[Any]:
    model, optimizer = build(2)
    train(model, optimizer, 0, 1)
    checkpoints = CheckpointFolder(folder, "identity", asynchronous=True)
    checkpoints.save(model, optimizer, TrainState(step=1))
    checkpoints.collect(wait=True)
    free = shutil.disk_usage(folder).free
    dist.barrier()
    if dist.get_rank() == 0:
        (folder / "filler").write_bytes(b"x" * (free - 100_000))
    dist.barrier()
    checkpoints.save(model, optimizer, TrainState(step=2))
    error = error_of(lambda: checkpoints.collect(wait=True))
    dist.barrier()
    return [error, sorted(path.name for path in folder.iterdir())]


def test_a_full_disk_is_an_error_on_every_rank(small_disk: Path) -> None:
    for (name, message), left in run_ranks(2, fill_the_disk, small_disk):
        assert name == "DiskFullError"
        assert "no space left while writing" in message
        assert f"{small_disk}/.step-00000002.tmp-" in message
        assert left == ["filler", "step-00000001"]
    assert CheckpointFolder(small_disk, "").newest_whole() is not None

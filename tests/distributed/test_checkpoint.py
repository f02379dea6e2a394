"""Checkpoints of many ranks: resharded, written beside the training, and what goes wrong."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks
from tests.support.tiny_models import tiny_gpt2
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from hunmin.core.artifact import load_artifact
from hunmin.core.errors import ArtifactMismatchError, HunminError
from hunmin.core.hashing import seed_from
from hunmin.parallel.checkpoint import storage
from hunmin.parallel.checkpoint.model_state import module_tensors
from hunmin.training.checkpoint import (
    CheckpointFolder,
    load_weights,
    refuse_other_run,
    restore,
)
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec
from hunmin.training.state import TrainState

VOCABULARY = 101
"""Not divisible by the ranks: their shards are uneven."""

Arrays = dict[str, np.ndarray[Any, Any]]


def build(group: int | None) -> tuple[PreTrainedModel, OptimizerSet]:
    """A tiny model, spread over partition groups or, for None, whole in this process."""
    model = tiny_gpt2(VOCABULARY, context=16)  # in evaluation mode: no dropout
    if group is not None:
        size = dist.get_world_size()
        mesh = init_device_mesh(
            "cpu", (size // group, group), mesh_dim_names=("replicate", "shard")
        )
        for block in model.transformer.h:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    return model, OptimizerSet(AdamWSpec(learning_rate=1e-2), model)


def train(model: PreTrainedModel, optimizer: OptimizerSet, first: int, steps: int) -> list[float]:
    losses = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(VOCABULARY, (2, 16), generator=generator)
        loss = model(input_ids=ids, labels=ids, attention_mask=torch.ones_like(ids)).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def whole(tensors: dict[str, torch.Tensor]) -> Arrays:
    full = {n: t.full_tensor() if isinstance(t, DTensor) else t for n, t in tensors.items()}
    return {name: tensor.detach().numpy().copy() for name, tensor in full.items()}


def everything(model: PreTrainedModel, optimizer: OptimizerSet) -> Arrays:
    states = optimizer.state_tensors()
    return whole(module_tensors(model)) | whole({f"state {n}": t for n, t in states.items()})


def same(left: Arrays, right: Arrays) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[n], right[n]) for n in left)


def save_after_two_steps(folder: Path, group: int | None) -> tuple[Arrays, list[float]]:
    model, optimizer = build(group)
    train(model, optimizer, 0, 2)
    with torch.no_grad():  # an evaluation leaves the outermost parameters gathered
        model(input_ids=torch.zeros(1, 4, dtype=torch.long))
    checkpoints = CheckpointFolder(folder, "identity")
    checkpoints.save(model, optimizer, TrainState(step=2, tokens=64))
    return everything(model, optimizer), train(model, optimizer, 2, 2)


def restore_and_go_on(folder: Path, group: int | None) -> tuple[Arrays, list[float], int]:
    torch.manual_seed(77)
    model, optimizer = build(group)
    checkpoint = CheckpointFolder(folder, "identity").newest_whole()
    assert checkpoint is not None
    state = restore(checkpoint, model, optimizer)
    return everything(model, optimizer), train(model, optimizer, 2, 2), state.step


# -- resharding ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_by_four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays, list[float]]:
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    arrays, losses = run_ranks(4, save_after_two_steps, folder, 2)[0]
    return folder, arrays, losses


def test_the_folder_is_an_artifact_and_no_part_is_written_twice(saved_by_four) -> None:
    folder, arrays, _ = saved_by_four
    checkpoint = load_artifact(folder / "step-00000002", "checkpoint")
    names = set(checkpoint.manifest.files)
    assert names == {"index.json", "state.json"} | {
        f"shard-{rank:05d}-of-00004.safetensors" for rank in range(4)
    }
    assert checkpoint.facts == {"step": 2, "tokens": 64, "ranks": 4}
    tensors = sum(array.nbytes for array in arrays.values())
    generators = 4 * torch.get_rng_state().numel()
    files = sum(r.bytes for n, r in checkpoint.manifest.files.items() if n.endswith("tensors"))
    assert tensors + generators < files < (tensors + generators) * 1.2  # headers
    assert not any(path.suffix in (".pt", ".pkl", ".metadata") for path in folder.rglob("*"))


@pytest.mark.parametrize(("ranks", "group"), [(1, None), (2, 1), (2, 2), (4, 4), (8, 4)])
def test_any_layout_goes_on_from_it(saved_by_four, ranks: int, group: int | None) -> None:
    folder, arrays, losses = saved_by_four
    results = run_ranks(ranks, restore_and_go_on, folder, group)
    for loaded, next_losses, step in results:
        assert step == 2
        assert same(loaded, arrays)
        assert next_losses == pytest.approx(losses, rel=1e-5)


def test_one_process_saves_for_many(tmp_path: Path) -> None:
    arrays, losses = save_after_two_steps(tmp_path, None)
    assert (tmp_path / "step-00000002" / "shard-00000-of-00001.safetensors").is_file()
    for loaded, next_losses, _ in run_ranks(3, restore_and_go_on, tmp_path, 3):
        assert same(loaded, arrays)
        assert next_losses == pytest.approx(losses, rel=1e-5)


def test_weights_alone_into_a_plain_model(saved_by_four) -> None:
    folder, arrays, _ = saved_by_four
    model, _ = build(None)
    load_weights(load_artifact(folder / "step-00000002"), model)
    loaded = whole(module_tensors(model))
    assert all(np.array_equal(loaded[name], arrays[name]) for name in loaded)


def draw(folder: Path, save: bool) -> list[float]:
    model, optimizer = build(dist.get_world_size())
    checkpoints = CheckpointFolder(folder, "identity")
    torch.manual_seed(dist.get_rank())
    if save:
        checkpoints.save(model, optimizer, TrainState(step=1))
    else:
        torch.rand(5)
        restore(checkpoints.open(1), model, optimizer)
    return torch.rand(3).tolist()


def test_random_generators_go_on_or_are_seeded_anew(tmp_path: Path) -> None:
    drawn = run_ranks(2, draw, tmp_path, True)
    assert drawn[0] != drawn[1]
    assert run_ranks(2, draw, tmp_path, False) == drawn
    seeds = [seed_from("identity", 1, rank) % 2**63 for rank in range(4)]
    expected = [torch.rand(3, generator=torch.Generator().manual_seed(s)).tolist() for s in seeds]
    assert run_ranks(4, draw, tmp_path, False) == expected


# -- beside the training -------------------------------------------------------------------------


class HeldWrites:
    """Writing of this rank's file waits until it is let go; something may be done then."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.original = storage.write_tensor_file

    def __enter__(self) -> HeldWrites:
        storage.write_tensor_file = self
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        storage.write_tensor_file = self.original

    def __call__(self, path: Path, *arguments: Any) -> Any:
        assert self.gate.wait(30)
        return self.original(path, *arguments)


def train_on_while_saving(folder: Path) -> tuple[Arrays, list[float], list[Any]]:
    model, optimizer = build(2)
    train(model, optimizer, 0, 2)
    checkpoints = CheckpointFolder(folder, "identity", asynchronous=True)
    then = everything(model, optimizer)
    with HeldWrites() as writes:
        checkpoints.save(model, optimizer, TrainState(step=2, tokens=64))
        losses = train(model, optimizer, 2, 2)
        early = checkpoints.collect()
        writes.gate.set()
        saved = checkpoints.collect(wait=True)
    return then, losses, [early, saved, checkpoints.collect(wait=True), checkpoints.steps()]


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    results = run_ranks(2, train_on_while_saving, tmp_path)
    at_once, losses = save_after_two_steps(tmp_path / "sync", None)
    for then, next_losses, (early, saved, later, steps) in results:
        assert early == []
        assert [checkpoint.step for checkpoint in saved] == [2]
        assert saved[0].path == tmp_path / "step-00000002"
        assert 0 < saved[0].blocking_seconds < saved[0].total_seconds
        assert (later, steps) == ([], [2])
        assert next_losses == pytest.approx(losses, rel=1e-5)
        loaded, after, _ = restore_and_go_on(tmp_path, None)
        assert same(loaded, then)
        assert after == pytest.approx(next_losses, rel=1e-5)
        assert loaded.keys() == at_once.keys()


def test_one_process_writes_beside_its_training_too(tmp_path: Path) -> None:
    model, optimizer = build(None)
    checkpoints = CheckpointFolder(tmp_path, "identity", asynchronous=True)
    with HeldWrites() as writes:
        train(model, optimizer, 0, 1)
        then = everything(model, optimizer)
        checkpoints.save(model, optimizer, TrainState(step=1))
        train(model, optimizer, 1, 1)
        assert checkpoints.collect() == []
        assert checkpoints.steps() == []
        writes.gate.set()
        checkpoints.save(model, optimizer, TrainState(step=2))
        assert [saved.step for saved in checkpoints.collect(wait=True)] == [1, 2]
    model, optimizer = build(None)
    restore(checkpoints.open(1), model, optimizer)
    assert same(everything(model, optimizer), then)


# -- failures ------------------------------------------------------------------------------------


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


def error_of(action: Callable[[], object]) -> tuple[str, str] | None:
    try:
        action()
    except HunminError as error:
        return type(error).__name__, str(error)
    return None


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


def load_into_another_model(folder: Path) -> list[tuple[str, str] | None]:
    checkpoint = CheckpointFolder(folder, "identity").open(2)
    wider = tiny_gpt2(VOCABULARY + 1, context=16)
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("replicate", "shard"))
    fully_shard(wider, mesh=mesh)
    shape = error_of(lambda: restore(checkpoint, wider, OptimizerSet(AdamWSpec(), wider)))
    config = tiny_gpt2(VOCABULARY, context=16).config
    config.n_layer = 1
    shallow = type(wider)(config)
    surplus = error_of(lambda: load_weights(checkpoint, shallow))
    config.n_layer = 3
    deep = type(wider)(config)
    missing = error_of(lambda: load_weights(checkpoint, deep))
    halved = error_of(lambda: load_weights(checkpoint, build(None)[0].bfloat16()))
    return [shape, surplus, missing, halved]


def test_a_checkpoint_of_another_model_is_refused_by_name(saved_by_four) -> None:
    results = run_ranks(2, load_into_another_model, saved_by_four[0])
    for errors in results:
        assert [name for name, _ in errors] == ["ArtifactMismatchError"] * 4
        shape, surplus, missing, halved = (message for _, message in errors)
        assert "model.transformer.wte.weight has shape (101, 32) in it, (102, 32)" in shape
        assert "transformer.h.1.attn.c_attn.bias is in it and not in this model" in surplus
        assert "model.transformer.h.2.ln_1.weight is not in it" in missing
        assert "is float32 in it, bfloat16 in this model" in halved


def test_a_checkpoint_of_another_run_is_refused(saved_by_four) -> None:
    checkpoint = load_artifact(saved_by_four[0] / "step-00000002")
    refuse_other_run(checkpoint, "identity")
    with pytest.raises(ArtifactMismatchError, match="another recipe or other data"):
        refuse_other_run(checkpoint, "another")


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

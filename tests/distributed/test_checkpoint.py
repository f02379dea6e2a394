"""Checkpoints of many ranks: resharded, and written beside the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.support.checkpoints import (
    VOCABULARY,
    Arrays,
    HeldWrites,
    build,
    error_of,
    everything,
    same,
    train,
    whole,
)
from tests.support.distributed import run_ranks
from tests.support.tiny_models import tiny_gpt2
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hunmin.core.artifact import load_artifact
from hunmin.core.errors import ArtifactMismatchError
from hunmin.core.hashing import seed_from
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


# -- other models and other runs


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

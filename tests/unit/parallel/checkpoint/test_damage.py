"""Checkpoints whose files were not verified, and plans that cannot be written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
)
from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType

from hunmin.core.artifact import Artifact, load_artifact, read_manifest
from hunmin.core.errors import CorruptArtifactError, StageFailedError
from hunmin.parallel.checkpoint import CheckpointContent, Ranks, load_tensors
from hunmin.parallel.checkpoint.save import save_staged
from hunmin.parallel.checkpoint.staging import Planner, StagedTensors

SHARD = "shard-00000-of-00001.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Artifact:
    path = tmp_path / "step-00000001"
    save_staged(path, Planner().stage({"model.a": torch.ones(4, 3)}), CheckpointContent(), Ranks())
    return load_artifact(path, "checkpoint")


def load(checkpoint: Artifact) -> torch.Tensor:
    target = torch.zeros(4, 3)
    load_tensors(checkpoint, {"model.a": target}, Ranks())
    return target


def truncate(path: Path) -> None:
    (path / SHARD).write_bytes((path / SHARD).read_bytes()[:-1])


def remove(path: Path) -> None:
    (path / SHARD).unlink()


def rename_type(path: Path) -> None:
    index = json.loads((path / "index.json").read_text(encoding="utf-8"))
    index["tensors"]["model.a"]["dtype"] = "load"
    (path / "index.json").write_text(json.dumps(index), encoding="utf-8")


def break_index(path: Path) -> None:
    (path / "index.json").write_text('{"world_size": 1}', encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, rf"{SHARD}: a part of a checkpoint cannot be read"),
        (remove, rf"{SHARD}: a part of a checkpoint cannot be read"),
        (rename_type, r"a type of numbers that torch does not have\s+given:\s+load"),
        (break_index, r"index\.json: the index of a checkpoint cannot be read"),
    ],
)
def test_damage_that_was_not_looked_for_is_named(
    checkpoint: Artifact, damage: Callable[[Path], None], message: str
) -> None:
    assert load(checkpoint).sum() == 12
    damage(checkpoint.path)
    with pytest.raises(CorruptArtifactError, match=message):
        load(checkpoint)


def test_only_files_of_the_manifest_are_read(checkpoint: Artifact) -> None:
    manifest = read_manifest(checkpoint.path)
    files = {name: record for name, record in manifest.files.items() if name != SHARD}
    other = Artifact(checkpoint.path, manifest.model_copy(update={"files": files}))
    with pytest.raises(CorruptArtifactError, match="is not in the manifest"):
        load(other)


def half(start: int) -> WriteItem:
    chunk = ChunkStorageMetadata(torch.Size([start]), torch.Size([2]))
    data = TensorWriteData(chunk, TensorProperties(torch.float32), torch.Size([4]))
    return WriteItem(MetadataIndex("a", [start]), WriteItemType.SHARD, tensor_data=data)


def test_a_rank_writes_one_part_of_each_tensor(tmp_path: Path) -> None:
    staged = StagedTensors([half(0), half(2)], {"a": torch.ones(2)})
    with pytest.raises(StageFailedError, match="a: a rank can write one part of each tensor"):
        save_staged(tmp_path / "step-00000001", staged, CheckpointContent(), Ranks())
    assert list(tmp_path.iterdir()) == []

"""Loading: each rank verifies a share of the files, and reads the parts that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner

from hunmin.core.artifact import Artifact, FileRecord, Manifest, load_artifact
from hunmin.core.errors import ArtifactMismatchError, CorruptArtifactError, HunminError
from hunmin.core.hashing import sha256_file
from hunmin.parallel.checkpoint.index import CheckpointIndex
from hunmin.parallel.checkpoint.ranks import Ranks
from hunmin.parallel.checkpoint.storage import ShardReader

_SHOWN_DIFFERENCES = 5


def open_checkpoint(path: Path, ranks: Ranks) -> Artifact:
    """Open a checkpoint and check that it is whole; every byte is read by one rank.

    Args:
        path: Its folder.
        ranks: Who checks it.

    Returns:
        The checkpoint.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It is no checkpoint, or has no completion marker.
        CorruptArtifactError: A file is missing, or differs from its record.

    Note:
        Collective; every rank raises the same error.
    """
    manifest, error = ranks.share(_read_manifest(path) if ranks.is_first else None)
    if manifest is None:
        raise error
    ranks.raise_together(_find_damage(path, _share_of(manifest.files, ranks)))
    return Artifact(path, manifest)


def _read_manifest(path: Path) -> tuple[Manifest | None, HunminError | None]:
    try:
        return load_artifact(path, "checkpoint", verify=False).manifest, None
    except HunminError as error:
        return None, error


def _share_of(files: Mapping[str, FileRecord], ranks: Ranks) -> dict[str, FileRecord]:
    """Deal the files out, largest first, each to the rank with the fewest bytes."""
    loads = [0] * ranks.size
    share = {}
    for name in sorted(files, key=lambda name: (-files[name].bytes, name)):
        reader = loads.index(min(loads))
        loads[reader] += files[name].bytes
        if reader == ranks.rank:
            share[name] = files[name]
    return share


def _find_damage(folder: Path, files: Mapping[str, FileRecord]) -> HunminError | None:
    for name, record in files.items():
        path = folder / name
        try:
            size, checksum = path.stat().st_size, sha256_file(path)
        except OSError as error:
            return _damage(path, record, error.strerror or str(error))
        if (size, checksum) != (record.bytes, record.sha256):
            return _damage(path, record, f"{size} bytes, sha256 {checksum[:12]}…")
    return None


def _damage(path: Path, record: FileRecord, found: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        "the file differs from what was written",
        where=path,
        given=found,
        allowed=f"{record.bytes} bytes, sha256 {record.sha256[:12]}…",
        hint="restore it from a copy, or move this checkpoint away: an older one is used",
    )


def load_tensors(checkpoint: Artifact, targets: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Fill tensors from a checkpoint of any number of ranks and any partition group.

    Args:
        checkpoint: A verified checkpoint.
        targets: Plain tensors and DTensors by name, filled in place.
        ranks: Who loads.

    Raises:
        ArtifactMismatchError: A tensor is not in the checkpoint, or has another shape or type.
        CorruptArtifactError: A file cannot be read.

    Note:
        Collective; every rank raises the same error. A rank reads only what it holds.
    """
    try:
        _load_local(checkpoint, targets)
    except HunminError as error:
        ranks.raise_together(error)
    else:
        ranks.raise_together(None)


@torch.no_grad()
def _load_local(checkpoint: Artifact, targets: Mapping[str, Tensor]) -> None:
    reader = ShardReader(checkpoint)
    refuse_differences(reader.index, targets, checkpoint.path)
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    metadata = reader.read_metadata()
    planner.set_up_planner(dict(targets), metadata)
    plan = planner.finish_plan(reader.prepare_local_plan(planner.create_local_plan()))
    reader.read_data(plan, planner).wait()


def refuse_differences(index: CheckpointIndex, targets: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that a checkpoint does not hold as they are.

    Args:
        index: Of the checkpoint.
        targets: What shall be filled.
        path: The checkpoint, for the message.

    Raises:
        ArtifactMismatchError: Names the first tensors that differ, and how.
    """
    differences = [
        difference
        for name, target in targets.items()
        if (difference := _difference(index, name, target)) is not None
    ]
    if differences:
        more = len(differences) - _SHOWN_DIFFERENCES
        shown = differences[:_SHOWN_DIFFERENCES] + ([f"and {more} more"] if more > 0 else [])
        raise ArtifactMismatchError(
            "this checkpoint is of another model",
            where=path,
            given="; ".join(shown),
            hint="give the recipe that the checkpoint was made with",
        )


def _difference(index: CheckpointIndex, name: str, target: Tensor) -> str | None:
    record = index.tensors.get(name)
    if record is None:
        return f"{name} is not in it"
    if record.shape != tuple(target.shape):
        return f"{name} has shape {record.shape} in it, {tuple(target.shape)} in this model"
    if record.torch_dtype != target.dtype:
        wanted = str(target.dtype).removeprefix("torch.")
        return f"{name} is {record.dtype} in it, {wanted} in this model"
    return None

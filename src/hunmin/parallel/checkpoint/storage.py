"""Storage for torch.distributed.checkpoint: safetensors and JSON in an artifact folder, no pickle.

    all ranks     plan                           what each holds
    first rank    folder .step-….tmp-…           parts that several ranks hold are spread over them
    all ranks     shard-<rank>-of-<ranks>        written, hashed and flushed at the same time
    first rank    index.json, manifest.json      then the folder gets its name

torch's own writers do not serve: FileSystemWriter pickles its metadata; HuggingFaceStorageWriter
writes into the final folder, leaves no mark of completion, no checksum and no list of its files, so
that a rank's missing file goes unseen.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
)
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

import hunmin
from hunmin.core.artifact import MANIFEST_NAME, Artifact, FileRecord, Manifest, check_output
from hunmin.core.atomic import atomic_folder
from hunmin.core.environment import package_versions, source_commit
from hunmin.core.errors import CorruptArtifactError, HunminError, StageFailedError
from hunmin.core.hashing import sha256_file
from hunmin.parallel.checkpoint.index import INDEX_NAME, CheckpointIndex
from hunmin.parallel.checkpoint.ranks import name_place
from hunmin.parallel.checkpoint.tensor_file import explain_failed_write, write_tensor_file


@dataclass(frozen=True)
class CheckpointContent:
    """What the first rank adds to the tensors.

    Args:
        texts: Small files by name.
        facts: Numbers for the manifest.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """Where a rank writes: the first rank tells each."""

    folder: Path
    file: str
    rank: str


@dataclass(frozen=True)
class _Shard:
    """What a rank wrote: it tells the first one."""

    place: str
    file: str
    record: FileRecord


class ShardWriter(StorageWriter):
    """Writes one checkpoint, whole or not at all.

    Args:
        path: Where the finished folder lies; an older checkpoint there is replaced.
        content: What the first rank adds.

    Note:
        `discard` it when saving fails.
    """

    def __init__(self, path: Path, content: CheckpointContent) -> None:
        self.path = path
        self._content = content
        self._open = contextlib.ExitStack()
        self._folder: Path | None = None

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: a writer writes one checkpoint."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the plan tells each rank where to write."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Make the temporary folder and tell each rank its file."""
        check_output(self.path, "checkpoint")
        with explain_failed_write(self.path):
            self._folder = self._open.enter_context(atomic_folder(self.path))
        places = [_place(self._folder, rank, len(plans)) for rank in range(len(plans))]
        return [
            replace(plan, storage_data=place) for plan, place in zip(plans, places, strict=True)
        ]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this rank's file, if there is something for it to write."""
        place: _Place = plan.storage_data
        future: Future[list[WriteResult]] = Future()
        try:
            future.set_result(_write_shard(place, plan, planner) if plan.items else [])
        except HunminError as error:
            raise name_place(error, f"{place.rank} on {socket.gethostname()}") from error
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write index and manifest, and give the folder its name."""
        if self._folder is None:
            raise StageFailedError("a checkpoint was finished before it began", where=self.path)
        written = [result for of_rank in results for result in of_rank]
        shards = {result.storage_data.file: result.storage_data for result in written}
        _check_visible(self._folder, shards)
        files = {(r.index.fqn, tuple(r.index.offset or ())): r.storage_data.file for r in written}
        index = CheckpointIndex.of_plan(metadata, files, len(results))
        texts = {**self._content.texts, INDEX_NAME: index.model_dump_json()}
        records = {file: shard.record for file, shard in shards.items()}
        with explain_failed_write(self._folder / MANIFEST_NAME):
            records |= {name: _write_text(self._folder / name, texts[name]) for name in texts}
            manifest = _manifest(records, self._content.facts)
            _write_text(self._folder / MANIFEST_NAME, manifest.model_dump_json(indent=2))
            self._open.close()

    def discard(self, error: BaseException) -> None:
        """Take the temporary folder away after a failure; nothing else was touched."""
        with contextlib.suppress(type(error)):
            self._open.__exit__(type(error), error, error.__traceback__)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Refuse to be chosen by a path alone."""
        return False


def _place(folder: Path, rank: int, num_ranks: int) -> _Place:
    file = f"shard-{rank:05d}-of-{num_ranks:05d}.safetensors"
    return _Place(folder, file, f"rank {rank} of {num_ranks}")


def _write_shard(place: _Place, plan: SavePlan, planner: SavePlanner) -> list[WriteResult]:
    tensors: dict[str, Tensor] = {}
    for item in plan.items:
        value = planner.resolve_data(item)
        if not isinstance(value, Tensor) or item.index.fqn in tensors:
            raise StageFailedError(
                "a rank can write one part of each tensor, and nothing but tensors",
                where=item.index.fqn,
                given=type(value).__name__,
            )
        tensors[item.index.fqn] = value
    record = write_tensor_file(place.folder / place.file, tensors)
    shard = _Shard(socket.gethostname(), place.file, record)
    return [WriteResult(item.index, 0, shard) for item in plan.items]


def _check_visible(folder: Path, shards: Mapping[str, _Shard]) -> None:
    """What other nodes wrote must lie here too, or the checkpoint would be in pieces."""
    for name, shard in shards.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != shard.record.bytes:
            raise StageFailedError(
                "a file of a checkpoint that another node wrote cannot be seen here",
                where=file,
                given=f"written on {shard.place}",
                hint="checkpoints need a disk that all nodes share: name one with --run-dir",
            )


def _write_text(path: Path, text: str) -> FileRecord:
    path.write_text(text, encoding="utf-8")
    return FileRecord(bytes=path.stat().st_size, sha256=sha256_file(path))


def _manifest(records: dict[str, FileRecord], facts: Mapping[str, Any]) -> Manifest:
    return Manifest(
        kind="checkpoint",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        hunmin=hunmin.__version__,
        commit=source_commit(),
        files=dict(sorted(records.items())),
        versions=package_versions(),
        facts=dict(facts),
    )


class ShardReader(StorageReader):
    """Reads the parts of a checkpoint that this rank needs, byte range by byte range.

    Args:
        checkpoint: A finished checkpoint.
    """

    def __init__(self, checkpoint: Artifact) -> None:
        self._checkpoint = checkpoint
        self.index = CheckpointIndex.read(checkpoint.path)
        self._files = self.index.files()

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: a reader reads one checkpoint."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return what the checkpoint holds."""
        return self.index.as_metadata()

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Do nothing: all ranks read alike."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read what the plan says, file by file."""
        by_file: dict[str, list[ReadItem]] = {}
        for item in plan.items:
            offsets = tuple(item.storage_index.offset or ())
            by_file.setdefault(self._files[item.storage_index.fqn, offsets], []).append(item)
        for name, items in sorted(by_file.items()):
            with self._explain_unreadable(name) as path, safe_open(path, framework="pt") as file:
                for item in items:
                    _read_part(file, item, planner)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @contextlib.contextmanager
    def _explain_unreadable(self, name: str) -> Iterator[Path]:
        path = self._checkpoint.path / name
        try:
            if name not in self._checkpoint.manifest.files:
                raise FileNotFoundError(f"{name} is not in the manifest")
            yield path
        except (OSError, SafetensorError) as error:
            raise CorruptArtifactError(
                "a part of a checkpoint cannot be read",
                where=path,
                given=str(error),
                hint="restore it from a copy, or move this checkpoint away: an older one is used",
            ) from error

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Refuse to be chosen by a path alone."""
        return False


def _read_part(file: Any, item: ReadItem, planner: LoadPlanner) -> None:
    box = tuple(
        slice(start, start + length)
        for start, length in zip(item.storage_offsets, item.lengths, strict=True)
    )
    name = item.storage_index.fqn
    part = file.get_slice(name)[box] if box else file.get_tensor(name)
    target = planner.resolve_tensor(item).detach()
    target.copy_(part)
    planner.commit_tensor(item, target)

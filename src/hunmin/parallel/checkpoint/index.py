"""index.json: which tensors a checkpoint holds, and which file has which part of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.spec import Spec

INDEX_NAME = "index.json"


class ChunkRecord(Spec):
    """A part of a tensor: a box in it, whole in one file under the tensor's name."""

    offsets: tuple[int, ...]
    """Where the box starts, for each dimension."""
    sizes: tuple[int, ...]
    """How long it is, for each dimension."""
    file: str
    """Safetensors file beside the index."""


class TensorRecord(Spec):
    """A tensor, in parts that do not overlap and leave nothing out."""

    shape: tuple[int, ...]
    """Of the whole tensor."""
    dtype: str
    """Name of its type in torch, such as float32."""
    chunks: tuple[ChunkRecord, ...]
    """Its parts."""

    @property
    def torch_dtype(self) -> torch.dtype:
        """Its type."""
        dtype = getattr(torch, self.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise CorruptArtifactError(
                "a checkpoint names a type of numbers that torch does not have",
                where=INDEX_NAME,
                given=self.dtype,
                hint="install the torch that the manifest names, or a newer one",
            )
        return dtype


class CheckpointIndex(Spec):
    """The tensors of a checkpoint."""

    world_size: int
    """Ranks that wrote it."""
    tensors: dict[str, TensorRecord]
    """By name."""

    @staticmethod
    def read(folder: Path) -> CheckpointIndex:
        """Read the index of a checkpoint.

        Args:
            folder: The checkpoint.

        Returns:
            Its index.

        Raises:
            CorruptArtifactError: It is missing or cannot be read.
        """
        path = folder / INDEX_NAME
        try:
            return CheckpointIndex.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise CorruptArtifactError(
                "the index of a checkpoint cannot be read; an older hunmin wrote none",
                where=path,
                hint="move this checkpoint's folder away: an older one is used then",
            ) from error

    @staticmethod
    def of_plan(
        metadata: Metadata, files: dict[tuple[str, tuple[int, ...]], str], world_size: int
    ) -> CheckpointIndex:
        """Return the index of what was planned and written.

        Args:
            metadata: From the planner.
            files: File of each chunk, by name and offsets.
            world_size: Ranks that wrote.

        Returns:
            The index.
        """
        tensors = {}
        for name, entry in sorted(metadata.state_dict_metadata.items()):
            if isinstance(entry, TensorStorageMetadata):
                chunks = (_chunk_record(name, chunk, files) for chunk in entry.chunks)
                dtype = str(entry.properties.dtype).removeprefix("torch.")
                tensors[name] = TensorRecord(shape=entry.size, dtype=dtype, chunks=tuple(chunks))
        return CheckpointIndex(world_size=world_size, tensors=tensors)

    def as_metadata(self) -> Metadata:
        """Return the same for a planner of torch.distributed.checkpoint."""
        return Metadata({name: _as_metadata(record) for name, record in self.tensors.items()})

    def files(self) -> dict[tuple[str, tuple[int, ...]], str]:
        """Return the file of each chunk, by name and offsets."""
        return {
            (name, chunk.offsets): chunk.file
            for name, record in self.tensors.items()
            for chunk in record.chunks
        }

    def names(self, prefix: str) -> Iterable[str]:
        """Return the names that start with a prefix, without it."""
        return [name.removeprefix(prefix) for name in self.tensors if name.startswith(prefix)]


def _chunk_record(
    name: str, chunk: ChunkStorageMetadata, files: dict[tuple[str, tuple[int, ...]], str]
) -> ChunkRecord:
    offsets = tuple(chunk.offsets)
    return ChunkRecord(offsets=offsets, sizes=tuple(chunk.sizes), file=files[name, offsets])


def _as_metadata(record: TensorRecord) -> Any:
    chunks = [
        ChunkStorageMetadata(torch.Size(chunk.offsets), torch.Size(chunk.sizes))
        for chunk in record.chunks
    ]
    properties = TensorProperties(dtype=record.torch_dtype)
    return TensorStorageMetadata(properties, torch.Size(record.shape), chunks)

"""Hugging Face folders in and out of a sharded model: no process ever holds the whole of it.

    in     each rank reads from the files the stretches of rows and columns that it keeps
    out    parameters become whole one after the other; the rank that writes their file keeps them

Files are shared out over the ranks, those of different nodes first, and written while the next
ones are gathered.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from hunmin.core.atomic import atomic_write_text, is_disk_full
from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    DiskFullError,
    MissingInputError,
    StageFailedError,
)
from hunmin.models.pieces import held_part, held_pieces, part_shape, pieces_at

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
DEFAULT_SHARD_BYTES = 5_000_000_000
_NAMES_IN_MESSAGES = 5
_all_gather = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)  # torch 2.13 renames


@torch.no_grad()
def load_folder(model: nn.Module, folder: Path) -> None:
    """Fill a model with the weights of a Hugging Face folder, each rank its own part.

    Args:
        model: Sharded or not, on a device. Tied parameters are read once.
        folder: With model.safetensors, or many files and model.safetensors.index.json.

    Raises:
        MissingInputError: There are no such files.
        ArtifactMismatchError: Names or shapes are not those of the model.
        CorruptArtifactError: A file is damaged.

    Note:
        Collectives: none; every rank reads by itself. Memory: one stretch of rows of one
        parameter at a time beyond the model. Weights are converted to the model's type. A root
        of FSDP2 keeps its own parameters gathered after a forward pass without a backward pass:
        `reshard()` it first, or what is read into them is lost.
    """
    with ExitStack() as stack:
        files = _open_files(folder, stack)
        wanted = _match_names(model, files, folder)
        for name, tensor in wanted.items():
            _fill(tensor, files[name], name, folder)


def save_folder(
    model: nn.Module,
    folder: Path,
    *,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
    ranks_per_node: int = 1,
) -> None:
    """Write the weights of a model as stock transformers reads them.

    Args:
        model: Sharded or not.
        folder: An existing folder on a disk that all ranks see.
        max_shard_bytes: Files are not larger, unless a single parameter is.
        ranks_per_node: Neighbouring ranks that share a node.

    Raises:
        DiskFullError: No space was left for a file; raised on every rank.
        StageFailedError: A file could not be written; raised on every rank.

    Note:
        Collective with several ranks. Memory: one whole parameter on each device, and two files
        in the memory of a rank that writes.
    """
    tensors = _saved_tensors(model)
    files = _plan_files(tensors, max_shard_bytes)
    writers = _writers(len(files), ranks_per_node)
    pool = _BackgroundWriter(folder)
    with pool:
        for (file, names), writer in zip(files.items(), writers, strict=True):
            kept = {}
            for name in names:
                whole = whole_tensor(tensors[name])
                if writer == _rank():
                    kept[name] = whole.to("cpu", copy=True).contiguous()
            pool.submit(file, kept)
    _raise_together(pool.failure)
    if len(files) > 1 and _rank() == 0:
        _write_index(folder, files, tensors)
    if dist.is_initialized():
        dist.barrier()


@torch.no_grad()
def whole_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor whole on every rank.

    Args:
        tensor: Sharded or not.

    Returns:
        A plain tensor; of a plain one a view.

    Note:
        Collective: an all-gather for each mesh axis along which it is sharded. Memory: the whole
        tensor, twice where the parts are not stretches of rows in the order of the ranks (tensor
        parallelism). `DTensor.full_tensor` warns for each parameter of a 2-D layout.
    """
    if not isinstance(tensor, DTensor):
        return tensor.detach()
    coordinates = list(_sharers(tensor))
    sizes = [math.prod(part_shape(tensor, coordinate)) for coordinate in coordinates]
    flat = tensor.to_local().new_zeros(max(sizes))
    part = held_part(tensor)
    flat[: part.numel()] = part.flatten()
    for axis in reversed(_sharded_axes(tensor)):
        gathered = flat.new_empty(tensor.device_mesh.size(axis) * len(flat))
        _all_gather(gathered, flat, group=tensor.device_mesh.get_group(axis))
        flat = gathered
    if _are_stacked(tensor, coordinates, max(sizes)):
        return flat[: tensor.numel()].view(tensor.shape)
    whole = flat.new_empty(tensor.shape)
    for coordinate, size, own in zip(coordinates, sizes, flat.split(max(sizes)), strict=True):
        part = own[:size].view(part_shape(tensor, coordinate))
        for piece in pieces_at(tensor, coordinate):
            whole[piece.whole] = part[piece.part]
    return whole


def _are_stacked(tensor: DTensor, coordinates: Sequence[tuple[int, ...]], padded_size: int) -> bool:
    """Whether the gathered parts lie one behind the other as the whole does."""
    row = math.prod(tensor.shape[1:])
    for number, coordinate in enumerate(coordinates):
        pieces = pieces_at(tensor, coordinate)
        widths = math.prod(part_shape(tensor, coordinate)[1:])
        starts = [piece.whole[0].start * row for piece in pieces]
        if len(pieces) > 1 or (pieces and (widths != row or starts != [number * padded_size])):
            return False
    return True


def _sharded_axes(tensor: DTensor) -> list[int]:
    return [axis for axis, kind in enumerate(tensor.placements) if not kind.is_replicate()]


def _sharers(tensor: DTensor) -> Iterator[tuple[int, ...]]:
    """Return the coordinates of the ranks that hold the parts, in the order of the gathers."""
    mesh, axes = tensor.device_mesh, _sharded_axes(tensor)
    own = mesh.get_coordinate() or [0] * mesh.ndim
    places = [range(mesh.size(a)) if a in axes else (own[a],) for a in range(mesh.ndim)]
    return itertools.product(*places)


# -- in ------------------------------------------------------------------------------------------


def _open_files(folder: Path, stack: ExitStack) -> dict[str, Any]:
    """Return an open file for each name of a tensor."""
    paths = [folder / file for file in _file_names(folder)]
    opened: dict[str, Any] = {}
    for path in paths:
        if not path.is_file():
            raise MissingInputError(
                "a file of weights is missing",
                where=path,
                allowed=", ".join(p.name for p in paths[:_NAMES_IN_MESSAGES]),
                hint="copy the folder again, with all its files",
            )
        try:
            file = stack.enter_context(safe_open(path, framework="pt", device="cpu"))
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from error
        opened |= dict.fromkeys(file.keys(), file)
    return opened


def _file_names(folder: Path) -> list[str]:
    index = folder / INDEX_FILE
    if not index.is_file():
        return [SINGLE_FILE]
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise _damaged(index, error) from error


def _damaged(path: Path, error: Exception) -> CorruptArtifactError:
    return CorruptArtifactError(
        "the weights cannot be read", where=path, given=repr(error), hint="copy them again"
    )


def _match_names(model: nn.Module, files: Mapping[str, Any], folder: Path) -> dict[str, Tensor]:
    """Return the model's tensors by their names in the files."""
    wanted: dict[str, Tensor] = {}
    missing: list[str] = []
    known: set[str] = set()
    for names, tensor in _tied_names(model):
        spellings = [s for name in names for s in _spellings(model, name)]
        known |= set(spellings)
        found = next((name for name in spellings if name in files), None)
        if found is None:
            missing.append(names[0])
        else:
            wanted[found] = tensor
    unexpected = [name for name in files if name not in known and not _is_ignored(model, name)]
    if missing or unexpected:
        raise ArtifactMismatchError(
            "the weights of this folder are those of another model",
            where=folder,
            given=f"missing: {_some(missing)}; unexpected: {_some(unexpected)}",
            allowed=f"the names of {type(model).__name__}",
            hint="build the model with the folder's own config.json",
        )
    return wanted


def _tied_names(model: nn.Module) -> list[tuple[list[str], Tensor]]:
    """Return every saved tensor once, with all names it has."""
    grouped: dict[int, tuple[list[str], Tensor]] = {}
    for name, tensor in _state(model):
        grouped.setdefault(id(tensor), ([], tensor))[0].append(name)
    return list(grouped.values())


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    for owner_name, owner in model.named_modules():
        for name, buffer in owner.named_buffers(recurse=False):
            if name not in owner._non_persistent_buffers_set:
                yield f"{owner_name}.{name}".lstrip("."), buffer


def _spellings(model: nn.Module, name: str) -> list[str]:
    """Files written from a model without its head lack the prefix of the base model."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    return [name, name.removeprefix(prefix)] if name.startswith(prefix) else [name]


def _is_ignored(model: nn.Module, name: str) -> bool:
    patterns = getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()
    return any(re.search(pattern, name) for pattern in patterns)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_IN_MESSAGES]) or "none"
    rest = len(names) - _NAMES_IN_MESSAGES
    return f"{shown} and {rest} more" if rest > 0 else shown


def _fill(tensor: Tensor, file: Any, name: str, folder: Path) -> None:
    stored = file.get_slice(name)
    if tuple(stored.get_shape()) != tuple(tensor.shape):
        raise ArtifactMismatchError(
            "a weight of this folder has another shape than the model's",
            where=folder,
            given=f"{name} {tuple(stored.get_shape())}",
            allowed=tuple(tensor.shape),
            hint="build the model with the folder's own config.json",
        )
    part = held_part(tensor)
    if not tensor.shape:
        part.copy_(file.get_tensor(name))
        return
    for piece in held_pieces(tensor):
        part[piece.part].copy_(stored[piece.whole])


# -- out -----------------------------------------------------------------------------------------


def _saved_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return what a folder holds: of tied tensors the first name only."""
    return {names[0]: tensor for names, tensor in _tied_names(model)}


def _plan_files(tensors: Mapping[str, Tensor], max_bytes: int) -> dict[str, list[str]]:
    groups: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        if groups[-1] and size + _bytes(tensor) > max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += _bytes(tensor)
    if len(groups) == 1:
        return {SINGLE_FILE: groups[0]}
    count = len(groups)
    return {f"model-{i:05}-of-{count:05}.safetensors": g for i, g in enumerate(groups, 1)}


def _writers(count: int, ranks_per_node: int) -> list[int]:
    """Return the rank that writes each file: one of each node, then the next of each node."""
    ranks = range(dist.get_world_size() if dist.is_initialized() else 1)
    order = sorted(ranks, key=lambda rank: (rank % ranks_per_node, rank))
    return [order[index % len(order)] for index in range(count)]


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


@dataclass
class _BackgroundWriter:
    """Writes one file while the next one is gathered; a failure waits until all ranks are done."""

    folder: Path
    failure: Exception | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _running: Future[None] | None = None

    def __enter__(self) -> _BackgroundWriter:
        return self

    def __exit__(self, *reason: object) -> None:
        self._finish()
        self._pool.shutdown()

    def submit(self, file: str, tensors: dict[str, Tensor]) -> None:
        if not tensors:
            return
        self._finish()
        if self.failure is None:
            self._running = self._pool.submit(
                save_file, tensors, self.folder / file, metadata={"format": "pt"}
            )

    def _finish(self) -> None:
        if self._running is not None:
            self.failure = self.failure or self._running.exception()  # type: ignore[assignment]
            self._running = None


def _raise_together(failure: Exception | None) -> None:
    """Let every rank know of a failure of one."""
    own = (repr(failure), is_disk_full(failure)) if failure else None
    failures: list[tuple[str, bool] | None] = [own]
    if dist.is_initialized():
        failures = [None] * dist.get_world_size()
        dist.all_gather_object(failures, own)
    for rank, found in enumerate(failures):
        if found is not None:
            kind = DiskFullError if found[1] else StageFailedError
            raise kind(
                "a file of weights could not be written",
                where=f"rank {rank}",
                given=found[0],
                hint="free some space or choose another place, then run it again",
            ) from failure


def _write_index(
    folder: Path, files: Mapping[str, Sequence[str]], tensors: Mapping[str, Tensor]
) -> None:
    facts = {
        "total_parameters": sum(tensor.numel() for tensor in tensors.values()),
        "total_size": sum(map(_bytes, tensors.values())),
    }
    places = {name: file for file, names in files.items() for name in names}
    index = {"metadata": facts, "weight_map": dict(sorted(places.items()))}
    atomic_write_text(folder / INDEX_FILE, json.dumps(index, indent=2) + "\n")

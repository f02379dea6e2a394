"""Safetensors files written in one pass: straight from memory, hashed on the way, flushed to disk.

The library's own writer copies every tensor first and leaves the hash to a second pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from hunmin.core.artifact import FileRecord
from hunmin.core.atomic import explain_disk_full
from hunmin.core.errors import HunminError, StageFailedError

_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}


def write_tensor_file(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> FileRecord:
    """Write a new safetensors file and flush it to disk.

    Args:
        path: Where; nothing lies there yet.
        tensors: Dense tensors by name, on any device.
        notes: Texts for the header's `__metadata__`.

    Returns:
        Size and checksum.

    Raises:
        DiskFullError: No space was left.
        StageFailedError: The file cannot be written for another reason.

    Source:
        https://github.com/huggingface/safetensors#format
    """
    names = _in_order(tensors)
    digest = hashlib.sha256()
    with explain_failed_write(path), path.open("xb") as file:
        for block in _blocks(names, tensors, notes or {}):
            file.write(block)
            digest.update(block)
        file.flush()
        os.fsync(file.fileno())
        return FileRecord(bytes=file.tell(), sha256=digest.hexdigest())


def write_memory_file(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> int:
    """Write a safetensors file whole or not at all where no power cut is survived anyway.

    Args:
        path: Where, on a memory file system; an older file there is replaced.
        tensors: Dense tensors by name, on any device.
        notes: Texts for the header's `__metadata__`.

    Returns:
        Its size in bytes.

    Raises:
        DiskFullError: No space was left.
        StageFailedError: The file cannot be written for another reason.
    """
    names = _in_order(tensors)
    # Ranks that count as several nodes may share one memory: each has a draft of its own.
    draft = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with explain_failed_write(path):
        try:
            with draft.open("wb") as file:
                file.writelines(_blocks(names, tensors, notes))
                size = file.tell()
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return size


def file_size(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> int:
    """Return how large the file of these tensors and notes will be, in bytes."""
    names = _in_order(tensors)
    data = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return len(_header(names, tensors, notes)) + data


def _in_order(tensors: Mapping[str, Tensor]) -> list[str]:
    """Wider types first, so that each tensor starts at a multiple of its element's size."""
    return sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))


def _blocks(
    names: list[str], tensors: Mapping[str, Tensor], notes: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    yield _header(names, tensors, notes)
    for name in names:
        yield _bytes_of(tensors[name])


def _header(names: list[str], tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(notes)} if notes else {}
    start = 0
    for name in names:
        tensor = tensors[name]
        end = start + tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes_of(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


@contextlib.contextmanager
def explain_failed_write(path: Path) -> Iterator[None]:
    """Turn what an operating system says about a failed write into errors that say what to do.

    Args:
        path: What is being written.

    Yields:
        Nothing.

    Raises:
        DiskFullError: No space was left.
        StageFailedError: The file cannot be written for another reason.
    """
    try:
        with explain_disk_full(path):
            yield
    except HunminError:
        raise
    except FileNotFoundError as error:
        raise StageFailedError(
            "the folder of a checkpoint is not there on this node, or was taken away",
            where=path.parent,
            hint="checkpoints need a disk that all nodes share: name one with --run-dir",
        ) from error
    except OSError as error:
        raise StageFailedError(
            "a file of a checkpoint cannot be written; nothing half-written was kept",
            where=path,
            given=error.strerror or str(error),
            hint="check the disk and the limits of this user (ulimit -f), then run it again",
        ) from error

"""Safetensors files of our own writer, as the library reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hunmin.core.errors import StageFailedError
from hunmin.parallel.checkpoint.tensor_file import (
    file_size,
    write_memory_file,
    write_tensor_file,
)

TYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)


def some_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        str(dtype): torch.randn(3, 5, generator=generator).mul(40).abs().to(dtype)
        for dtype in TYPES
    }
    square = torch.randn(4, 4, generator=generator)
    return tensors | {
        "scalar": torch.tensor(7.0),
        "empty": torch.empty(0, 4),
        "transposed": square.T,
        "column|이름": square[:, 1],
    }


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    tensors, path = some_tensors(), tmp_path / "a.safetensors"
    record = write_tensor_file(path, tensors, {"note": "설명"})
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        as_bytes = (t.contiguous().reshape(-1).view(torch.uint8) for t in (loaded[name], tensor))
        assert torch.equal(*as_bytes)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"note": "설명"}
    content = path.read_bytes()
    assert record.bytes == len(content) == file_size(tensors, {"note": "설명"})
    assert record.sha256 == hashlib.sha256(content).hexdigest()


def test_data_starts_at_multiples_of_eight(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for length in range(1, 9):
        write_memory_file(path, {"x" * length: torch.ones(1)}, {})
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_a_file_in_memory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    size = write_memory_file(path, {"a": torch.ones(3)}, {})
    assert size == path.stat().st_size
    with pytest.raises(KeyError):
        write_memory_file(path, {"a": torch.ones(3, dtype=torch.complex64)}, {})
    assert load_file(path)["a"].tolist() == [1, 1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_is_not_there_names_the_shared_disk(tmp_path: Path) -> None:
    with pytest.raises(StageFailedError, match=r"not there on this node[\s\S]*--run-dir"):
        write_tensor_file(tmp_path / "gone" / "a.safetensors", {"a": torch.ones(1)})

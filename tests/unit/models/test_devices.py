"""Devices and failed allocations."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from hunmin.core.errors import InputError, OutOfMemoryError
from hunmin.models.devices import explain_out_of_memory, pick_device


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "cpu:7", "meta"])
def test_absent_devices_are_refused_with_those_present(name: str) -> None:
    with pytest.raises(InputError, match="allowed: cpu"):
        pick_device(name)


def test_a_real_failed_allocation_says_what_to_change() -> None:
    with (
        pytest.raises(OutOfMemoryError, match="lower the batch") as caught,
        explain_out_of_memory("lower the batch"),
    ):
        torch.empty(1 << 50)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_both_kinds_are_translated(error: Exception) -> None:
    with pytest.raises(OutOfMemoryError, match="halve it"), explain_out_of_memory("halve it"):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), explain_out_of_memory("halve it"):
        raise RuntimeError("shape mismatch")


def test_an_explained_error_is_not_explained_twice() -> None:
    inner = OutOfMemoryError("full", hint="inner")
    with pytest.raises(OutOfMemoryError) as caught, explain_out_of_memory("outer"):
        raise inner
    assert caught.value is inner


def test_the_spec_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, hunmin.models.spec;"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

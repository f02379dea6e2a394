"""Which type matrix products run in."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch
from torch import Tensor

from hunmin.core.errors import InputError

Precision = Literal["bf16", "fp32"]


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """Return autocast's type where autocast is on, else the tensor's own."""
    device = tensor.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return tensor.dtype


def has_fast_bf16(device: torch.device) -> bool:
    """Tell whether bf16 matrix products are faster than fp32 ones on a device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(
    wanted: Literal["auto", "bf16", "fp32"], device: torch.device, *, where: str
) -> Precision:
    """Return the precision of matrix products on a device.

    Args:
        wanted: What the recipe says; "auto" is bf16 where the device is fast at it, else fp32.
        device: Where the model lies.
        where: Key of the recipe, for messages.

    Returns:
        bf16 or fp32.

    Raises:
        InputError: bf16 was asked of a GPU that has no such arithmetic.
    """
    if wanted == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    if wanted == "bf16" and device.type == "cuda" and not has_fast_bf16(device):
        raise InputError("this GPU has no bf16 arithmetic", where=where, allowed="fp32 or auto")
    return wanted


def autocast(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """Return a context in which matrix products run in the given precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

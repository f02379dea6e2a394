"""Which device a model runs on, and what to do when it does not fit there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from hunmin.core.errors import InputError, OutOfMemoryError

_ALLOCATION_MARKS = ("can't allocate memory", "not enough memory", "out of memory")


def pick_device(name: str | None = None) -> torch.device:
    """Return the device to run on.

    Args:
        name: Such as "cpu" or "cuda:1"; None for the first CUDA device if there is one.

    Returns:
        The device.

    Raises:
        InputError: There is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _no_such_device(name) from error
    available = torch.cuda.device_count() if device.type == "cuda" else int(device.type == "cpu")
    if (device.index or 0) >= available:
        raise _no_such_device(name)
    return device


@contextlib.contextmanager
def explain_out_of_memory(hint: str, *, where: str | None = None) -> Iterator[None]:
    """Turn a failed allocation into an error that says what to change.

    Args:
        hint: What to change, such as "lower train.microbatch_tokens".
        where: What was being done.

    Yields:
        Nothing.

    Raises:
        OutOfMemoryError: The device or the host ran out of memory.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not _is_allocation_failure(error):
            raise
        raise OutOfMemoryError(
            "there is not enough memory",
            where=where,
            given=str(error).splitlines()[0] if str(error) else "an allocation failed",
            hint=hint,
        ) from error


def _is_allocation_failure(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(mark in str(error).lower() for mark in _ALLOCATION_MARKS)


def _no_such_device(name: str) -> InputError:
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return InputError(
        "there is no such device",
        given=name,
        allowed=", ".join(devices),
        hint="`hunmin doctor` lists the devices of this machine",
    )

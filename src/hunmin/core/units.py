"""Numbers as people write and read them."""

from __future__ import annotations

import re

from hunmin.core.errors import InputError

_MULTIPLIERS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}


def parse_count(text: str | int | float) -> int:
    """Return 5_000_000 for "5M"; the suffixes are K, M, G or B, and T, in powers of 1,000.

    Args:
        text: A number with an optional suffix, or a plain number.

    Returns:
        The count, rounded to a whole number.

    Raises:
        InputError: The text is not a number with one of the suffixes.
    """
    match = re.fullmatch(r"\s*([0-9][0-9_,]*\.?[0-9]*)\s*([KMGBT]?)\s*", str(text), re.IGNORECASE)
    if match is None:
        raise InputError(
            "not a count", given=repr(text), allowed="a number such as 5M, 350M, 1.3B or 5000000"
        )
    number = float(match[1].replace("_", "").replace(",", ""))
    return round(number * _MULTIPLIERS[match[2].upper()])


def format_count(count: float) -> str:
    """Return "5.2M" for 5_200_000."""
    for suffix in ("T", "B", "M", "K"):
        if abs(count) >= _MULTIPLIERS[suffix]:
            return f"{count / _MULTIPLIERS[suffix]:.3g}{suffix}"
    return f"{count:.3g}"


def format_bytes(num_bytes: float) -> str:
    """Return "1.5 GB" for 1_500_000_000 (powers of 1,000)."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(num_bytes) >= 1000**power:
            return f"{num_bytes / 1000**power:.3g} {unit}"
    return f"{num_bytes:.0f} B"


def format_duration(seconds: float) -> str:
    """Return "1 h 02 min", "3 min 20 s" or "4.1 s"."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{seconds:.1f} s"

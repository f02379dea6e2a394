"""Numbers as people write and read them.

Counts take a suffix (5M), quantities take a unit (400 Gbps, 40 GB, 312 TFLOPS, 30 ms). A quantity
without its unit is refused, and so is a unit that may be bits or bytes: nobody sees a factor of
eight in a bandwidth before the cluster is rented.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path

from hunmin.core.errors import InputError

_MULTIPLIERS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTP", start=1)}
_SMALL = {prefix.lower(): factor for prefix, factor in _DECIMAL.items()}


def _spellings(prefixes: Mapping[str, int], units: tuple[str, ...]) -> dict[str, int]:
    pairs = itertools.product(prefixes.items(), units)
    return {f"{prefix}{unit}": factor for (prefix, factor), unit in pairs}


_BYTES = _spellings(_DECIMAL | _BINARY, ("B", "byte", "bytes")) | _spellings(_SMALL, ("b",))
del _BYTES["b"]  # five bits
_BITS = _spellings(_DECIMAL, ("b", "bit", "bits"))
_BYTE_RATES = _spellings(_DECIMAL | _BINARY, ("B/s", "Bps", "byte/s", "bytes/s"))
_BIT_RATES = _spellings(_DECIMAL, ("b/s",)) | _spellings(
    _DECIMAL | _SMALL, ("bps", "bit/s", "bits/s")
)
_BANDWIDTHS = {unit: factor / 8 for unit, factor in _BIT_RATES.items()} | _BYTE_RATES
_AMBIGUOUS_RATES = ("mb/s", "gb/s", "tb/s", "pb/s")
_FLOPS = {
    unit.lower(): factor
    for unit, factor in _spellings(_DECIMAL, ("FLOPS", "FLOP/s", "FLOPs/s")).items()
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("week", "weeks"), 604_800.0),
}
_PER_SECOND = {"ms": 1e3, **dict.fromkeys(("us", "µs", "μs"), 1e6), "ns": 1e9}
_NUMBER = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([^\d\s.,+-][^\d.,]*)?")
_DEVICE_HOURS = re.compile(
    r"([kKMB]?) ?(?:gpu|device|accelerator|cpu)[- ]?(h|hours?|days?)", re.IGNORECASE
)


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


def parse_tokens(text: str | int | float, *, where: str | Path | None = None) -> int:
    """Return 300_000_000_000 for "300B tokens"; the word may be left out.

    Args:
        text: A count as `parse_count` takes it, with or without "tokens".
        where: What the number is for, for the message.

    Returns:
        The count.

    Raises:
        InputError: The text is no such number.
    """
    bare = re.sub(r"(?<=[\w.])\s*tokens?\s*$", "", str(text), flags=re.IGNORECASE)
    try:
        return parse_count(bare)
    except InputError as error:
        raise InputError(
            "not a number of tokens",
            where=where,
            given=repr(text),
            allowed="a number such as 300B, 1.5T or '300B tokens'",
        ) from error


def parse_bandwidth(text: str, *, where: str | Path | None = None) -> float:
    """Return bytes a second: 5e10 for "400 Gbps" (bits) and for "50 GB/s" (bytes).

    Args:
        text: A number with its unit. A small b is a bit, a large B is a byte; `gb/s`, which may
            be either, is refused.
        where: What the bandwidth is for, for the message.

    Returns:
        Bytes a second, at least 0.

    Raises:
        InputError: No such number, no unit, a unit of bytes without "a second", or an ambiguous
            one.
    """
    allowed = "bits a second such as 400Gbps or 3.2 Tb/s, or bytes a second such as 50 GB/s"
    number, unit = _split(text, "bandwidth", allowed, where)
    if unit in _BANDWIDTHS:
        return number * _BANDWIDTHS[unit]
    raise InputError(
        "not a bandwidth",
        where=where,
        given=repr(text),
        allowed=allowed,
        hint=_bandwidth_hint(str(text), unit),
    )


def _bandwidth_hint(text: str, unit: str) -> str:
    if unit in _BYTES or unit in _BITS:
        return f"say a second: {text.strip()}/s, and Gb for gigabits, GB for gigabytes"
    if unit.lower() in _AMBIGUOUS_RATES or unit.lower().endswith("bps"):
        return "bits or bytes? write Gbps or Gb/s for gigabits, GB/s for gigabytes"
    return "networks are sold in Gbps, links within a node in GB/s"


def parse_bytes(text: str, *, where: str | Path | None = None) -> int:
    """Return 40_000_000_000 for "40 GB" and 42_949_672_960 for "40 GiB".

    Args:
        text: A number with its unit: powers of 1,000 (kB, MB, GB, TB, PB) or of 1,024 (KiB to
            PiB). All in small letters (gb) means bytes as well; Gb, gigabits, is refused.
        where: What the bytes are of, for the message.

    Returns:
        Bytes, rounded to a whole number.

    Raises:
        InputError: No such number, or no unit.
    """
    allowed = "bytes such as 40 GB (powers of 1,000) or 40 GiB (powers of 1,024)"
    number, unit = _split(text, "number of bytes", allowed, where)
    if unit in _BYTES:
        return round(number * _BYTES[unit])
    bits = "Gb are gigabits; write GB for gigabytes" if unit in _BITS else None
    hint = bits or "write the unit out: GB or GiB"
    raise InputError(
        "not a number of bytes", where=where, given=repr(text), allowed=allowed, hint=hint
    )


def parse_flops(text: str, *, where: str | Path | None = None) -> float:
    """Return 3.12e14 for "312 TFLOPS".

    Args:
        text: A number with its unit, such as TFLOPS, TFLOP/s or PFLOPS.
        where: What the rate is of, for the message.

    Returns:
        Operations a second, at least 0.

    Raises:
        InputError: No such number, no unit, or operations without "a second".
    """
    allowed = "operations a second such as 312 TFLOPS, 312 TFLOP/s or 1.979 PFLOPS"
    number, unit = _split(text, "rate of operations", allowed, where)
    if unit.lower() in _FLOPS:
        return number * _FLOPS[unit.lower()]
    hint = f"say a second: {text.strip()}/s" if unit.lower().endswith("flop") else None
    raise InputError(
        "not a rate of operations", where=where, given=repr(text), allowed=allowed, hint=hint
    )


def parse_seconds(text: str, *, where: str | Path | None = None) -> float:
    """Return 0.03 for "30 ms" and 5400.0 for "1 h 30 min".

    Args:
        text: One or more numbers with units: ns, us, ms, s, min, h, days or weeks.
        where: What the time is for, for the message.

    Returns:
        Seconds, at least 0.

    Raises:
        InputError: No such number, or no unit.
    """
    allowed = "a time such as 5us, 30 ms, 12 s, 45 min, 2 h, '1 h 30 min' or 13.4 days"
    parts = _QUANTITY.findall(str(text))
    units = [unit.strip().lower() for _, unit in parts]
    known = _SECONDS.keys() | _PER_SECOND.keys()
    if not parts or _QUANTITY.sub("", str(text)).strip() or not known.issuperset(units):
        hint = "m may be minutes or months; write min" if "m" in units else None
        raise InputError("not a time", where=where, given=repr(text), allowed=allowed, hint=hint)
    numbers = [_to_number(number) for number, _ in parts]
    return _finite(sum(map(_to_seconds, numbers, units)), text, allowed, where)


def _to_seconds(number: float, unit: str) -> float:
    """Divide by what is a whole number, so that 5 us are exactly 5e-6 s."""
    return number / _PER_SECOND[unit] if unit in _PER_SECOND else number * _SECONDS[unit]


def parse_device_hours(text: str, *, where: str | Path | None = None) -> float:
    """Return 10_000.0 for "10000gpu-hours": devices times hours.

    Args:
        text: A number, with a suffix such as 10k if you like, and gpu-hours, device-hours or
            gpu-days.
        where: What the budget is for, for the message.

    Returns:
        Device hours, at least 0.

    Raises:
        InputError: No such number, or no such unit.
    """
    allowed = "devices times hours, such as 10000gpu-hours, '10k GPU hours' or 500 gpu-days"
    number, unit = _split(text, "number of device hours", allowed, where)
    match = _DEVICE_HOURS.fullmatch(unit)
    if match is None:
        raise InputError(
            "not a number of device hours",
            where=where,
            given=repr(text),
            allowed=allowed,
            hint="64 devices for 10 hours are 640gpu-hours",
        )
    hours = 24 if match[2].lower().startswith("day") else 1
    return number * _MULTIPLIERS[match[1].upper()] * hours


def _split(text: object, kind: str, allowed: str, where: str | Path | None) -> tuple[float, str]:
    """Return the number and the unit without the blanks around it."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise InputError(f"not a {kind}", where=where, given=repr(text), allowed=allowed)
    if match[2] is None:
        raise InputError(f"a {kind} needs its unit", where=where, given=repr(text), allowed=allowed)
    return _finite(_to_number(match[1]), text, allowed, where), match[2].strip()


def _to_number(text: str) -> float:
    return float(text.replace("_", "").replace(",", ""))


def _finite(number: float, text: object, allowed: str, where: str | Path | None) -> float:
    if not math.isfinite(number):
        raise InputError("this number is too large", where=where, given=repr(text), allowed=allowed)
    return number


def format_bandwidth(bytes_per_second: float) -> str:
    """Return "50 GB/s" for 5e10, as links within a node are described."""
    return f"{format_bytes(bytes_per_second)}/s"


def format_network(bytes_per_second: float) -> str:
    """Return "400 Gbps" for 5e10 bytes a second, as networks are sold: in bits."""
    return _with_prefix(8 * bytes_per_second, "bps")


def format_flops(flops_per_second: float) -> str:
    """Return "312 TFLOPS" for 3.12e14."""
    return _with_prefix(flops_per_second, "FLOPS")


def format_rate(count_per_second: float, what: str) -> str:
    """Return "12.3K tokens/s" for 12_345 and "tokens"."""
    return f"{format_count(count_per_second)} {what}/s"


def _with_prefix(value: float, unit: str) -> str:
    for prefix in ("P", "T", "G", "M", "k"):
        if abs(value) >= _DECIMAL[prefix]:
            return f"{_significant(value / _DECIMAL[prefix])} {prefix}{unit}"
    return f"{_significant(value)} {unit}"


def _significant(value: float) -> str:
    """Return three digits, or all before the point where there are more."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"

"""The words of `hunmin plan` that are no plain numbers."""

from __future__ import annotations

import re
from typing import Literal

from hunmin.core.errors import InputError

_PER = {"day": 1.0, "week": 7.0, "month": 30.4375, "year": 365.25}
_FAILURES = re.compile(
    r"\s*([0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)\s*(?:/|per|a)\s*(?:gpu|device)[- ](?:and[- ])?"
    rf"({'|'.join(_PER)})\s*",
    re.IGNORECASE,
)


def parse_partition_group(text: str | None) -> int | Literal["world"] | None:
    """Return 16 for "16" and "world" for "world".

    Args:
        text: As given.

    Returns:
        The group, or None if nothing was given.

    Raises:
        InputError: Neither a number nor world.
    """
    if text is None or text == "auto":
        return None
    if text == "world":
        return "world"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise InputError(
        "not a partition group",
        where="--partition-group",
        given=repr(text),
        allowed="a number of devices such as 16, world for all of them, or auto",
    )


def parse_price(text: str | None) -> float | None:
    """Return 32.77 for "32.77".

    Args:
        text: Of a node and hour, as given.

    Returns:
        The price, or None if none was given.

    Raises:
        InputError: It is no number, or less than 0.
    """
    if text is None:
        return None
    try:
        price = float(text.strip().lstrip("$€£¥₩").replace(",", ""))
    except ValueError:
        price = -1.0
    if 0 <= price < float("inf"):
        return price
    raise InputError(
        "not a price",
        where="--price",
        given=repr(text),
        allowed="what a node costs for an hour, in any money, such as 32.77",
        hint="prices change; ask whoever rents the nodes out",
    )


def parse_failures(text: str | None) -> float | None:
    """Return failures of a device in a day for "1e-3/device-day" or "0.2/device-year".

    Args:
        text: As given; "none" for no failures.

    Returns:
        The rate, or None if none was given.

    Raises:
        InputError: No such rate.
    """
    if text is None:
        return None
    if text.strip() in ("0", "none"):
        return 0.0
    match = _FAILURES.fullmatch(text)
    if match is not None:
        return float(match[1]) / _PER[match[2].lower()]
    raise InputError(
        "not a rate of failures",
        where="--failures",
        given=repr(text),
        allowed="such as 1e-3/device-day, 0.2/device-year, or none",
        hint="Llama 3 had 419 on 16,384 GPUs in 54 days: 4.7e-4/device-day",
    )

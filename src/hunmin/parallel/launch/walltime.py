"""Time limits as Slurm writes them."""

from __future__ import annotations

import re

from hunmin.core.errors import InputError

_FORMS = (
    r"(?P<minutes>\d+)",
    r"(?P<minutes>\d+):(?P<seconds>\d+)",
    r"(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)",
    r"(?P<days>\d+)-(?P<hours>\d+)",
    r"(?P<days>\d+)-(?P<hours>\d+):(?P<minutes>\d+)",
    r"(?P<days>\d+)-(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)",
)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def parse_walltime(text: str) -> int:
    """Return the seconds that a time limit stands for.

    Args:
        text: Minutes, or one of the longer forms, such as 24:00:00 or 2-12.

    Returns:
        Seconds, at least 1.

    Raises:
        InputError: It has none of the forms, or is no time at all.
    """
    for form in _FORMS:
        match = re.fullmatch(form, text.strip(), re.ASCII)
        if match is not None:
            parts = match.groupdict().items()
            seconds = sum(_SECONDS[unit] * int(number) for unit, number in parts)
            if seconds > 0:
                return seconds
    raise InputError(
        "not a time limit",
        where="--time",
        given=text,
        allowed="minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, such as 24:00:00",
    )


def format_walltime(seconds: int) -> str:
    """Return `D-HH:MM:SS`, or `HH:MM:SS` for less than a day."""
    days, rest = divmod(seconds, _SECONDS["days"])
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock

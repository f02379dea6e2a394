"""Sizes that have to divide one another."""

from __future__ import annotations

from hunmin.core.errors import InputError


def check_divides(whole: int, parts: int, whole_name: str, parts_name: str) -> None:
    """Refuse a number that does not divide another, and name those near it that do.

    Args:
        whole: What is divided.
        parts: By what.
        whole_name: Key of the recipe.
        parts_name: Key of the recipe.

    Raises:
        InputError: There is a remainder.
    """
    if whole % parts:
        options = [n for n in range(1, whole + 1) if whole % n == 0]
        near = sorted(sorted(options, key=lambda n: abs(n - parts))[:4])
        raise InputError(
            f"{whole_name} cannot be divided by {parts_name}",
            where=parts_name,
            given=f"{whole_name} {whole}, {parts_name} {parts}",
            allowed=f"{parts_name} of {', '.join(map(str, near))}",
            hint=f"change {parts_name} or {whole_name}",
        )

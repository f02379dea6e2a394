"""Numbers that a user gives are checked where they come in."""

from __future__ import annotations

import math

from hunmin.core.errors import InputError


def check_number(
    value: float | None,
    *,
    where: str,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> None:
    """Refuse a number outside of its range; infinities and NaN are in none.

    Args:
        value: What was given; None is left to the caller's default.
        where: Its name for people.
        above: Every allowed number is larger.
        at_least: The smallest allowed number.
        at_most: The largest one.

    Raises:
        InputError: It is outside.
    """
    if value is None or (math.isfinite(value) and above < value and at_least <= value <= at_most):
        return
    bounds = {"more than": above, "at least": at_least, "at most": at_most}
    allowed = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
    raise InputError(
        "this number is impossible",
        where=where,
        given=value,
        allowed=", ".join(["a finite number", *allowed]),
    )

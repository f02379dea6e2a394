"""Sizes of a shape that follow from others."""

from __future__ import annotations

from collections.abc import Mapping

from hunmin.core.errors import InputError


def completed_sizes(given: Mapping[str, int], where: str) -> dict[str, int]:
    """Return the sizes of a shape with those that follow from the others.

    Args:
        given: layers, width, heads, vocab_size, context, and kv_heads, head_dim, feedforward if
            they are known.
        where: For the message.

    Returns:
        All of them.

    Raises:
        InputError: Sizes that do not divide.
    """
    width, heads = given["width"], given["heads"]
    kv_heads = given.get("kv_heads", heads)
    if "head_dim" not in given and width % heads:
        raise _not_divisible(where, "width", width, "heads", heads, "or give head_dim")
    if heads % kv_heads:
        raise _not_divisible(where, "heads", heads, "kv_heads", kv_heads, None)
    return {
        **given,
        "kv_heads": kv_heads,
        "head_dim": given.get("head_dim", width // heads),
        "feedforward": given.get("feedforward", 4 * width),
    }


def _not_divisible(
    where: str, whole_name: str, whole: int, parts_name: str, parts: int, hint: str | None
) -> InputError:
    return InputError(
        f"{whole_name} cannot be divided by {parts_name}",
        where=where,
        given=f"{whole_name} {whole}, {parts_name} {parts}",
        allowed=f"a divisor of {whole}",
        hint=hint,
    )

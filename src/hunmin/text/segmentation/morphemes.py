"""From what analysers say, morphemes with a start and a length, to the boundaries of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hunmin.text.segmentation.boundaries import NO_BOUNDARIES, Boundaries, BoundaryKind

RULE_VERSION = 1
"""Part of every analyser's identity: goes up when the same morphemes give other boundaries."""


class Morpheme(NamedTuple):
    """One morpheme of an analysis; those of a contraction lie over each other."""

    start: int
    """Offset of its first character in the text."""
    length: int
    """Characters it covers; 0 for a morpheme that is not written."""
    kind: BoundaryKind
    """What it is: the kind of the boundary at its start."""


def join_morphemes(text: str, morphemes: Iterable[Morpheme]) -> Boundaries:
    """Turn the morphemes of a text into its boundaries.

    Args:
        text: What was analysed.
        morphemes: Its morphemes in the analyser's order; parts of the text may have none.

    Returns:
        The end of every morpheme, and its start unless that lies before the end of an earlier one
        (하 and 았 lie over each other in 했), without the ends of the text and positions beside
        white space. A boundary's kind is that of the first morpheme that starts there, or COMPOUND.
    """
    kinds: dict[int, BoundaryKind] = {}
    found: set[int] = set()
    furthest = 0
    for start, length, kind in morphemes:
        end = start + length
        if start not in kinds:
            kinds[start] = kind
        found.add(end)
        if start >= furthest:
            found.add(start)
            furthest = end
        elif end > furthest:
            furthest = end
    positions = [
        position
        for position in sorted(found)
        if 0 < position < len(text)
        and not text[position - 1].isspace()
        and not text[position].isspace()
    ]
    if not positions:
        return NO_BOUNDARIES
    other = BoundaryKind.COMPOUND
    return Boundaries(tuple(positions), tuple([kinds.get(p, other) for p in positions]))

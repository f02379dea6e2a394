r"""Slots written into an utterance as in the MASSIVE data set: `wake me at [time : nine am]`.

A literal bracket is written with a backslash before it, `\[`; backslashes before a bracket are
doubled. Text without brackets is written exactly as the data set has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

BRACKETS = re.compile(r"(\\*)([\[\]])")
"""A bracket with the backslashes before it; groups: backslashes, bracket."""
_LAST_BACKSLASHES = re.compile(r"\\+\Z")


def annotate(text: str, slots: Iterable[tuple[str, int, int]]) -> str:
    """Write slots into an utterance.

    Args:
        text: The utterance.
        slots: Type, first character and one past the last, in order, not overlapping, none empty.

    Returns:
        The utterance with each value as `[slot : value]`, brackets of the text escaped.
    """
    parts: list[str] = []
    done = 0
    for kind, start, end in slots:
        parts += [_escape_before(text[done:start]), f"[{kind} : {_escape_before(text[start:end])}]"]
        done = end
    return "".join([*parts, _escape(text[done:])])


def _escape(piece: str) -> str:
    return BRACKETS.sub(lambda found: found[1] * 2 + "\\" + found[2], piece)


def _escape_before(piece: str) -> str:
    """Escape a piece that a bracket of the annotation follows: its last backslashes count too."""
    return _LAST_BACKSLASHES.sub(lambda found: found[0] * 2, _escape(piece))

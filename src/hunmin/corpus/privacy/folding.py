"""Folding: many ways to write a number become one, and every place stays known."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

_FULLWIDTH_ASCII = range(0xFF01, 0xFF5F)
_FULLWIDTH_SHIFT = 0xFEE0
SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
DASHES = "\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d"
DOTS = "\u00b7\u2022\u2024\u2027\u2219\u30fb\ufe52\uff0e\uff61\uff65"
# Letters and box lines that people type for a dash; only between digits are they one.
LETTER_DASHES = "\u3161\u30fc\u4e00\u2500\u2501\uff70\u119c"
# Soft hyphens, zero width, directions, variation selectors, the keycap of emoji digits.
INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u20e3"
    "\ufe0e\ufe0f\ufeff"
)
_LAST_DIGIT = 0x1FFFF
_GONE = "\u200b"
_LETTER_DASH = re.compile(rf"(?<=\d)( ?)[{LETTER_DASHES}]( ?)(?=\d)")


@dataclass(frozen=True)
class Folded:
    """A folded text and where its characters were."""

    text: str
    """As described at the head of patterns.yaml."""
    places: tuple[int, ...] | None
    """Offset of every character in the text before; None: where it is now."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets that a match [start, end) of the folded text had before."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """Fold a short text for matching.

    Args:
        text: Any text, a window of a few hundred characters.

    Returns:
        Digits of all scripts as 0-9, dashes as "-", dots in the middle as ".", spaces as " ",
        full-width signs and letters as ASCII, invisible characters left out.
    """
    if text.isascii():
        return Folded(text, None)
    folded = text.translate(_table())
    places: tuple[int, ...] | None = None
    if _GONE in folded:
        places = tuple(at for at, character in enumerate(folded) if character != _GONE)
        folded = folded.replace(_GONE, "")
    return Folded(_LETTER_DASH.sub(r"\1-\2", folded), places)


@functools.cache
def _table() -> dict[int, str]:
    table = {code: chr(code - _FULLWIDTH_SHIFT) for code in _FULLWIDTH_ASCII}
    table |= {ord(digit): str(unicodedata.decimal(digit)) for digit in decimal_digits()}
    for characters, replacement in ((SPACES, " "), (DASHES, "-"), (DOTS, "."), (INVISIBLE, _GONE)):
        found = re.findall(f"[{characters}]", _basic_plane())
        table |= {ord(character): replacement for character in found}
    return table


@functools.cache
def decimal_digits() -> tuple[str, ...]:
    """Return the decimal digits of all scripts but ASCII's, in code point order."""
    higher = "".join(map(chr, range(0x10000, _LAST_DIGIT + 1)))
    return tuple(re.findall(r"\d", _basic_plane() + higher))


def _basic_plane() -> str:
    codes = (*range(0x80, 0xD800), *range(0xE000, 0x10000))
    return "".join(map(chr, codes))

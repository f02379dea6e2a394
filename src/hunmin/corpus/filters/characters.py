"""What each character is: a table from code point to kind, made once."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

from hunmin.text.scripts import NO_SCRIPT, SCRIPTS, script_of_code

NUM_CODES = 0x110000
# From here on only tags, variation selectors and private use are assigned.
_LAST_TEXT_CODE = 0x32400
_FIRST_TAG, _LAST_TAG = 0xE0000, 0xE01EF

SPACE, NEWLINE, DIGIT, HASH, ELLIPSIS, SYMBOL, PUNCTUATION, BRACE, BROKEN, FORMAT, JAMO, LETTER = (
    range(12)
)
"""Kinds of characters. BROKEN: replacement and control characters, private use, unassigned. JAMO:
Hangul letters outside syllables. LETTER: letters and marks of no script of their own."""
NUM_KINDS = 64
"""Kinds from LETTER + 1 on are the letters and marks of `SCRIPTS`, in that order."""

_CATEGORIES = {"L": LETTER, "M": LETTER, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE}
_JAMO_RANGES = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))
_SINGLE = {"\n": NEWLINE, "#": HASH, "…": ELLIPSIS, "{": BRACE, "}": BRACE, "\ufffd": BROKEN}
# The vowel arae-a stands for a middle dot in everyday Korean.
_MIDDLE_DOTS = "\u318d\u119e"
_CONTROL_SPACES = "\t\v\f\r\x1c\x1d\x1e\x1f\x85"

TERMINALS = ".!?…‥:;。．！？：；؟۔؛։।॥။၊។៕៖།༎።፧᙮᠃᠉๚๛"
"""What ends a sentence or a clause that runs to the end of its line."""
CLOSERS = "\"'”’»›」』）)]】〉》］｣“‘*"
"""What may follow a terminal."""
BULLETS = "•●○◦▪▫■□◆◇▶►▸▹‣⁃∙·・*-–—+✓✔☑★☆※➤→"
"""What a line of a list begins with."""


def script_kind(script: str) -> int:
    """Return the kind of a script's letters."""
    return LETTER + 1 + SCRIPTS.index(script)


@functools.cache
def kind_table() -> npt.NDArray[np.uint8]:
    """Return the kind of every code point, uint8 of shape (NUM_CODES,)."""
    table = np.full(NUM_CODES, BROKEN, np.uint8)
    table[_FIRST_TAG : _LAST_TAG + 1] = FORMAT
    table[:_LAST_TEXT_CODE] = [_kind(chr(code)) for code in range(_LAST_TEXT_CODE)]
    scripts = script_of_code()
    owned = (table == LETTER) & (scripts != NO_SCRIPT)
    table[owned] = LETTER + 1 + scripts[owned]
    for first, last in _JAMO_RANGES:
        table[first : last + 1] = JAMO
    table[[ord(character) for character in _MIDDLE_DOTS]] = PUNCTUATION
    table[[ord(character) for character in _SINGLE]] = list(_SINGLE.values())
    table[[ord(character) for character in _CONTROL_SPACES]] = SPACE
    return table


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if category == "Nd":
        return DIGIT
    if category[0] == "N":
        return LETTER if category == "Nl" else SYMBOL
    if category == "Cf":
        return FORMAT
    return _CATEGORIES.get(category[0], BROKEN)


@functools.cache
def lower_table() -> npt.NDArray[np.uint32]:
    """Return the lower case of every code point, uint32 of shape (NUM_CODES,)."""
    table = np.arange(NUM_CODES, dtype=np.uint32)
    for code in range(_LAST_TEXT_CODE):
        lowered = chr(code).lower()
        if len(lowered) == 1:
            table[code] = ord(lowered)
    return table


def lower(text: str) -> str:
    """Return a text in lower case as `lower_table` has it: never longer, never shorter."""
    if text.isascii():
        return text.lower()
    pairs = zip(text, map(str.lower, text), strict=True)
    return "".join(low if len(low) == 1 else own for own, low in pairs)


@functools.cache
def member_table(characters: str) -> npt.NDArray[np.bool_]:
    """Return which code points are among some characters, bool of shape (NUM_CODES,)."""
    table = np.zeros(NUM_CODES, np.bool_)
    table[[ord(character) for character in characters]] = True
    return table

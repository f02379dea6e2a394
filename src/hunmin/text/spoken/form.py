"""The spoken form of a text: what a recogniser of speech would write."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

from hunmin.text.languages import UNDETERMINED, base_language
from hunmin.text.spoken.korean import read_korean
from hunmin.text.spoken.numbers import read_numbers

_SPACES = re.compile(r"\s+")
_DIGIT = re.compile(r"\d")
# Languages in which the small letter of I has no dot.
_DOTLESS = frozenset({"tr", "az", "crh", "gag", "kaa", "tt"})
_DOTLESS_SMALL = {ord("I"): "ı", ord("İ"): "i"}
_APOSTROPHES = "'’"


def spoken_form(text: str, language: str) -> str:
    """Write a text as it is spoken: words for numbers, no capitals, no punctuation.

    Args:
        text: NFC.
        language: A canonical language tag; `und` keeps the digits.

    Returns:
        One line without white space around it; empty for a text of punctuation alone. Applying it
        twice changes nothing.

    Raises:
        MissingExtraError: unicode-rbnf is not installed; Korean does without.

    Note:
        Korean: numbers, counters, dates, times, units, currencies, telephone numbers. About 17
        languages (data/languages.yaml): whole numbers, decimals, per cent, and years where they
        have a reading of their own. Some 60 more: whole numbers. All others keep their digits.
        Abbreviations, foreign words, symbols of currency outside Korean are not read.
    """
    base = base_language(language)
    if base == "ko" and _DIGIT.search(text):
        text = read_korean(text)
    elif base not in (UNDETERMINED, "ko") and _has_digits(text):
        text = read_numbers(text, base)
    lowered = (text.translate(_DOTLESS_SMALL) if base in _DOTLESS else text).lower()
    bare = _silent().sub(_between, unicodedata.normalize("NFC", lowered))
    return _SPACES.sub(" ", bare).strip()


def _has_digits(text: str) -> bool:
    return any(digit in text for digit in "0123456789")


def _between(match: re.Match[str]) -> str:
    """Return an apostrophe or a mark within a number as it is, else a space."""
    return " " if match["kept"] is None else match[0]


@functools.cache
def _silent() -> re.Pattern[str]:
    """Return what matches punctuation and symbols; `kept` is empty, not None, within a word."""
    kept = rf"(?<=\w[{_APOSTROPHES}])(?=[^\W\d_])|(?<=\d[.,:/])(?=\d)|(?<=\d%)"
    # The class comes first: a search for one of some characters is quick, for a place it is not.
    return re.compile(rf"[{_silent_characters()}](?P<kept>{kept})?")


def _silent_characters() -> str:
    """All punctuation, symbols and controls, as ranges for a character class."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] not in "PS":
            continue
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in ranges)

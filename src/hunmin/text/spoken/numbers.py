"""Numbers as words by the rules of CLDR, in the languages that have them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from hunmin.core.extras import require
from hunmin.core.yaml12 import parse_yaml
from hunmin.text.languages import base_language

EXTRA = "spoken"
_MAX_DIGITS = 15
_FIRST_YEAR, _LAST_YEAR = 1100, 2099
_INVISIBLE = {0xAD: None, 0x200B: None}


def read_numbers(text: str, language: str) -> str:
    """Write the numbers of a text as words.

    Args:
        text: Any text.
        language: A canonical language tag.

    Returns:
        The text with words for whole numbers, and for decimals and percentages where the words are
        known. Languages that the rules do not serve keep their digits.

    Raises:
        MissingExtraError: unicode-rbnf is not installed.

    Note:
        Numbers take the form of counting, whatever the gender and case of what they count.
    """
    reader = _reader(base_language(language))
    return text if reader is None else reader.read(text)


def languages_with_numbers() -> frozenset[str]:
    """Say which languages have words for whole numbers.

    Returns:
        Base languages.

    Raises:
        MissingExtraError: unicode-rbnf is not installed.
    """
    engine = require("unicode_rbnf", extra=EXTRA).RbnfEngine
    return frozenset(
        base_language(tag.replace("_", "-")) for tag in engine.get_supported_languages()
    )


class _Reader:
    """Reads the numbers of one language."""

    def __init__(self, language: str, engine: Any, marks: Mapping[str, Any]) -> None:
        package = require("unicode_rbnf", extra=EXTRA)
        self._engine, self._marks = engine, marks
        self._cardinal = package.FormatPurpose.CARDINAL
        self._year = package.FormatPurpose.YEAR
        # Between words, unless the script has no spaces between them.
        self._gap = "" if language in {"ja", "zh", "yue", "th", "lo", "km", "my"} else " "
        self._pattern = _number_pattern(marks.get("decimal"))

    def read(self, text: str) -> str:
        return self._pattern.sub(self._words, text)

    def _words(self, match: re.Match[str]) -> str:
        whole = re.sub(r"[^0-9]", "", match["whole"])
        decimals, percent = match["decimals"], match["percent"] or match["sign"]
        if len(whole) > _MAX_DIGITS or (decimals and "point" not in self._marks):
            return match[0]
        words = [self._spell(whole, is_year=match["whole"].isdigit() and not (decimals or percent))]
        if decimals:
            words += [self._marks["point"], *(self._spell(digit) for digit in decimals)]
        if percent and {"before", "after"} & set(self._marks):
            before, after = self._marks.get("before"), self._marks.get("after")
            words = [*([before] if before else []), *words, *([after] if after else [])]
            percent = ""
        return self._gap.join(words) + (percent or "")

    def _spell(self, digits: str, *, is_year: bool = False) -> str:
        if len(digits) > 1 and digits.startswith("0"):
            return self._gap.join(self._spell(digit) for digit in digits)
        number = int(digits)
        as_year = is_year and bool(self._marks.get("year")) and len(digits) == 4
        as_year = as_year and _FIRST_YEAR <= number <= _LAST_YEAR
        words = self._engine.format_number(number, self._year if as_year else self._cardinal).text
        return str(words).translate(_INVISIBLE)


def _number_pattern(decimal: str | None) -> re.Pattern[str]:
    """Return what matches a number: groups `whole`, `decimals` and `percent`."""
    if decimal is None:
        # It is not known which mark parts decimals: numbers with one are left alone.
        return re.compile(
            r"(?P<sign>%)?(?<![\d.,:/-])(?<![^\W\d_])(?P<whole>[0-9]+)(?P<decimals>(?!))?(?P<percent>%)?(?![\d:/]|[.,]\d)(?![^\W\d_])"
        )
    group, mark = re.escape("." if decimal == "," else ","), re.escape(decimal)
    whole = rf"[0-9]{{1,3}}(?:[{group}\u202f\xa0][0-9]{{3}})+(?!\d)|[0-9]+"
    return re.compile(
        rf"(?P<sign>%)?(?<![A-Za-z\d])(?P<whole>{whole})(?:{mark}(?P<decimals>[0-9]+))?(?P<percent>\s?%)?(?![A-Za-z\d])"
    )


@functools.cache
def _reader(language: str) -> _Reader | None:
    package = require("unicode_rbnf", extra=EXTRA)
    if language not in languages_with_numbers():
        return None
    source = resources.files("hunmin.text.spoken").joinpath("data/languages.yaml")
    table, _ = parse_yaml(source.read_text("utf-8"), "languages.yaml")
    return _Reader(language, package.RbnfEngine.for_language(language), table.get(language, {}))

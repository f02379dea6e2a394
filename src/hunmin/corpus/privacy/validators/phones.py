"""Numbers of telephones."""

from __future__ import annotations

import functools
import itertools
import re
from importlib import resources

import yaml

from hunmin.core.yaml12 import Yaml12Loader
from hunmin.corpus.privacy.validators.common import Candidate, begins_as_date, not_years

_NORTH_AMERICAN = re.compile(r"1[2-9][0-9]{2}[1-9][0-9]{6}")
_ZIP_PLUS_FOUR = re.compile(r"[0-9]{5}-[0-9]{4}")
_COUNTING = re.compile(r"0123456789|1234567890")
# Decimal numbers in a row, not groups of one.
_DECIMALS = re.compile(r"[0-9]\.[0-9]+ [0-9]")
_MIN_INTERNATIONAL, _MAX_INTERNATIONAL = 8, 15
_MIN_NEAR_WORD, _MAX_NEAR_WORD = 7, 13


@functools.cache
def calling_codes() -> frozenset[str]:
    """Return the country calling codes that are assigned."""
    data = resources.files("hunmin.corpus.privacy").joinpath("data/calling_codes.yaml")
    table = yaml.load(data.read_text("utf-8"), Loader=Yaml12Loader)
    return frozenset(str(code) for code in table["codes"])


def international_phone(candidate: Candidate) -> bool:
    """Accept an assigned country code and the length that its plan has."""
    digits = candidate.digits
    if digits.startswith("00"):
        digits = digits[2:]
    if not _MIN_INTERNATIONAL <= len(digits) <= _MAX_INTERNATIONAL:
        return False
    if digits.startswith("1"):
        return _NORTH_AMERICAN.fullmatch(digits) is not None
    return any(digits[:length] in calling_codes() for length in (1, 2, 3))


def japanese_phone(candidate: Candidate) -> bool:
    """Accept ten digits, eleven behind the codes of mobiles and of the internet."""
    digits = candidate.digits
    mobile = digits[:3] in {"050", "070", "080", "090"}
    return len(digits) == (11 if mobile else 10)


def german_phone(candidate: Candidate) -> bool:
    """Accept nine to twelve digits that are neither a date, a ZIP code nor all digits in order."""
    if not 9 <= len(candidate.digits) <= 12 or _COUNTING.search(candidate.digits):
        return False
    return not begins_as_date(candidate.text) and not _ZIP_PLUS_FOUR.fullmatch(candidate.text)


def not_counting(candidate: Candidate) -> bool:
    """Refuse pairs that count up, such as 01 02 03 04 05."""
    pairs = [int(group) for group in candidate.groups]
    steps = {after - before for before, after in itertools.pairwise(pairs)}
    return len(steps) > 1


def phone_near_word(candidate: Candidate) -> bool:
    """Accept what has the length of a number and is neither a date nor a span of years."""
    digits = candidate.digits
    if not _MIN_NEAR_WORD <= len(digits) <= _MAX_NEAR_WORD or len(set(digits)) == 1:
        return False
    if _DECIMALS.search(candidate.text) or not _is_balanced(candidate.text):
        return False
    return not begins_as_date(candidate.text) and not_years(candidate)


def _is_balanced(text: str) -> bool:
    inner = text.removeprefix("(") if ")" not in text else text
    return "(" not in inner or inner.count("(") == inner.count(")")

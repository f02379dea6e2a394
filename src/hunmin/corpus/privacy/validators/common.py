"""Validators: what a regular expression cannot say about a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


class Candidate(NamedTuple):
    """A match of a pattern with what stands around it, all of it folded."""

    text: str
    """The match."""
    before: str
    """Up to 40 characters before it."""
    after: str
    """Up to 20 characters after it."""

    @property
    def digits(self) -> str:
        """Its digits alone."""
        return _NO_DIGIT.sub("", self.text)

    @property
    def groups(self) -> list[str]:
        """Its runs of digits."""
        return _DIGITS.findall(self.text)


Validator = Callable[[Candidate], bool]
_NO_DIGIT = re.compile(r"[^0-9]")
_DIGITS = re.compile(r"[0-9]+")


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of ISO/IEC 7812."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def ean13(digits: str) -> bool:
    """Tell whether thirteen digits are a valid barcode or ISBN-13."""
    weighted = (int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits))
    return len(digits) == 13 and sum(weighted) % 10 == 0


def not_binary(candidate: Candidate) -> bool:
    """Refuse strings of zeros and ones."""
    return bool(set(candidate.digits) - {"0", "1"})


def eleven_digits(candidate: Candidate) -> bool:
    """Accept ten or eleven digits."""
    return 10 <= len(candidate.digits) <= 11


_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")


def _is_span_of_years(groups: list[str]) -> bool:
    if len(groups) != 2 or not all(_YEAR.fullmatch(group) for group in groups):
        return False
    return 0 < int(groups[1]) - int(groups[0]) < 400


def not_years(candidate: Candidate) -> bool:
    """Refuse spans of years such as 1592-1598."""
    return not _is_span_of_years(candidate.groups)


_YEAR_MONTH_DAY = (
    r"(?:1[5-9]|20)[0-9]{2} ?[-./ ] ?(?:0?[1-9]|1[0-2]) ?[-./ ] ?(?:0?[1-9]|[12][0-9]|3[01])"
)
_DAY_MONTH_YEAR = (
    r"(?:0?[1-9]|[12][0-9]|3[01]) ?[-./] ?(?:0?[1-9]|[12][0-9]|3[01]) ?[-./] ?(?:1[5-9]|20)[0-9]{2}"
)
_PLAIN = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(f"{_YEAR_MONTH_DAY}|{_DAY_MONTH_YEAR}|{_PLAIN}")
_BEGINS_AS_DATE = re.compile(
    rf"\(?(?:(?:{_YEAR_MONTH_DAY}|{_DAY_MONTH_YEAR})(?![0-9])|{_PLAIN}(?:[0-9]{{4,6}})?$)"
)


def is_date(number: str) -> bool:
    """Tell whether a number is a date and nothing else."""
    return _DATE.fullmatch(number) is not None


def begins_as_date(number: str) -> bool:
    """Tell whether a date stands first, parted from the rest, or date and time in a row."""
    return _BEGINS_AS_DATE.match(number) is not None

"""Scanning: the few places of a text where personal data may stand, found in one quick pass each.

Regular expressions here begin with a class of characters, which Python's engine looks for alone,
and are written so that RE2 takes them as well, see `gate`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from hunmin.corpus.privacy.folding import (
    DASHES,
    DOTS,
    INVISIBLE,
    LETTER_DASHES,
    SPACES,
    decimal_digits,
)
from hunmin.corpus.privacy.validators.common import is_date

Window = tuple[int, int]
Scan = Callable[[str], Iterator[Window]]

_SEPARATORS = rf" \-.()/_~*（）／＿～{SPACES}{DASHES}{DOTS}{LETTER_DASHES}{INVISIBLE}"
_NUMBER = re.compile(rf"\d(?:[{_SEPARATORS}]{{0,5}}\d){{3,}}+")
# Words that decide stand up to 40 characters before, letters of a number in front of its digits.
_NUMBER_BEFORE, _NUMBER_AFTER = 60, 45
# A telephone or a document has seven digits; fewer only where letters go on with it.
_FEWEST_DIGITS = 7
_ADDRESS_DOTS = 3
_DIGIT = re.compile(r"\d")

_OPEN, _CLOSE = r"(\[{<（［｛_", r")\]}>）］｝_"
_SIGN = rf"[{_OPEN}] ?(?:[aA][tT]|앳) ?[{_CLOSE}]"
_SIGNS = re.compile(
    rf"[@＠골{_OPEN}](?:(?<=[@＠])|(?<=골)뱅이|(?<=[{_OPEN}]) ?(?:[aA][tT]|앳) ?[{_CLOSE}])"
)
_SIGN_END = re.compile(rf"[aA][tT] ?[{_CLOSE}]")
_SIGN_IN_WORDS = re.compile(r" (?:at|AT) [A-Za-z0-9-]{2,63}(?: [A-Za-z0-9-]+){0,4} (?:dot|DOT) ")
_SIGN_BEFORE, _SIGN_AFTER = 110, 110

_COLONS = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:")
_TWO_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_COLONS_BEFORE, _COLONS_AFTER = 2, 48

_MRZ = re.compile(r"[A-Z0-9<]{28,50}")


_QUICK = re.compile(rf"[\d@＠골{_OPEN}]")


def may_hold_data(text: str) -> bool:
    """Tell quickly whether a text has any character that the scans begin with."""
    return _QUICK.search(text) is not None or " dot " in text or " DOT " in text


def scan_numbers(text: str) -> Iterator[Window]:
    """Yield windows around runs of digits with their separators that are more than a date."""
    return _merged(_numbers(text))


def _numbers(text: str) -> Iterator[Window]:
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if _is_long(match[0]) or (start > 0 and "A" <= text[start - 1] <= "Z"):
            yield max(0, start - _NUMBER_BEFORE), end + _NUMBER_AFTER


def _is_long(number: str) -> bool:
    if len(number) < _FEWEST_DIGITS:
        return False
    if len(_DIGIT.findall(number)) < _FEWEST_DIGITS:
        return number.count(".") >= _ADDRESS_DOTS
    return not is_date(number)


def scan_signs(text: str) -> Iterator[Window]:
    """Yield windows around what stands for the sign of an e-mail address."""
    return _merged(_signs(text))


def _signs(text: str) -> Iterator[Window]:
    if any(part in text for part in ("@", "＠", "골뱅이", "앳")) or _SIGN_END.search(text):
        for match in _SIGNS.finditer(text):
            yield max(0, match.start() - _SIGN_BEFORE), match.end() + _SIGN_AFTER
    if " dot " in text or " DOT " in text:
        for match in _SIGN_IN_WORDS.finditer(text):
            yield max(0, match.start() - _SIGN_BEFORE), match.end() + _SIGN_AFTER


def scan_colons(text: str) -> Iterator[Window]:
    """Yield windows around what begins like a public IPv6 address."""
    if _TWO_COLONS.search(text):
        for match in _COLONS.finditer(text):
            yield max(0, match.start() - _COLONS_BEFORE), match.end() + _COLONS_AFTER


def scan_machine_readable(text: str) -> Iterator[Window]:
    """Yield windows around lines of a machine-readable zone."""
    if "<<" in text:
        for match in _MRZ.finditer(text):
            yield max(0, match.start() - 1), match.end() + 1


def _merged(windows: Iterator[Window]) -> Iterator[Window]:
    """Join windows that overlap, so that no place is looked at twice."""
    begin, end = 0, -1
    for start, stop in windows:
        if start <= end:
            end = max(end, stop)
            continue
        if end >= 0:
            yield begin, end
        begin, end = start, stop
    if end >= 0:
        yield begin, end


SCANS: dict[str, Scan] = {
    "at": scan_signs,
    "number": scan_numbers,
    "colons": scan_colons,
    "mrz": scan_machine_readable,
}
"""Scan by the name that patterns.yaml gives it."""


@functools.cache
def gate() -> str:
    """Return a regular expression for RE2 that matches every text in which a scan finds anything.

    Returns:
        Superset of all scans: digits in a row, signs of mail, colons, a machine-readable zone.
    """
    digits = "0-9" + "".join(
        f"{first}-{last}" for first, last in _ranges([ord(digit) for digit in decimal_digits()])
    )
    number = rf"[{digits}](?:[{_SEPARATORS}]{{0,5}}[{digits}]){{3}}"
    return "|".join([number, "[@＠]", "골뱅이", _SIGN, " (?:dot|DOT) ", _COLONS.pattern, "<<"])


def _ranges(codes: list[int]) -> Iterator[tuple[str, str]]:
    first = last = codes[0]
    for code in [*codes[1:], -1]:
        if code == last + 1:
            last = code
            continue
        yield chr(first), chr(last)
        first = last = code

"""Numbers that a state or a bank gives out: resident numbers, cards, accounts."""

from __future__ import annotations

import datetime
import functools
import re
from importlib import resources

import yaml

from hunmin.core.yaml12 import Yaml12Loader
from hunmin.corpus.privacy.validators.common import (
    Candidate,
    begins_as_date,
    ean13,
    luhn,
    not_binary,
    not_years,
)

# Century by the seventh digit: citizens 9 0, 1 2, 3 4; foreigners 5 6, 7 8.
_CENTURIES = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}
_CENTURIES |= dict.fromkeys("3478", 2000)
# Numbers are given out since 1968; a constant, since masking may not depend on the day it runs.
_FIRST_BIRTH, _LAST_BIRTH = 1870, 2039
_RESIDENT_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
# 13 digits from November 2017 to January 2027 are clocks in milliseconds as well.
_CLOCK = range(1_510_000_000_000, 1_800_000_000_000)
_BARCODE_PREFIXES = ("880", "978", "979")


def resident_number(candidate: Candidate) -> bool:
    """Accept a possible date of birth; without a separator neither barcodes, clocks nor paths."""
    digits = candidate.digits
    if not _is_birth(digits):
        return False
    if len(digits) < len(candidate.text) or _has_resident_checksum(digits):
        return True
    if not not_binary(candidate) or candidate.before.endswith(("/", "=", "_", "#")):
        return False
    barcode = digits.startswith(_BARCODE_PREFIXES) and ean13(digits)
    return not barcode and int(digits) not in _CLOCK


def _is_birth(digits: str) -> bool:
    year = _CENTURIES[digits[6]] + int(digits[:2])
    if not _FIRST_BIRTH <= year <= _LAST_BIRTH:
        return False
    try:
        datetime.date(year, int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return False
    return True


def _has_resident_checksum(digits: str) -> bool:
    total = sum(w * int(digit) for w, digit in zip(_RESIDENT_WEIGHTS, digits[:-1], strict=True))
    # Numbers of foreigners add two, modulo ten.
    shift = 2 if digits[6] in "5678" else 0
    return (11 - total % 11 + shift) % 10 == int(digits[-1])


_CARD_LENGTHS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"3(?:0[0-5]|095|[689])"), {14, 16}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16, 17, 18, 19}),
    (re.compile(r"6011|64[4-9]|65"), {16, 19}),
    (re.compile(r"62|81"), {16, 17, 18, 19}),
    (re.compile(r"220[0-4]"), {16, 19}),
    (re.compile(r"60|508|82|353|356"), {16}),
    (re.compile(r"9792|94[0-9]{2}|95[0-9]{2}"), {16}),
    (re.compile(r"50|5[6-9]|6[0-9]"), {16, 18, 19}),
)


def payment_card(candidate: Candidate) -> bool:
    """Accept a length that fits the prefix, the check digit, and more than one or two digits."""
    digits = candidate.digits
    fits = any(p.match(digits) and len(digits) in lengths for p, lengths in _CARD_LENGTHS)
    return fits and len(set(digits)) > 1 and luhn(digits) and not _is_barcode(digits)


def _is_barcode(digits: str) -> bool:
    return len(digits) == 13 and ean13(digits)


@functools.cache
def _iban_lengths() -> dict[str, int]:
    data = resources.files("hunmin.corpus.privacy").joinpath("data/iban_lengths.yaml")
    table = yaml.load(data.read_text("utf-8"), Loader=Yaml12Loader)
    return {country: length for length, countries in table.items() for country in countries}


def iban(candidate: Candidate) -> bool:
    """Accept the length of the country and the check digits of ISO 7064."""
    compact = re.sub(r"[ -]", "", candidate.text)
    if _iban_lengths().get(compact[:2]) != len(compact):
        return False
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return int(number) % 97 == 1


_BUSINESS_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)


def business_number(candidate: Candidate) -> bool:
    """Accept the check digit of Korean business registration numbers."""
    digits = [int(digit) for digit in candidate.digits]
    total = sum(w * digit for w, digit in zip(_BUSINESS_WEIGHTS, digits[:9], strict=True))
    return (total + digits[8] * 5 // 10 + digits[9]) % 10 == 0


_MOBILE = re.compile(r"01[016789]")


def bank_account(candidate: Candidate) -> bool:
    """Accept 10 to 16 digits that are no date and no span of years."""
    digits = candidate.digits
    if not 10 <= len(digits) <= 16 or len(set(digits)) == 1:
        return False
    if _MOBILE.match(digits) and len(digits) <= 11:
        return False
    return not begins_as_date(candidate.text) and not_years(candidate)

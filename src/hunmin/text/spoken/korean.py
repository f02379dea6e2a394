"""Korean numbers as they are read: native or Sino-Korean, by what is counted."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

from hunmin.core.yaml12 import parse_yaml

_DIGITS = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
_MAX_DIGITS = 20
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_MAX_NATIVE = 99
_NOON = 12
_MONTHS = {6: "유월", 10: "시월"}
# Digits and what may decide how they are read: no pattern looks as far as 24 characters.
_SURROUNDINGS = re.compile(r".{0,24}\d(?:.{0,48}\d)*.{0,24}", re.DOTALL)
_NUMBER = r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\d.,])\d+(?:\.\d+)?"


def read_sino(number: int) -> str:
    """Read a whole number in Sino-Korean: 2021 -> 이천이십일.

    Args:
        number: In [0, 10**20).

    Returns:
        Hangul with a space after each myriad, as the rules of spelling ask (만, 억, 조). Larger
        numbers are read digit by digit.
    """
    digits = str(number)
    if number == 0:
        return "영"
    if len(digits) > _MAX_DIGITS:
        return read_digits(digits)
    groups = []
    for myriad in range((len(digits) + 3) // 4):
        part = number // 10_000**myriad % 10_000
        if part:
            # 10,000 alone is 만, but 100,000,000 is 일억.
            one = "" if part == 1 and myriad == 1 and number < 20_000 else _below_myriad(part)
            groups.append(one + _MYRIADS[myriad])
    return " ".join(reversed(groups))


def _below_myriad(number: int) -> str:
    read = ""
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if digit:
            read += ("" if digit == 1 and place else _DIGITS[digit]) + _PLACES[place]
    return read


def read_native(number: int) -> str:
    """Read a whole number before a counter: 21 -> 스물한, 20 -> 스무.

    Args:
        number: In [1, 99]; others are read in Sino-Korean.

    Returns:
        Hangul without spaces.
    """
    if not 1 <= number <= _MAX_NATIVE:
        return read_sino(number)
    if number == 20:
        return "스무"
    return _TENS[number // 10] + _ONES[number % 10]


def read_digits(digits: str) -> str:
    """Read digits one by one, as in telephone numbers: 010 -> 공일공."""
    return "".join("공" if digit == "0" else _DIGITS[int(digit)] for digit in digits)


def read_korean(text: str) -> str:
    """Write the numbers, dates, times and units of a Korean text as they are read.

    Args:
        text: Korean in NFC.

    Returns:
        The text with words for numbers; counters stand apart from them, months do not.
    """
    return _SURROUNDINGS.sub(_read_part, text)


def _read_part(match: re.Match[str]) -> str:
    part = match[0]
    for pattern, read in _readers():
        part = pattern.sub(read, part)
    return part


@functools.cache
def _table() -> dict[str, Any]:
    source = resources.files("hunmin.text.spoken").joinpath("data/korean.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "korean.yaml")
    return dict(content)


def _any_of(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


@functools.cache
def _readers() -> tuple[tuple[re.Pattern[str], Any], ...]:
    """Patterns and what reads them, the special ones before the general."""
    table = _table()
    counters = _any_of([*table["native"], *table["sino"]])
    # A counter ends there or has a particle after it, but is not the beginning of a longer noun.
    particles = _any_of(table["particles"])
    after = rf"(?![가-힣])|(?=(?:{particles})[가-힣]{{0,4}}(?![가-힣]))"
    pairs = (
        (r"(?<![\d-])(\d{2,4})-(\d{3,4})-(\d{4})(?![\d-])", _telephone),
        (r"(?<!\d)(\d{4})[-./] ?(\d{1,2})[-./] ?(\d{1,2})\.?(?!\d)", _date),
        (r"(?<![\d:])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])", _time),
        (r"(?<![\d.,])(\d{1,6})\s?분의\s?(\d{1,6})(?![\d.,])", _parts),
        (r"(?<![\d./])(\d{1,3})/(\d{1,3})(?![\d/])", _fraction),
        (r"(?<!\d)(\d{1,2})월(?!요)", _month),
        (r"(?<!\d)1\s?번째", lambda match: "첫 번째"),
        (rf"({_any_of(table['currencies'])})\s?({_NUMBER})([만억조]?)", _currency),
        (rf"(-?)({_NUMBER})\s?({_any_of(table['units'])})(?![A-Za-z])", _unit),
        (rf"({_NUMBER})\s?[~∼～〜]\s?(?={_NUMBER})", lambda match: f"{match[1]}에서 "),
        (rf"({_NUMBER})\s?시(?!간|민|장|도)", _hour),
        (rf"({_NUMBER})((?:[십백천]?[만억조]|[십백천])?)\s?({counters})(?:{after})", _counted),
        (r"(?<![\w-])-(?=\d)", lambda match: "마이너스 "),
        (_NUMBER, lambda match: _read_number(match[0])),
        # What is left stands behind a mark, as in 1.2.3.
        (r"\d+", lambda match: _read_number(match[0])),
    )
    return tuple((re.compile(pattern), read) for pattern, read in pairs)


def _read_number(number: str) -> str:
    whole, _, decimals = number.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        return read_digits(whole)
    read = read_sino(int(whole))
    return f"{read} 점 {''.join(_DIGITS[int(d)] for d in decimals)}" if decimals else read


def _telephone(match: re.Match[str]) -> str:
    return " ".join(read_digits(group) for group in match.groups())


def _date(match: re.Match[str]) -> str:
    year, month, day = (int(group) for group in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{read_sino(year)} 년 {_month_name(month)} {read_sino(day)} 일"


def _month(match: re.Match[str]) -> str:
    return _month_name(int(match[1]))


def _month_name(month: int) -> str:
    return _MONTHS.get(month, f"{read_sino(month)}월")


def _time(match: re.Match[str]) -> str:
    hour, minute, second = (int(group or 0) for group in match.groups())
    if hour > 24 or minute > 59:
        return match[0]
    read = f"{_hour_name(hour)} 시"
    read += f" {read_sino(minute)} 분" if minute else ""
    return read + (f" {read_sino(second)} 초" if second else "")


def _hour(match: re.Match[str]) -> str:
    whole = match[1].replace(",", "")
    return f"{_hour_name(int(whole)) if whole.isdigit() else _read_number(whole)} 시"


def _hour_name(hour: int) -> str:
    return read_native(hour) if 1 <= hour <= _NOON else read_sino(hour)


def _fraction(match: re.Match[str]) -> str:
    return f"{read_sino(int(match[2]))}분의 {read_sino(int(match[1]))}"


def _parts(match: re.Match[str]) -> str:
    return f"{read_sino(int(match[1]))}분의 {read_sino(int(match[2]))}"


def _currency(match: re.Match[str]) -> str:
    return f"{_read_number(match[2])}{match[3]} {_table()['currencies'][match[1]]}"


def _unit(match: re.Match[str]) -> str:
    unit = _table()["units"][match[3]]
    below = "영하 " if unit == "도" else "마이너스 "
    return f"{below if match[1] else ''}{_read_number(match[2])} {unit}"


def _counted(match: re.Match[str]) -> str:
    number, myriad, counter = match.groups()
    whole = number.replace(",", "")
    # Tens of years of age are Sino-Korean, as a rule more frequent than tens of cars: 20대.
    native = counter in _table()["native"] and (counter != "대" or not whole.endswith("0"))
    if native and not myriad and whole.isdigit() and whole[0] != "0":
        return f"{read_native(int(whole))} {counter}"
    return f"{_read_number(number)}{myriad} {counter}"

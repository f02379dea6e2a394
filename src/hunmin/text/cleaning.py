"""Characters that say nothing: controls, strays of layout, invisible marks, spaces of other widths.

Run after `text.unicode.normalize`. Every rule has a name, so that what it did can be counted.

Decisions:
    Zero-width characters stay where they carry meaning: joiners after a letter of Arabic, Indic or
    Mongolian scripts and in emoji, the zero-width space between letters of scripts without spaces
    (a word boundary in Khmer, Thai, Lao, Burmese), the tags of flag emoji.
    The ideographic space stays beside Japanese and Chinese characters, where it is punctuation
    (after ？ and ！, between names); elsewhere it is a space.
    Marks of direction (LRM, RLM, ALM) stay in texts with right-to-left letters, whose writers type
    them. Embeddings, overrides and isolates go everywhere: they arrange a display and leave the
    order of the letters alone, and overrides can hide text from a reader.
    Jamo of chat (ㅋㅋ, ㅠㅠ) stay; half-width ones and single conjoining ones become these. Other
    compatibility forms (full-width letters, ligatures) stay as written.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.text.unicode import normalize

Replacement = str | Callable[[re.Match[str]], str]

# Letters and marks after which a joiner changes how a word is written: Arabic to N'Ko, the Indic
# scripts to Sinhala, Tibetan to Burmese, Khmer, Mongolian, Balinese and Javanese, Adlam and others.
_JOINED = (
    "\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1b00-\u1cff\ua840-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefc\U00010ac0-\U00010aff\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f"
)
_PICTOGRAPHS = "\u2190-\u2bff\u3030\u303d\ufe0f\U0001f000-\U0001faff"
# Scripts that are written without spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf"
    "\ua980-\ua9df\uaa60-\uaa7f"
)
_EAST_ASIAN = (
    "\u2e80-\u2fdf\u3001-\u312f\u3190-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_COMPATIBILITY_JAMO = dict(
    zip(
        [*range(0x1100, 0x1113), *range(0x1161, 0x1176)],
        "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ",
        strict=True,
    )
)


class Rule(NamedTuple):
    """One kind of change."""

    name: str
    """As reports call it."""
    pattern: str
    """What is replaced."""
    replacement: Replacement
    """By what."""
    codes: tuple[tuple[int, int], ...] = ()
    """First and last 16-bit units without which it finds nothing; none for rules about lines."""
    unless: str | None = None
    """A pattern: texts that hold it are left alone."""


def _full_width(match: re.Match[str]) -> str:
    # The normal form of half-width jamo are conjoining ones.
    return unicodedata.normalize("NFKC", match[0]).translate(_COMPATIBILITY_JAMO)


def _as_chat_jamo(match: re.Match[str]) -> str:
    return match[0].translate(_COMPATIBILITY_JAMO)


RULES = (
    Rule("page break", r"[\v\f]", "\n", codes=((0x0B, 0x0C),)),
    Rule(
        "control character",
        r"[\0-\x08\x0e-\x1f\x7f-\x9f]",
        "",
        codes=(
            (0x00, 0x08),
            (0x0E, 0x1F),
            (0x7F, 0x9F),
        ),
    ),
    Rule("byte order mark", r"\ufeff", "", codes=((0xFEFF, 0xFEFF),)),
    Rule("soft hyphen", r"\xad", "", codes=((0xAD, 0xAD),)),
    Rule(
        "direction override",
        r"[\u202a-\u202e\u2066-\u2069\u206a-\u206f]",
        "",
        codes=(
            (0x202A, 0x202E),
            (0x2066, 0x206F),
        ),
    ),
    Rule(
        "direction mark",
        r"[\u200e\u200f\u061c]",
        "",
        codes=(
            (0x200E, 0x200F),
            (0x61C, 0x61C),
        ),
        unless=f"[{_RIGHT_TO_LEFT}]",
    ),
    Rule(
        "zero-width space",
        rf"(?<![{_UNSPACED}\u200b])\u200b++|\u200b++(?![{_UNSPACED}])|(?<=[{_UNSPACED}]\u200b)\u200b++",
        "",
        codes=((0x200B, 0x200B),),
    ),
    Rule(
        "zero-width joiner",
        rf"(?<![{_JOINED}{_PICTOGRAPHS}])[\u200c\u200d]+",
        "",
        codes=((0x200C, 0x200D),),
    ),
    Rule(
        "invisible character",
        r"[\u2060-\u2065\ufff9-\ufffc\u3164\uffa0\u17b4\u17b5]",
        "",
        codes=(
            (0x2060, 0x2065),
            (0xFFF9, 0xFFFC),
            (0x3164, 0x3164),
            (0xFFA0, 0xFFA0),
            (0x17B4, 0x17B5),
        ),
    ),
    Rule("vowel separator", r"(?<![\u1820-\u18aa])\u180e", "", codes=((0x180E, 0x180E),)),
    Rule(
        "tag character",
        r"(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0001-\U000e007f]+",
        "",
        codes=((0xDB40, 0xDB40),),
    ),
    Rule(
        "half-width letter",
        r"[\uff66-\uff9f\uffa1-\uffdc]+",
        _full_width,
        codes=((0xFF66, 0xFFDC),),
    ),
    Rule(
        "single jamo",
        r"[\u1100-\u1112]+(?![\u1100-\u11a7\ua960-\ua97c])",
        _as_chat_jamo,
        codes=((0x1100, 0x1112),),
    ),
    Rule(
        "single jamo",
        r"(?<![\u1100-\u11ff\ua960-\ua97c])[\u1161-\u1175]+(?![\u1160-\u11ff\ud7b0-\ud7fb])",
        _as_chat_jamo,
        codes=((0x1161, 0x1175),),
    ),
    Rule(
        "space",
        r"[\xa0\u1680\u2000-\u200a\u202f\u205f]",
        " ",
        codes=(
            (0xA0, 0xA0),
            (0x1680, 0x1680),
            (0x2000, 0x200A),
            (0x202F, 0x202F),
            (0x205F, 0x205F),
        ),
    ),
    Rule(
        "ideographic space",
        rf"(?<![{_EAST_ASIAN}\u3000])\u3000+(?![{_EAST_ASIAN}\u3000])",
        " ",
        codes=((0x3000, 0x3000),),
    ),
    Rule("space at line end", r"[ \t\u3000]+(?=\n)", ""),
    Rule("blank lines", r"\n{3,}", "\n\n"),
)
"""In the order in which they are applied."""

RULE_NAMES = tuple(dict.fromkeys(rule.name for rule in RULES))
_MAX_ROUNDS = 8
_BAD_LINES = (" \n", "\t\n", "\u3000\n", "\n\n\n")
_TEXTS_AT_ONCE = 512


class Cleaned(NamedTuple):
    """A text and what was done to it."""

    text: str
    """The clean text."""
    changes: dict[str, int]
    """How many places each rule changed, by name; rules that changed none are left out."""


def clean(text: str) -> Cleaned:
    """Remove what carries no meaning from a text.

    Args:
        text: Normalised, see `text.unicode.normalize`.

    Returns:
        The text, the same object if nothing is wrong with it, and the changes. It is normalised
        again where characters were removed. Cleaning it again changes nothing.
    """
    changes: Counter[str] = Counter()
    for _ in range(_MAX_ROUNDS):
        if not _is_suspicious(text):
            break
        # A removal may bring two characters together that call for another rule or compose.
        before, text = text, normalize(_apply(text, changes))
        if text == before:
            break
    return Cleaned(text, dict(changes))


def clean_many(texts: Sequence[str]) -> list[Cleaned]:
    """Clean texts, short ones as quickly as long ones.

    Args:
        texts: Normalised.

    Returns:
        What `clean` returns for each.
    """
    cleaned = [Cleaned(text, {}) for text in texts]
    for row, done in _changed(texts):
        cleaned[row] = done
    return cleaned


def _changed(texts: Sequence[str]) -> Iterator[tuple[int, Cleaned]]:
    """Yield the rows of the texts that a rule may change, ascending, and what becomes of them."""
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        for row in _suspects(texts, start, min(start + _TEXTS_AT_ONCE, len(texts))):
            yield row, clean(texts[row])


def _suspects(texts: Sequence[str], start: int, end: int) -> Iterator[int]:
    """Yield the texts that any rule might change, found by halving."""
    # Nothing is found across a letter between two texts.
    if not _is_suspicious("x".join(texts[start:end])):
        return
    if end - start == 1:
        yield start
        return
    middle = (start + end) // 2
    yield from _suspects(texts, start, middle)
    yield from _suspects(texts, middle, end)


def _apply(text: str, changes: Counter[str]) -> str:
    units = _units(text)
    odd = frozenset(units[_suspicious_units().take(units)].tolist())
    for rule, pattern, unless in _compiled():
        if not _may_find(rule, odd, text) or (unless is not None and unless.search(text)):
            continue
        text, number = pattern.subn(rule.replacement, text)
        if number:
            changes[rule.name] += number
    return text


def _may_find(rule: Rule, odd: frozenset[int], text: str) -> bool:
    if not rule.codes:
        return any(pattern in text for pattern in _BAD_LINES)
    return any(first <= unit <= last for first, last in rule.codes for unit in odd)


@functools.cache
def _compiled() -> tuple[tuple[Rule, re.Pattern[str], re.Pattern[str] | None], ...]:
    return tuple(
        (rule, re.compile(rule.pattern), re.compile(rule.unless) if rule.unless else None)
        for rule in RULES
    )


def _units(text: str) -> npt.NDArray[np.uint16]:
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)


def _is_suspicious(text: str) -> bool:
    """Tell quickly whether any rule might find something."""
    if text.isascii():
        octets = text.encode()
        if len(octets.translate(None, _ASCII_CONTROLS)) != len(octets):
            return True
        return _has_bad_line(np.frombuffer(octets, np.uint8))
    units = _units(text)
    return bool(_suspicious_units().take(units).any()) or _has_bad_line(units)


def _has_bad_line(units: npt.NDArray[Any]) -> bool:
    """Tell whether a line ends with a space, or two empty ones follow each other."""
    ends = np.flatnonzero(units == _LINE_FEED)
    if not len(ends):
        return False
    last = units[ends - 1]
    spaced = (last == _SPACE) | (last == _TAB) | (last == _IDEOGRAPHIC_SPACE)
    return bool(spaced.any() or (ends[2:] - ends[:-2] == 2).any())


_TAB, _LINE_FEED, _SPACE, _IDEOGRAPHIC_SPACE = 0x09, 0x0A, 0x20, 0x3000
_ASCII_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])


@functools.cache
def _suspicious_units() -> npt.NDArray[np.bool_]:
    """Which 16-bit units a rule may find; high surrogates stand for all characters behind them."""
    table = np.zeros(0x10000, np.bool_)
    for rule in RULES:
        for first, last in rule.codes:
            table[first : last + 1] = True
    return table


@dataclass(frozen=True)
class CleanText:
    """Kernel: cleans the texts of a batch.

    Args:
        report: Whether to add a column `cleaning` that names the rules which changed a text.
    """

    report: bool = False

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Clean the column `text`.

        Args:
            batch: Any batch with a column `text`; nulls stay null.

        Returns:
            The batch with clean texts; the same if no text needed it.
        """
        texts = batch["text"].to_pylist()
        cleaned = dict(_changed([text or "" for text in texts]))
        new = {row: done.text for row, done in cleaned.items() if done.text != (texts[row] or "")}
        if new:
            for row, text in new.items():
                texts[row] = text
            index = batch.schema.get_field_index("text")
            field = batch.schema.field(index)
            batch = batch.set_column(index, field, pa.array(texts, field.type))
        if not self.report:
            return batch
        return batch.append_column("cleaning", _names(cleaned, batch.num_rows))


def _names(cleaned: Mapping[int, Cleaned], num_rows: int) -> pa.ListArray:
    """Names of the rules that changed each row."""
    counts = np.zeros(num_rows + 1, np.int32)
    names: list[str] = []
    for row, done in cleaned.items():
        names += sorted(done.changes)
        counts[row + 1] = len(done.changes)
    return pa.ListArray.from_arrays(
        pa.array(np.cumsum(counts, dtype=np.int32)), pa.array(names, pa.string())
    )


def count_changes(texts: Sequence[str]) -> Mapping[str, int]:
    """Count the places that cleaning would change.

    Args:
        texts: Normalised texts.

    Returns:
        By name of the rule, in the order of `RULE_NAMES`; rules that change nothing are left out.
    """
    total: Counter[str] = Counter()
    for cleaned in clean_many(texts):
        total.update(cleaned.changes)
    return {name: total[name] for name in RULE_NAMES if total[name]}

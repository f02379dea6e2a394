"""Ends of sentences by rule: marks, closing quotes, capitals, abbreviations, in any script."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hunmin.core.yaml12 import parse_yaml
from hunmin.text.languages import base_language

# Marks after which a space has to follow, and marks that need none.
_SPACED_MARKS = "\\.!?…؟۔।॥።፧։܀܁܂᠃᠉။།༎។៕᱾᱿߹꘎꘏"
_FULL_MARKS = "。！？｡．‼⁇⁈⁉"
# Directly after a mark, also the quotation marks that other languages open with: „so.“, »so.«
_CLOSERS = "\"'”’“‘»›«‹)\\]}」』）］】〉》〕｣"
_OPENERS = "\"'“‘«‹(\\[{「『（［【〈《〔｢¿¡„‚*–—\\-"
# Pairs that hold a sentence together: what stands in brackets is part of the sentence around.
_BRACKETS = re.compile(
    r"\([^()\n]{1,300}\)|\[[^\[\]\n]{1,300}\]|（[^（）\n]{1,300}）|「[^「」\n]{1,300}」|『[^『』\n]{1,300}』"
)
_CANDIDATE = re.compile(
    rf"(?P<marks>(?:[{_SPACED_MARKS}{_FULL_MARKS}]|፡፡)+)(?P<closers>[{_CLOSERS}]*)(?P<space>\s*)"
    rf"|(?P<line>\s*\n\s*)"
)
_LAST_WORD = re.compile(rf"[^\s{_OPENERS}]*\Z")
_NEXT_LETTER = re.compile(rf"[{_OPENERS}\s]*(\w?)")
_HANGUL_END = re.compile(r"[다요죠까음함임]\Z")
_LOOK_BACK = 24
# Small letters by name, but sentences begin with them.
_GEORGIAN = ("\u10d0", "\u10ff")


@dataclass(frozen=True)
class SentenceRules:
    """What ends a sentence in a language.

    Args:
        abbreviations: Words before a full stop that ends no sentence; lower case.
        ordinals: Whether a number and a full stop are an ordinal.
        weak_space: Characters from which `weak_boundary` ends a sentence; None for never.
        weak_boundary: A pattern of spaces that may end a sentence.
        endings: Words that end a sentence without a mark, a pattern; None for none.
        continued: Words after a quotation that go on with the sentence, a pattern.
    """

    abbreviations: frozenset[str] = frozenset()
    ordinals: bool = False
    weak_space: int | None = None
    weak_boundary: str = " +"
    endings: str | None = None
    continued: str | None = None


@functools.cache
def sentence_rules(language: str) -> SentenceRules:
    """Return the rules of a language.

    Args:
        language: A canonical language tag.

    Returns:
        Its rules; those for all languages where it has none of its own.
    """
    table = _table()
    own = table.get(base_language(language), {})
    abbreviations = frozenset((*table["all"]["abbreviations"], *own.get("abbreviations", ())))
    rest = {key: value for key, value in own.items() if key != "abbreviations"}
    return SentenceRules(abbreviations, **rest)


@functools.cache
def _table() -> dict[str, Any]:
    source = resources.files("hunmin.text.sentences").joinpath("data/sentences.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "sentences.yaml")
    return dict(content)


@dataclass(frozen=True)
class RuleSplitter:
    """Finds sentences by rule; nothing to install.

    Args:
        language: A canonical language tag, `und` where it is not known.

    Note:
        What is lost: Thai and Lao have no mark for the end of a sentence, so long stretches are
        cut at a space, which often only ends a clause. Korean without punctuation is cut after
        polite endings alone. A sentence in brackets belongs to the one around.
    """

    language: str

    def ends(self, texts: Sequence[str]) -> list[list[int]]:
        """Return where the sentences of each text end.

        Args:
            texts: Any texts; a line end is an end of a sentence.

        Returns:
            Character offsets, ascending, the last one the length of the text; white space belongs
            to the sentence before it. None for an empty text.
        """
        rules = sentence_rules(self.language)
        return [_ends(text, rules) for text in texts]


def _ends(text: str, rules: SentenceRules) -> list[int]:
    found = {end for end in _marked(text, rules) if end < len(text)}
    if rules.endings:
        found.update(_unmarked(text, rules))
    held = _held(text, found)
    ends = sorted(end for end in found if end not in held)
    if rules.weak_space:
        ends = _with_weak(text, ends, rules)
    return [*(end for end in ends if end < len(text)), len(text)] if text else []


def _marked(text: str, rules: SentenceRules) -> Iterator[int]:
    """Yield the offsets after marks and line ends."""
    for match in _CANDIDATE.finditer(text):
        if match["line"] or "\n" in match["space"] or _is_end(text, match, rules):
            yield match.end()


def _is_end(text: str, match: re.Match[str], rules: SentenceRules) -> bool:
    marks, end = match["marks"], match.end()
    if match["closers"] and _goes_on(text, end, rules):
        return False
    if not match["space"]:
        return _ends_without_space(text, match)
    following = _NEXT_LETTER.match(text, end)
    letter = following[1] if following else ""
    if letter.islower() and not _GEORGIAN[0] <= letter <= _GEORGIAN[1]:
        return False
    return marks[-1] != "." or not _is_abbreviation(text, match.start(), letter, rules)


def _ends_without_space(text: str, match: re.Match[str]) -> bool:
    """Tell whether a mark ends a sentence although no space follows."""
    if match["marks"][-1] in _FULL_MARKS:
        return True
    following = text[match.end() : match.end() + 1]
    before = text[match.start() - 1 : match.start()]
    is_hangul = "가" <= following <= "힣"
    return is_hangul and not match["closers"] and _HANGUL_END.match(before) is not None


def _is_abbreviation(text: str, start: int, letter: str, rules: SentenceRules) -> bool:
    """Tell whether the full stop at `start` belongs to the word before it."""
    last = _LAST_WORD.search(text[max(0, start - _LOOK_BACK) : start])
    word = last[0] if last else ""
    if word.isdigit():
        return rules.ordinals and len(word) <= 2
    if len(word) == 1 and _is_initial(word):
        return True
    return word.lower() in rules.abbreviations


def _is_initial(letter: str) -> bool:
    """Tell whether a letter alone is the first of a name: a capital, or one of an Indic script."""
    return letter.isupper() or "\u0900" <= letter <= "\u0dff"


def _goes_on(text: str, position: int, rules: SentenceRules) -> bool:
    """Tell whether a sentence goes on after a quotation: "…했다." 라고, 「はい。」と."""
    if rules.continued is None:
        return False
    return _compiled(rules.continued).match(text, position) is not None


def _unmarked(text: str, rules: SentenceRules) -> Iterator[int]:
    for match in _compiled(rf"(?:{rules.endings})[ \t]+(?=[^\s.!?…,~])").finditer(text):
        if not _goes_on(text, match.end(), rules):
            yield match.end()


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _held(text: str, ends: set[int]) -> set[int]:
    """Return the ends that stand within brackets."""
    held: set[int] = set()
    if not ends:
        return held
    for match in _BRACKETS.finditer(text):
        held.update(end for end in range(match.start() + 1, match.end()) if end in ends)
    return held


def _with_weak(text: str, ends: Sequence[int], rules: SentenceRules) -> list[int]:
    """Cut long stretches at spaces between letters."""
    found = list(ends)
    start = 0
    strong = iter([*ends, len(text)])
    limit = next(strong)
    for match in _compiled(rf"(?:{rules.weak_boundary})").finditer(text):
        while match.end() > limit:
            start, limit = limit, next(strong)
        if match.end() - start >= (rules.weak_space or 0) and match.end() < limit:
            found.append(match.end())
            start = match.end()
    return sorted(found)

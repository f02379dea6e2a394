"""Words in running text, in any script, and analysers that look at one word at a time."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from hunmin.text.segmentation.boundaries import NO_BOUNDARIES, Boundaries, BoundaryKind

_FIRST_SYLLABLE, _LAST_SYLLABLE = "\uac00", "\ud7a3"
# Joiners within words of Arabic and Indic scripts.
_JOINERS = "\u200c\u200d"
_FIRST_MARK = 0x300
_MAX_REMEMBERED = 1_000_000

IsLetter = Callable[[str], bool]


@functools.cache
def is_letter(character: str) -> bool:
    """Tell whether a character is a letter or a mark on one, such as a vowel sign."""
    return unicodedata.category(character)[0] in "LM"


def is_hangul_syllable(character: str) -> bool:
    """Tell whether a character is a precomposed Hangul syllable."""
    return _FIRST_SYLLABLE <= character <= _LAST_SYLLABLE


@functools.cache
def word_pattern() -> re.Pattern[str]:
    """Return what matches one word: a run of letters and marks.

    The class of word characters would not do: it has digits, and lacks the vowel signs of Hindi,
    Thai or Burmese.
    """
    letter = rf"(?:[^\W\d_]|[{_marks()}])"
    return re.compile(rf"{letter}+(?:[{_JOINERS}]+{letter}+)*")


def _marks() -> str:
    """All marks, as ranges for a character class."""
    ranges: list[list[int]] = []
    for code in range(_FIRST_MARK, sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] != "M":
            continue
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


class WordAnalyser(ABC):
    """An analyser that looks at one word at a time; every type is analysed once and remembered."""

    needs_context = False

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, ...]] = {}

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name, versions and options: two analysers with one identity give the same results."""

    @abstractmethod
    def cuts(self, word: str) -> tuple[int, ...]:
        """Return where the morphemes of a word meet: ascending offsets in (0, len(word))."""

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        """Return the boundaries of each text.

        Args:
            texts: Words or running text in NFC; digits and punctuation end a word.

        Returns:
            One for each text; no kinds are known.
        """
        return [self._analyse(text) for text in texts]

    def _analyse(self, text: str) -> Boundaries:
        positions: list[int] = []
        for match in word_pattern().finditer(text):
            start = match.start()
            positions += [start + cut for cut in self._remembered(match[0])]
        if not positions:
            return NO_BOUNDARIES
        return Boundaries(tuple(positions), (BoundaryKind.UNLABELLED,) * len(positions))

    def _remembered(self, word: str) -> tuple[int, ...]:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            found = self._known[word] = self.cuts(word)
        return found

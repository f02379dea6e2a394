"""Texts and their morpheme boundaries -> word types, with how often each boundary is there."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from hunmin.tokenizer.splits import GPT2_SPLIT, WordSplit

# Marks a boundary inside a text: no text holds a lone surrogate.
_MARK = "\ud800"
# The split never joins white space with what stands before it, nor words with each other.
UNIT = re.compile(r" ?\S+|\s+(?!\S)|\s")
_LINE = re.compile(r"[^\n]+|\n+")


@dataclass(frozen=True)
class WordTypes:
    """The distinct words of some text, with the space before them.

    Args:
        words: Each word once, sorted.
        counts: How often each occurs; int64.
        cut_words: Index of the word of each cut; int64, ascending.
        cut_positions: Characters of the word before the cut; int64.
        cut_counts: How many occurrences of the word have a boundary there; int64.
    """

    words: list[str]
    counts: npt.NDArray[np.int64]
    cut_words: npt.NDArray[np.int64]
    cut_positions: npt.NDArray[np.int64]
    cut_counts: npt.NDArray[np.int64]


class UnitCounter:
    """Counts the units of texts, with their boundaries marked.

    Args:
        lines: Units are lines; otherwise what stands between spaces.
    """

    def __init__(self, *, lines: bool = False) -> None:
        self._unit = _LINE if lines else UNIT
        self.counts: Counter[str] = Counter()

    def add(self, text: str, positions: Sequence[int] = ()) -> None:
        """Count the units of a text.

        Args:
            text: Any text without lone surrogates.
            positions: Offsets of its boundaries, ascending, none beside white space.
        """
        self.counts.update(self._unit.findall(_mark(text, positions)))


def _mark(text: str, positions: Sequence[int]) -> str:
    if not positions:
        return text
    return _MARK.join(text[start:end] for start, end in pairwise([0, *positions, len(text)]))


class WordCounter:
    """Counts words and their cuts.

    Args:
        split: Words are what it will make in use.
    """

    def __init__(self, split: WordSplit = GPT2_SPLIT) -> None:
        self._splitter = split.splitter()
        self.counts: Counter[str] = Counter()
        self.cuts: Counter[tuple[str, int]] = Counter()

    def add_units(self, units: Mapping[str, int]) -> None:
        """Split units into words and add up their counts and boundaries.

        Args:
            units: How often each marked unit occurs, see `UnitCounter`.
        """
        for unit, count in units.items():
            text, positions = _unmark(unit)
            for word, (start, end) in self._splitter.pre_tokenize_str(text):
                self.counts[word] += count
                # Found by halving: without spaces a whole page is one unit of many words.
                inner = positions[bisect_right(positions, start) : bisect_left(positions, end)]
                for position in inner:
                    self.cuts[word, position - start] += count

    def add_word(self, word: str, count: int, positions: Sequence[int]) -> None:
        """Count a word, all of whose occurrences have the same boundaries."""
        self.counts[word] += count
        for position in positions:
            self.cuts[word, position] += count

    def add(self, others: WordCounter) -> None:
        """Add what another counter has counted, which is not to be used any more."""
        if not self.counts:
            # Millions of words are not copied.
            self.counts, self.cuts = others.counts, others.cuts
            return
        self.counts.update(others.counts)
        self.cuts.update(others.cuts)

    def extrapolate(self, others: Mapping[str, int]) -> None:
        """Count words that were not analysed, as if they were cut like those that were.

        Args:
            others: Occurrences by word. Words that were never analysed get no cuts.
        """
        for (word, position), cut in self.cuts.items():
            more = others.get(word, 0)
            # Whole numbers: a share of a few million occurrences does not need more.
            self.cuts[word, position] = cut + round(more * cut / self.counts[word])
        self.counts.update(others)

    def word_types(self) -> WordTypes:
        """Return what was counted."""
        words = sorted(self.counts)
        index = {word: number for number, word in enumerate(words)}
        rows = sorted(
            (index[word], position, count) for (word, position), count in self.cuts.items()
        )
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        counts = np.array([self.counts[word] for word in words], dtype=np.int64)
        return WordTypes(words, counts, *columns)


def _unmark(unit: str) -> tuple[str, list[int]]:
    if _MARK not in unit:
        return unit, []
    parts = unit.split(_MARK)
    return "".join(parts), list(accumulate(len(part) for part in parts[:-1]))

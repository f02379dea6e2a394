"""Units that repetition and words are measured in: words, or characters where none are parted.

Thai, Lao, Khmer, Burmese, Tibetan, Japanese and Chinese do not put spaces between words: their runs
between spaces are clauses. There a unit is a character, and `k` characters stand for one word: two
in Han and kana, four in the other scripts (the mean length of their words to the nearest power of
two), so that an n-gram of n words becomes an n-gram of n * k characters. Blocks of k characters
would not do: a sentence that is repeated one character further on would share none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import (
    DIGIT,
    LETTER,
    NUM_KINDS,
    PUNCTUATION,
    script_kind,
)
from hunmin.corpus.filters.chunks import Chunk
from hunmin.corpus.hashes import Hashes, Positions

CHARACTERS_PER_WORD = {
    "Hani": 2,
    "Hira": 2,
    "Kana": 2,
    "Thai": 4,
    "Laoo": 4,
    "Khmr": 4,
    "Mymr": 4,
    "Tibt": 4,
    "Java": 4,
}
"""How many characters stand for one word, in those of the scripts without spaces between words (see
`hunmin.text.scripts`) whose words have a known length, and in Javanese."""
_TRIMS = 3


@dataclass(frozen=True)
class Units:
    """The units of a chunk, document after document."""

    starts: Positions
    """Where each unit begins in the chunk."""
    ends: Positions
    """Where each unit ends."""
    documents: Positions
    """The document of each unit."""
    offsets: Positions
    """Where the units of each document begin, and their number; shape (documents + 1,)."""
    per_word: Positions
    """Units that stand for one word, by document: 1 where units are words."""
    hashes: Hashes
    """Hash of each unit."""

    @property
    def counts(self) -> Positions:
        """Units of each document."""
        return np.diff(self.offsets)

    @property
    def lengths(self) -> Positions:
        """Characters of each unit."""
        return self.ends - self.starts


def units_per_word(chunk: Chunk) -> Positions:
    """Return how many units stand for one word of each document: 1 where words are parted."""
    counts = chunk.kind_counts
    letters = counts[:, LETTER:].sum(axis=1)
    by_size: dict[int, list[int]] = {}
    for script, size in CHARACTERS_PER_WORD.items():
        by_size.setdefault(size, []).append(script_kind(script))
    found = np.ones(chunk.num_documents, np.int64)
    totals = {size: counts[:, kinds].sum(axis=1) for size, kinds in by_size.items()}
    unspaced = np.sum(list(totals.values()), axis=0) * 2 > letters
    sizes = list(totals)
    best = np.argmax(np.stack(list(totals.values())), axis=0)
    found[unspaced] = np.asarray(sizes)[best[unspaced]]
    return found


def find_units(chunk: Chunk) -> Units:
    """Find the units of every document.

    Args:
        chunk: Documents.

    Returns:
        White-space words, or all characters that are no space where the script parts no words.
    """
    per_word = units_per_word(chunk)
    starts, ends = chunk.word_bounds
    if (per_word > 1).any():
        starts, ends = _with_characters(chunk, per_word > 1)
    offsets = chunk.offsets_of(starts)
    documents = np.repeat(np.arange(chunk.num_documents), np.diff(offsets))
    hashes = chunk.substrings.hashes(starts, ends)
    return Units(starts, ends, documents, offsets, per_word, hashes)


def _with_characters(chunk: Chunk, unspaced: npt.NDArray[np.bool_]) -> tuple[Positions, Positions]:
    """Bounds of words, and of all characters in some of the documents."""
    single = np.repeat(unspaced, chunk.lengths + 1)
    inside = np.zeros(len(chunk.kinds) + 2, np.bool_)
    np.greater(chunk.kinds, 1, out=inside[1:-1])
    begins = inside[1:-1] & (~inside[:-2] | single)
    stops = inside[1:-1] & (~inside[2:] | single)
    return np.flatnonzero(begins), np.flatnonzero(stops) + 1


def trimmed_words(chunk: Chunk) -> tuple[Positions, Positions, Positions]:
    """Return words without the punctuation around them.

    Args:
        chunk: Documents.

    Returns:
        Starts, ends and documents of all words with at least one character left.
    """
    starts, ends = chunk.word_bounds
    documents = chunk.documents_of(starts)
    starts, ends = starts.copy(), ends.copy()
    outer = np.zeros(NUM_KINDS * 4, np.bool_)
    outer[DIGIT + 1 : PUNCTUATION + 2] = True
    at_start = at_end = np.arange(len(starts))
    for _ in range(_TRIMS):
        # A word that was not cut at one side before is not cut there now.
        at_end = _cut(outer.take(chunk.kinds.take(ends[at_end] - 1)), starts, ends, at_end)
        ends[at_end] -= 1
        at_start = _cut(outer.take(chunk.kinds.take(starts[at_start])), starts, ends, at_start)
        starts[at_start] += 1
    return starts, ends, documents


def _cut(
    is_outer: npt.NDArray[np.bool_], starts: Positions, ends: Positions, words: Positions
) -> Positions:
    """Return those of the words that have a character to lose and one to keep."""
    words = words[is_outer]
    return words[ends[words] > starts[words] + 1]

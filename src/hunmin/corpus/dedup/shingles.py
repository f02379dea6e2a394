"""Texts as sets of overlapping pieces (shingles), each a 64-bit hash, flat with offsets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.letters import Letters, chunks, letters_of, text_column
from hunmin.corpus.hashes import Hashes, Positions, Stretches
from hunmin.text.languages import UNDETERMINED
from hunmin.text.scripts import is_unspaced_script, unspaced_languages

Unit = Literal["words", "characters"]
WORDS_PER_SHINGLE = 5
CHARACTERS_PER_SHINGLE = 15
# Tags for "not known", "several", "not coded" and "no language": characters serve every script.
_UNKNOWN = (UNDETERMINED, "mul", "mis", "zxx")
# Korean does put spaces between words, but writers and converters lose them so often that word
# n-grams miss copies: 3 % of the spaces lost cost a tenth of the recall.
_LOSING_SCRIPTS = ("Hang", "Kore")
_OTHER_LANGUAGES = ("ko", *_UNKNOWN)


@dataclass(frozen=True)
class Shingles:
    """The shingles of some texts, one text after the other."""

    hashes: Hashes
    """A hash of each shingle in the order of the text, repeats included, shape (shingles,)."""
    offsets: Positions
    """Text i has the shingles offsets[i]…offsets[i + 1], never none, shape (texts + 1,)."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def of(self, text: int) -> Hashes:
        """Return the different shingles of one text in increasing order."""
        return np.unique(self.hashes[self.offsets[text] : self.offsets[text + 1]])


def character_shingles(letters: Letters, width: int = CHARACTERS_PER_SHINGLE) -> Shingles:
    """Return all runs of `width` visible characters, white space left out.

    Args:
        letters: Letters of the texts.
        width: Characters in a shingle; at least 1.

    Returns:
        The shingles; a text of fewer characters is one shingle as a whole.

    Raises:
        InputError: The width is below 1.
    """
    _check_width(width)
    return _runs(letters.hashes, letters.offsets, width)


def word_shingles(letters: Letters, width: int = WORDS_PER_SHINGLE) -> Shingles:
    """Return all runs of `width` words; words stand between white space.

    Args:
        letters: Letters of the texts.
        width: Words in a shingle; at least 1.

    Returns:
        The shingles; a text of fewer words is one shingle as a whole.

    Raises:
        InputError: The width is below 1.
    """
    _check_width(width)
    words, word_offsets = _words(letters)
    return _runs(words, word_offsets, width)


def shingle(texts: pa.Array, units: Sequence[Unit] | npt.NDArray[np.str_]) -> Shingles:
    """Return the shingles of a column, each text in its own unit.

    Args:
        texts: Arrow strings without nulls.
        units: For each text, `words` or `characters`; see `unit_of`.

    Returns:
        Word 5-grams or character 15-grams in the order of the texts.

    Note:
        Deterministic, and the same however the column is cut. Works through about 1 MiB of text
        at a time; the result takes 8 bytes a shingle.
    """
    texts = text_column(texts)
    by_word = np.asarray(units) == "words"
    if by_word.all() or not by_word.any():
        return _by_chunk(texts, word_shingles if by_word.any() else character_shingles)
    order = np.argsort(~by_word, kind="stable")
    num_words = int(by_word.sum())
    sorted_texts = texts.take(pa.array(order))
    parts = (
        _by_chunk(sorted_texts.slice(0, num_words), word_shingles),
        _by_chunk(sorted_texts.slice(num_words), character_shingles),
    )
    return _take(_joined(parts), np.argsort(order, kind="stable"))


@functools.cache
def unit_of(tag: str) -> Unit:
    """Return what texts of a language are compared by.

    Args:
        tag: A canonical BCP 47 tag.

    Returns:
        `characters` where white space does not reliably part words, or the language is not known;
        else `words`. A script in the tag decides before the language: `zh-Latn` has words.
    """
    language, *subtags = tag.split("-")
    scripts = [subtag for subtag in subtags if len(subtag) == 4 and subtag.isalpha()]
    if scripts:
        script = scripts[0].title()
        by_character = is_unspaced_script(script) or script in _LOSING_SCRIPTS
    else:
        by_character = language in unspaced_languages() or language in _OTHER_LANGUAGES
    return "characters" if by_character else "words"


def units_of(languages: pa.Array) -> npt.NDArray[np.str_]:
    """Return the unit of each tag in a column; a missing tag counts as undetermined."""
    encoded = languages.fill_null(UNDETERMINED).dictionary_encode()
    units = np.array([unit_of(tag) for tag in encoded.dictionary.to_pylist()], np.str_)
    return units[encoded.indices.to_numpy()] if len(units) else np.zeros(0, np.str_)


def _words(letters: Letters) -> tuple[Hashes, Positions]:
    """Hash of each word, and where each text's words begin."""
    starts = np.flatnonzero(letters.after_space)
    ends = np.append(starts, len(letters.codes))[1:]
    # A text's words begin where its letters do: the first letter of a text starts a word.
    return Stretches(letters.hashes).hashes(starts, ends), starts.searchsorted(letters.offsets)


def _runs(elements: Hashes, offsets: Positions, width: int) -> Shingles:
    """All runs of `width` elements within each text, or the whole text if it has fewer."""
    stretches = Stretches(elements)
    starts, shingle_offsets = _starts(offsets, width)
    windows = stretches.windows(width)
    hashes = windows.take(starts, mode="clip") if len(windows) else np.zeros_like(starts, np.uint64)
    short = np.flatnonzero(np.diff(offsets) < width)
    hashes[shingle_offsets[short]] = stretches.hashes(offsets[short], offsets[short + 1])
    return Shingles(hashes, shingle_offsets)


def _starts(offsets: Positions, width: int) -> tuple[Positions, Positions]:
    """Where shingles start among the elements, and where each text's shingles begin."""
    counts = np.maximum(np.diff(offsets) - width + 1, 1)
    shingle_offsets = np.concatenate([[0], np.cumsum(counts)])
    shift = np.repeat(offsets[:-1] - shingle_offsets[:-1], counts)
    return np.arange(shingle_offsets[-1]) + shift, shingle_offsets


def _by_chunk(texts: pa.Array, shingles: Callable[[Letters], Shingles]) -> Shingles:
    return _joined([shingles(letters_of(chunk)) for chunk in chunks(texts)])


def _joined(parts: Sequence[Shingles]) -> Shingles:
    if not parts:
        return Shingles(np.zeros(0, np.uint64), np.zeros(1, np.int64))
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    hashes = np.concatenate([part.hashes for part in parts])
    return Shingles(hashes, np.concatenate([[0], np.cumsum(counts)]))


def _take(shingles: Shingles, order: Positions) -> Shingles:
    """Put texts into another order."""
    counts = np.diff(shingles.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    shift = np.repeat(shingles.offsets[:-1][order] - offsets[:-1], counts)
    return Shingles(shingles.hashes[np.arange(offsets[-1]) + shift], offsets)


def _check_width(width: int) -> None:
    if width < 1:
        raise InputError("a shingle needs a width", given=width, allowed="1 or more")

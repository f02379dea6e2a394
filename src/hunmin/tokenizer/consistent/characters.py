"""Characters first: merges that form common characters out of bytes; words in characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from hunmin.tokenizer.consistent.learn import Vocabulary
from hunmin.tokenizer.consistent.sequences import WALL, Sequences
from hunmin.tokenizer.consistent.word_types import WordTypes

NUM_CODE_POINTS = 0x110000
_ASCII = 0x80
# Stands between words; no text holds a lone surrogate.
_BETWEEN = 0xD800
_STRINGS_PER_CALL = 100_000
Codes = npt.NDArray[np.int64]


def choose_characters(
    languages: Iterable[Iterable[Mapping[str, int]]], coverage: float
) -> list[int]:
    """Choose the characters that become entries.

    Args:
        languages: Of each language how often each word or unit occurs, in several parts.
        coverage: Share of each language's characters beyond ASCII to cover: a language with many
            characters is not spelled in bytes because others have few.

    Returns:
        Code points beyond ASCII, most frequent first.
    """
    chosen: set[int] = set()
    total = np.zeros(NUM_CODE_POINTS, dtype=np.int64)
    for parts in languages:
        counts = sum(map(_count_characters, parts), np.zeros(NUM_CODE_POINTS, dtype=np.int64))
        chosen.update(code for code in cover(counts, coverage) if code >= _ASCII)
        total += counts
    return sorted(chosen, key=lambda code: (-total[code], code))


def _count_characters(strings: Mapping[str, int]) -> Codes:
    totals = np.zeros(NUM_CODE_POINTS, dtype=np.int64)
    for batch in _batches(strings):
        codes, owners = _code_points(list(batch))
        weights = np.array(list(batch.values()), dtype=np.int64)[owners]
        totals += np.bincount(codes, weights=weights, minlength=NUM_CODE_POINTS).astype(np.int64)
    # The marks between words, and of boundaries, are lone surrogates.
    totals[0xD800:0xE000] = 0
    return totals


def _batches(strings: Mapping[str, int]) -> Iterator[dict[str, int]]:
    items = iter(strings.items())
    while batch := dict(islice(items, _STRINGS_PER_CALL)):
        yield batch


def merge_characters(characters: Sequence[int], vocabulary: Vocabulary, *, size: int) -> None:
    """Add the merges that form characters.

    Args:
        characters: Code points beyond ASCII, the most important first.
        vocabulary: Grows in place. Being first, these merges come before all others, so that no
            entry is a part of a common character glued to a part of another.
        size: Entries to have at most.
    """
    for code in characters:
        data = chr(code).encode()
        if len(vocabulary) + len(data) - 1 > size:
            return
        symbol = data[0]
        for byte in data[1:]:
            known = vocabulary.find(vocabulary.pieces[symbol] + bytes([byte]))
            symbol = vocabulary.merge(symbol, byte) if known is None else known


def cover(counts: Codes, coverage: float) -> list[int]:
    """Return the most frequent characters that make up a share of a text.

    Args:
        counts: Occurrences of each code point.
        coverage: The share, (0, 1]. Of characters beyond ASCII alone, so that a little text in
            another script is not spelled in bytes because of much in Latin letters.

    Returns:
        Code points, all of ASCII that occur and the most frequent others, most frequent first;
        of equally frequent ones the lower first.
    """
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    beyond_ascii = order >= _ASCII
    reached = np.cumsum(counts[order] * beyond_ascii)
    before = reached - counts[order] * beyond_ascii
    needed = ~beyond_ascii | (before < coverage * reached[-1:].sum())
    return [int(code) for code in order[needed]]


def _code_points(words: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """Return all characters of the words, with _BETWEEN before each, and each one's word."""
    joined = "".join(f"{chr(_BETWEEN)}{word}" for word in words)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    owners = np.repeat(np.arange(len(words), dtype=np.int32), lengths + 1)
    return codes, owners


def words_in_characters(words: WordTypes, vocabulary: Vocabulary) -> Sequences:
    """Write the words as sequences of characters, the starting point of merging.

    Args:
        words: The text.
        vocabulary: Holds the common characters.

    Returns:
        The words; a character without an entry is a wall, so that nothing merges across it.

    Note:
        Also words that occur once: in a language with much inflection, half of what is known
        about a stem stands in them (LAB.md).
    """
    lengths = np.array([len(word) for word in words.words], dtype=np.int64)
    kept = lengths > 1
    chosen = [words.words[index] for index in np.flatnonzero(kept)]
    codes, word_of = _code_points([*chosen, ""])
    table = _symbols_of_characters(vocabulary)
    weights = np.append(words.counts[kept], 0)[word_of]
    cuts = np.zeros(len(codes), dtype=np.int64)
    cuts[_places_of_cuts(words, kept, lengths)] = words.cut_counts[kept[words.cut_words]]
    return Sequences(table[codes], weights, cuts)


def _places_of_cuts(words: WordTypes, kept: npt.NDArray[np.bool_], lengths: Codes) -> Codes:
    """Return where the character before each cut stands in the joined words."""
    # Each word takes its characters and the wall before it.
    starts = np.cumsum(np.where(kept, lengths + 1, 0)) - lengths
    of_kept = kept[words.cut_words]
    places: Codes = starts[words.cut_words[of_kept]] + words.cut_positions[of_kept] - 1
    return places


def _symbols_of_characters(vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    """Return the symbol of each code point, or WALL."""
    table = np.full(NUM_CODE_POINTS, WALL, dtype=np.int32)
    table[:_ASCII] = np.arange(_ASCII)
    for symbol, piece in enumerate(vocabulary.pieces):
        if symbol >= _ASCII:
            text = piece.decode("utf-8", errors="ignore")
            if len(text) == 1 and text.encode() == piece:
                table[ord(text)] = symbol
    return table

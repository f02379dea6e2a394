"""Hashed features of texts: n-grams of characters and of words, made over whole chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.chunks import Chunk, chunks
from hunmin.corpus.filters.repeats import share
from hunmin.corpus.filters.units import units_per_word
from hunmin.corpus.hashes import Positions, Stretches

_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xFD7046C5)
MAX_CHARACTERS = len(_FACTORS)
_WORD_SALT = np.uint64(0xA0761D6478BD642F)


@dataclass(frozen=True)
class FeatureSpace:
    """Which features a text has."""

    bits: int = 18
    """There are 2**bits features; others share their places."""
    characters: tuple[int, ...] = (2, 3, 4)
    """Lengths of the n-grams of characters, 1 to 6; lower case, white space counts."""
    words: tuple[int, ...] = (1, 2)
    """Lengths of the n-grams of white-space words, where the script parts words."""

    @property
    def size(self) -> int:
        """Number of features."""
        return 1 << self.bits


@dataclass(frozen=True)
class Rows:
    """Features of some texts as rows of a sparse matrix: each row sums to one."""

    offsets: Positions
    """Where each row begins, and the number of values; shape (rows + 1,)."""
    features: Positions
    """Feature of each value, ascending within a row."""
    values: npt.NDArray[np.float64]
    """Share of the row's n-grams that are this feature."""

    def dot(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Multiply with a vector of weights."""
        sums = np.concatenate([[0.0], np.cumsum(self.values * weights[self.features])])
        found: npt.NDArray[np.float64] = sums[self.offsets[1:]] - sums[self.offsets[:-1]]
        return found

    def dot_transposed(
        self, factors: npt.NDArray[np.float64], size: int
    ) -> npt.NDArray[np.float64]:
        """Multiply the transposed matrix with a factor for each row."""
        weights = self.values * np.repeat(factors, np.diff(self.offsets))
        return np.bincount(self.features, weights, size).astype(np.float64)


def rows_of(texts: Sequence[str], space: FeatureSpace) -> Rows:
    """Return the features of texts, for training.

    Args:
        texts: Normalised texts.
        space: Which features.

    Returns:
        A row for each text; empty for a text without any n-gram.
    """
    keys: list[Positions] = [np.zeros(0, np.int64)]
    counts: list[Positions] = [np.zeros(0, np.int64)]
    for chunk in chunks(texts):
        found = [
            (np.repeat(np.arange(chunk.num_documents), lengths) + chunk.first) << space.bits | slots
            for slots, lengths in _slots(chunk, space)
        ]
        unique, number = np.unique(np.concatenate(found), return_counts=True)
        keys.append(unique)
        counts.append(number)
    merged, numbers = np.concatenate(keys), np.concatenate(counts)
    owners = merged >> space.bits
    offsets = np.searchsorted(owners, np.arange(len(texts) + 1))
    totals = np.bincount(owners, numbers, len(texts))
    return Rows(offsets, merged & (space.size - 1), numbers / totals[owners])


def score_sums(
    texts: Sequence[str], space: FeatureSpace, weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return the mean weight of each text's features, without building rows; NaN if it has none."""
    parts = [np.zeros(0)]
    for chunk in chunks(texts):
        sums = np.zeros(chunk.num_documents)
        totals = np.zeros(chunk.num_documents, np.int64)
        for slots, lengths in _slots(chunk, space):
            ends = np.cumsum(lengths)
            running = np.concatenate([[0.0], np.cumsum(weights[slots], dtype=np.float64)])
            sums += running[ends] - running[ends - lengths]
            totals += lengths
        parts.append(share(sums, totals))
    return np.concatenate(parts)


def _slots(chunk: Chunk, space: FeatureSpace) -> Iterator[tuple[Positions, Positions]]:
    """Yield features document after document, and how many of each document, by kind of n-gram."""
    sums = np.zeros(len(chunk.codes), np.uint32)
    for size in range(1, max(space.characters, default=0) + 1):
        sums = sums[: max(0, len(chunk.codes) - size + 1)]
        sums += chunk.codes[size - 1 :] * np.uint32(_FACTORS[size - 1])
        if size in space.characters:
            yield _character_slots(chunk, sums, size, space.bits)
    yield from _word_slots(chunk, space)


def _character_slots(
    chunk: Chunk, sums: npt.NDArray[np.uint32], size: int, bits: int
) -> tuple[Positions, Positions]:
    mixed = (sums ^ (sums >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    slots = (mixed ^ (mixed >> np.uint32(12))) >> np.uint32(32 - bits)
    # N-grams that begin in one document and end in the next belong to neither.
    lengths = np.maximum(0, chunk.lengths - size + 1)
    any_here = (lengths > 0).astype(np.int8)
    whole = np.zeros(len(slots) + 1, np.int8)
    np.add.at(whole, np.minimum(chunk.starts, len(slots)), any_here)
    np.add.at(whole, np.minimum(chunk.starts + lengths, len(slots)), -any_here)
    inside = np.cumsum(whole[:-1], dtype=np.int8).view(np.bool_)
    return slots[inside].astype(np.int64), lengths


def _word_slots(chunk: Chunk, space: FeatureSpace) -> Iterator[tuple[Positions, Positions]]:
    if not space.words:
        return
    starts, ends = chunk.word_bounds
    parted = (units_per_word(chunk) == 1)[chunk.documents_of(starts)]
    starts, ends = starts[parted], ends[parted]
    hashes = Stretches(chunk.substrings.hashes(starts, ends) ^ _WORD_SALT)
    offsets = chunk.offsets_of(starts)
    stops = np.repeat(offsets[1:], np.diff(offsets))
    for size in space.words:
        firsts = np.arange(len(starts))
        fits = firsts + size <= stops
        found = hashes.hashes(firsts[fits], firsts[fits] + size)
        lengths = np.maximum(0, np.diff(offsets) - size + 1)
        yield (found >> np.uint64(64 - space.bits)).astype(np.int64), lengths

"""Documents as arrays of code points, a cache-sized chunk of documents at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import (
    NEWLINE,
    NUM_CODES,
    NUM_KINDS,
    kind_table,
    lower_table,
)
from hunmin.corpus.hashes import Hashes, Positions, Stretches, mix

# Arrays of eight bytes an item stay within a core's cache.
CHUNK_CHARACTERS = 1 << 17
HEAD_CHARACTERS = 4
"""Characters that `Chunk.heads` looks at."""
NUM_HEADS = 1 << 16
"""Different values of `Chunk.heads`."""
_HEAD_FACTOR = np.uint32(0x9E3779B1)
_HEAD_SHIFT = np.uint32(16)


@dataclass(frozen=True)
class Chunk:
    """Some documents one after the other, a line end after each."""

    written: npt.NDArray[np.uint32]
    """Code points as they were written, shape (characters,)."""
    codes: npt.NDArray[np.uint32]
    """Lower-case code points, shape (characters,)."""
    kinds: npt.NDArray[np.uint8]
    """Kinds of the characters, shape (characters,)."""
    starts: Positions
    """Where each document begins."""
    ends: Positions
    """Where each document ends; its added line end stands there."""
    first: int
    """Number of the first document within its batch."""

    @property
    def num_documents(self) -> int:
        """Documents in the chunk."""
        return len(self.starts)

    @property
    def lengths(self) -> Positions:
        """Characters of each document."""
        return self.ends - self.starts

    @functools.cached_property
    def substrings(self) -> Stretches:
        """Hashes of substrings, blind to upper and lower case."""
        return Stretches(_code_hashes().take(self.codes))

    @functools.cached_property
    def heads(self) -> npt.NDArray[np.uint16]:
        """Short hash of the four lower-case characters from each place on."""
        return heads_of(self.codes)

    @functools.cached_property
    def kind_counts(self) -> Positions:
        """Characters of each kind, shape (documents, NUM_KINDS); without the added line ends."""
        keys = np.repeat(np.arange(self.num_documents) * NUM_KINDS, self.lengths + 1)
        keys += self.kinds
        counts = np.bincount(keys, minlength=self.num_documents * NUM_KINDS)
        counts = counts.reshape(self.num_documents, NUM_KINDS)
        counts[:, NEWLINE] -= 1
        return counts

    @functools.cached_property
    def word_bounds(self) -> tuple[Positions, Positions]:
        """Starts and ends of all runs without white space."""
        inside = np.zeros(len(self.kinds) + 1, np.bool_)
        np.greater(self.kinds, NEWLINE, out=inside[1:])
        bounds = np.flatnonzero(inside[1:] != inside[:-1])
        return bounds[::2], bounds[1::2]

    def documents_of(self, positions: Positions) -> Positions:
        """Return which document each of some ascending positions lies in."""
        return np.repeat(np.arange(self.num_documents), np.diff(self.offsets_of(positions)))

    def offsets_of(self, positions: Positions) -> Positions:
        """Return where the documents begin in an ascending list of positions, and its length."""
        return np.append(np.searchsorted(positions, self.starts), len(positions))


def chunks(texts: Sequence[str]) -> Iterator[Chunk]:
    """Cut a batch into chunks of whole documents.

    Args:
        texts: Normalised texts, possibly empty.

    Yields:
        Chunks of about 131 thousand characters; a longer document is a chunk of its own.
    """
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    first = before = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, before + CHUNK_CHARACTERS, side="right"))
        last = max(last, first + 1)
        joined = "\n".join([*texts[first:last], ""])
        yield _chunk(joined, ends[first:last] - (before + 1), first)
        first, before = last, int(ends[last - 1])


def _chunk(joined: str, ends: Positions, first: int) -> Chunk:
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    starts = np.concatenate([[0], ends[:-1] + 1])
    return Chunk(codes, lower_table().take(codes), kind_table().take(codes), starts, ends, first)


def heads_of(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint16]:
    """Return a hash below NUM_HEADS of the four code points from each place on."""
    count = max(0, len(codes) - HEAD_CHARACTERS + 1)
    total = np.zeros(count, np.uint32)
    for place in range(HEAD_CHARACTERS):
        total += codes[place : place + count]
        total *= _HEAD_FACTOR
    total >>= _HEAD_SHIFT
    return total.astype(np.uint16)


def hash_strings(strings: Sequence[str]) -> Hashes:
    """Return the hashes of whole strings, equal to those of equal substrings of a chunk."""
    codes = np.frombuffer("".join(strings).encode("utf-32-le"), np.uint32)
    ends = np.cumsum([0, *map(len, strings)])
    return Stretches(_code_hashes().take(codes)).hashes(ends[:-1], ends[1:])


@functools.cache
def _code_hashes() -> Hashes:
    return mix(np.arange(NUM_CODES, dtype=np.uint64))

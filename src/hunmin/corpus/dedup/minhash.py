"""MinHash: a short signature for each text, whose agreement estimates the Jaccard similarity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError
from hunmin.core.hashing import seed_from
from hunmin.corpus.dedup.shingles import Shingles
from hunmin.corpus.hashes import Hashes, mix

Signatures = npt.NDArray[np.uint32]
"""Smallest hash of each text under each permutation, shape (texts, permutations)."""

_BLOCK_SHINGLES = 1 << 16
_HALF = np.uint64(32)


@dataclass(frozen=True)
class MinHash:
    """Signatures and the keys that bring similar texts into one bucket.

    Note:
        Two texts of similarity s share a bucket with probability 1 - (1 - s**rows)**bands: one
        half at 0.72 with 14 bands of 8 rows.

    Source:
        Broder 1997; 14 bands of 8 rows from FineWeb (arXiv:2406.17557).
    """

    bands: int = 14
    """Buckets that each text is put into; 1 or more."""
    rows: int = 8
    """Hashes that must be equal for one bucket; 1 or more."""
    seed: int = 0
    """Another seed draws other permutations; signatures of different seeds do not compare."""

    def __post_init__(self) -> None:
        if self.bands < 1 or self.rows < 1:
            raise InputError(
                "MinHash needs bands and rows",
                given=f"{self.bands} bands of {self.rows} rows",
                allowed="1 or more of each; 14 of 8 for a threshold near 0.72",
            )

    @property
    def permutations(self) -> int:
        """Hashes in a signature."""
        return self.bands * self.rows

    def signatures(self, shingles: Shingles) -> Signatures:
        """Return the signature of each text.

        Args:
            shingles: Shingles with well-mixed 64-bit hashes, at least one for each text.

        Returns:
            uint32, shape (texts, permutations).

        Note:
            Permutation k orders shingles by high·a_k + low modulo 2**32, over the two halves of
            their hash. Each is uniform, so the share of equal hashes has the Jaccard similarity as
            its mean. The a_k differ modulo the number of permutations (rounded up to a power of
            two), which leaves any two permutations independent but for the lowest bits, so the
            variance is that of independent ones: J(1-J)/permutations. Memory: one signature a
            text, and blocks of 65,536 shingles.
        """
        signatures = np.full((self.permutations, len(shingles)), 0xFFFFFFFF, np.uint32)
        for start in range(0, len(shingles.hashes), _BLOCK_SHINGLES):
            self._lower(signatures, shingles, start)
        return np.ascontiguousarray(signatures.T)

    def _lower(self, signatures: Signatures, shingles: Shingles, start: int) -> None:
        """Take the minimum with a block of shingles, which may begin and end inside a text."""
        block = shingles.hashes[start : start + _BLOCK_SHINGLES]
        stop = start + len(block)
        first = int(np.searchsorted(shingles.offsets, start, side="right")) - 1
        last = int(np.searchsorted(shingles.offsets, stop, side="left"))
        starts = np.maximum(shingles.offsets[first:last] - start, 0)
        high, low = (block >> _HALF).astype(np.uint32), block.astype(np.uint32)
        hashed = np.empty_like(high)
        for row, factor in zip(signatures[:, first:last], self._factors, strict=True):
            np.multiply(high, factor, out=hashed)
            np.add(hashed, low, out=hashed)
            np.minimum(row, np.minimum.reduceat(hashed, starts), out=row)

    def band_keys(self, signatures: Signatures) -> Hashes:
        """Return the buckets of each text.

        Args:
            signatures: uint32, shape (texts, permutations).

        Returns:
            uint64, shape (texts, bands). Keys of different bands differ, so that the keys of all
            bands can stand in one column.
        """
        banded = signatures.reshape(len(signatures), self.bands, self.rows)
        keys = np.empty((len(signatures), self.bands), np.uint64)
        keys[:] = mix(np.arange(self.bands, dtype=np.uint64))
        for row in range(self.rows):
            keys = mix(keys ^ banded[:, :, row])
        return keys

    @cached_property
    def _factors(self) -> npt.NDArray[np.uint32]:
        """One factor for each permutation; any two differ in their lowest bits."""
        numbers = np.arange(self.permutations, dtype=np.uint64)
        drawn = mix(numbers + np.uint64(seed_from("minhash", self.seed)))
        bits = np.uint64((self.permutations - 1).bit_length())
        return ((drawn >> _HALF << bits) + numbers).astype(np.uint32)


def similarity(left: Signatures, right: Signatures) -> npt.NDArray[np.float32]:
    """Estimate the Jaccard similarity of pairs of texts.

    Args:
        left: Signatures, shape (pairs, permutations).
        right: Signatures of the same MinHash and shape.

    Returns:
        Share of equal hashes in [0, 1], float32, shape (pairs,).
    """
    equal = np.count_nonzero(left == right, axis=1)
    share: npt.NDArray[np.float32] = equal.astype(np.float32) / np.float32(left.shape[1])
    return share

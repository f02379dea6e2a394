"""Hashes of all substrings from one pass: polynomial hashes modulo 2**64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


class _Powers:
    """Powers of a number modulo 2**64, as many as were needed so far."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._values = np.ones(1, np.uint64)

    def upto(self, count: int) -> Hashes:
        if len(self._values) < count:
            factors = np.full(max(count, 2 * len(self._values)), self._base, np.uint64)
            factors[0] = 1
            self._values = np.cumprod(factors, dtype=np.uint64)
        return self._values[:count]


_POWERS, _INVERSE_POWERS = _Powers(_BASE), _Powers(_INVERSE)


def mix(values: Hashes) -> Hashes:
    """Spread every bit of a hash over all others; one to one."""
    values = (values ^ (values >> _SHIFT)) * _SPREAD
    values = (values ^ (values >> _SHIFT)) * _SPREAD
    return values ^ (values >> _SHIFT)


class SubstringHashes:
    """Hashes of substrings of a sequence that depend on their items alone, not on their place.

    Args:
        items: One hash for each item of the sequence.

    Note:
        Two different substrings have the same hash with a probability of about 2**-60; nobody who
        wants a collision is kept from making one.
    """

    def __init__(self, items: Hashes) -> None:
        self._sums = np.zeros(len(items) + 1, np.uint64)
        np.cumsum(items * _POWERS.upto(len(items)), out=self._sums[1:])
        self._inverses = _INVERSE_POWERS.upto(len(items) + 1)

    def between(self, starts: Indices, ends: Indices) -> Hashes:
        """Return the hash of the items from each start to before each end."""
        return mix((self._sums[ends] - self._sums[starts]) * self._inverses[starts])


def item_hashes(codes: npt.NDArray[np.uint32]) -> Hashes:
    """Return the hash of each code point."""
    values = (codes.astype(np.uint64) + np.uint64(1)) * _SPREAD
    return values ^ (values >> _SHIFT)


def hash_strings(strings: Sequence[str]) -> Hashes:
    """Return the hashes of whole strings, equal to those of equal substrings of a longer text."""
    codes = np.frombuffer("".join(strings).encode("utf-32-le"), np.uint32)
    ends = np.cumsum([0, *map(len, strings)])
    return SubstringHashes(item_hashes(codes)).between(ends[:-1], ends[1:])

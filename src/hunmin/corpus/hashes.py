"""64-bit hashes of stretches of an array, all at once, by prefix sums."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
"""One 64-bit hash for each thing."""
Positions = npt.NDArray[np.int64]
"""Indices into another array; also offsets, one more than there are things."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
# Odd, so that it has an inverse modulo 2**64.
_BASE = 0xD6E8FEB86659FD93
_KEPT_POWERS = 1 << 20
_MAX_TABLE_BITS = 26


def mix(values: Hashes) -> Hashes:
    """Scramble 64-bit numbers so that every bit depends on every bit, one to one.

    Args:
        values: Numbers, uint64, any shape; left as they are.

    Returns:
        New numbers of the same shape. No two different ones become equal.

    Source:
        Steele, Lea & Flood 2014, SplitMix64 (the generator's step and finaliser).
    """
    mixed = values + _STEP
    shifted = np.empty_like(mixed)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        mixed ^= np.right_shift(mixed, np.uint64(shift), out=shifted)
        mixed *= factor
    mixed ^= np.right_shift(mixed, np.uint64(31), out=shifted)
    return mixed


def _unmixed(values: Hashes) -> Hashes:
    """Undo `mix`."""
    found = values.copy()
    for shift, factor in ((31, _SECOND), (27, _FIRST), (30, None)):
        found ^= (found >> np.uint64(shift)) ^ (found >> np.uint64(2 * shift))
        if factor is not None:
            found *= np.uint64(pow(int(factor), -1, 1 << 64))
    found -= _STEP
    return found


class Stretches:
    """Hashes of any stretches of a sequence, each in constant time.

    Args:
        values: Hash of each element, uint64, shape (length,).

    Note:
        A stretch a…b has the hash Σ value[i]·base**(i-a) modulo 2**64: it depends on the elements
        and their order alone, not on where the stretch stands. Memory: 8 bytes an element.
    """

    def __init__(self, values: Hashes) -> None:
        powers, self._inverses = _powers(len(values))
        self._sums = np.empty(len(values) + 1, np.uint64)
        self._sums[0] = 0
        np.cumsum(values * powers, out=self._sums[1:])

    def hashes(self, starts: Positions, ends: Positions) -> Hashes:
        """Return the mixed hashes of the stretches from `starts` up to, not including, `ends`."""
        found = self._sums.take(ends)
        found -= self._sums.take(starts)
        found *= self._inverses.take(starts)
        return mix(found)

    def windows(self, width: int) -> Hashes:
        """Return the mixed hashes of all stretches of one width, shape (length - width + 1,)."""
        return mix(self.raw_windows(width))

    def raw_windows(self, width: int) -> Hashes:
        """Return what `mix` makes the hashes of `windows` from."""
        found = self._sums[width:] - self._sums[: max(len(self._sums) - width, 0)]
        found *= self._inverses[: len(found)]
        return found


class HashTable:
    """Finds which of many hashes are among some sorted ones, most of them by one look.

    Args:
        hashes: uint64 in increasing order; a hash may stand several times.

    Note:
        Two tables over bits of each hash, 8 to 16 places a hash, turn away nearly all of those that
        are not there before anything is searched. Memory: two bytes a place.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self._may_hold = _Sieve(hashes)

    @functools.cached_property
    def _may_hold_window(self) -> _Sieve:
        return _Sieve(_unmixed(self._hashes))

    def find(self, values: Hashes) -> tuple[Positions, Positions, Positions]:
        """Look hashes up.

        Args:
            values: Any hashes.

        Returns:
            Places in `values` of those that are there, in order; and for each of them the first
            place in the sorted hashes and the one after the last.
        """
        places = self._may_hold.find(values)
        return self._found(places, values[places])

    def find_windows(
        self, stretches: Stretches, width: int
    ) -> tuple[Positions, Positions, Positions]:
        """Look up the hashes of all stretches of one width; what `find` returns for `windows`."""
        raw = stretches.raw_windows(width)
        # Mixing is one to one: most windows are turned away without it.
        places = self._may_hold_window.find(raw)
        return self._found(places, mix(raw[places]))

    def _found(self, places: Positions, values: Hashes) -> tuple[Positions, Positions, Positions]:
        first = self._hashes.searchsorted(values)
        found = self._hashes.take(first, mode="clip") == values if len(self._hashes) else first < 0
        places, first, values = places[found], first[found], values[found]
        return places, first, self._hashes.searchsorted(values, side="right")


class _Sieve:
    """Tells most hashes that are not among some by the bits at their two ends."""

    def __init__(self, hashes: Hashes) -> None:
        bits = min(max((8 * len(hashes)).bit_length(), 1), _MAX_TABLE_BITS)
        self._shift = np.uint64(64 - bits)
        self._first, self._second = (np.zeros(1 << bits, np.bool_) for _ in range(2))
        self._first[hashes >> self._shift] = True
        self._second[self._low(hashes)] = True

    def find(self, values: Hashes) -> Positions:
        """Return the places of the values that may be among the hashes."""
        places = np.flatnonzero(self._first.take((values >> self._shift).view(np.int64)))
        return places[self._second.take(self._low(values[places]))]

    def _low(self, values: Hashes) -> Positions:
        # Low bits of products depend on few others; those in the middle do on most.
        return ((values << np.uint64(16)) >> self._shift).view(np.int64)


def _powers(length: int) -> tuple[Hashes, Hashes]:
    """The base to the power of 0…length, and the inverses of these numbers."""
    if length <= _KEPT_POWERS:
        powers, inverses = _kept_powers()
        return powers[:length], inverses[: length + 1]
    return _powers_of(_BASE, length), _powers_of(pow(_BASE, -1, 1 << 64), length + 1)


@functools.cache
def _kept_powers() -> tuple[Hashes, Hashes]:
    inverse = pow(_BASE, -1, 1 << 64)
    return _powers_of(_BASE, _KEPT_POWERS), _powers_of(inverse, _KEPT_POWERS + 1)


def _powers_of(base: int, length: int) -> Hashes:
    factors = np.full(length, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)

"""Sequences of symbols in flat arrays, linked so that neighbours can be merged in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int32]

WALL = -1
"""Stands between sequences: nothing is merged with it."""
GONE = -2
"""A position whose symbol was merged into the one before it."""


@dataclass(frozen=True)
class Sequences:
    """Weighted sequences of symbols, one after another with walls between, before and after.

    Args:
        symbols: Symbol at each position, or WALL; int32.
        weights: How often the sequence at each position occurs; int64.
        cuts: How many of those occurrences have a boundary after the position's symbol; int64.
    """

    symbols: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int64]
    cuts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.symbols) == len(self.weights) == len(self.cuts):
            raise ValueError("symbols, weights and cuts must have the same length")
        if len(self.symbols) and (self.symbols[0] != WALL or self.symbols[-1] != WALL):
            raise ValueError("the first and the last symbol must be WALL")


class LinkedSequences:
    """Sequences in which a pair of neighbours can be replaced by one symbol.

    Args:
        sequences: The sequences to start from; copied.

    Note:
        About 30 bytes a position.
    """

    def __init__(self, sequences: Sequences) -> None:
        size = len(sequences.symbols)
        self.symbols = sequences.symbols.copy()
        self.weights = sequences.weights
        self.cuts = sequences.cuts.copy()
        self.next = np.arange(1, size + 1, dtype=np.int32)
        self.previous = np.arange(-1, size - 1, dtype=np.int32)

    def borders(self) -> Positions:
        """Return all positions whose symbol has a right neighbour to merge with."""
        return self._alive(np.arange(max(len(self.symbols) - 1, 0), dtype=np.int32))

    def borders_at(self, symbol: int) -> Positions:
        """Return the borders left and right of every occurrence of a symbol; reads everything."""
        return self.borders_around(np.flatnonzero(self.symbols == symbol).astype(np.int32))

    def borders_around(self, positions: Positions) -> Positions:
        """Return the borders before, at and after some positions, ascending."""
        before, after = self.previous[positions], self.next[positions]
        return self._alive(np.unique(np.concatenate([before, positions, after])))

    def _alive(self, positions: Positions) -> Positions:
        live = positions[self.symbols[positions] >= 0]
        return live[self.symbols[self.next[live]] >= 0]

    def keys(self, borders: Positions) -> npt.NDArray[np.int64]:
        """Return the pair of symbols at each border as one number, see `pair_of`."""
        left = self.symbols[borders].astype(np.int64)
        return (left << 32) | self.symbols[self.next[borders]]

    def occurrences(self, candidates: Positions, left: int, right: int) -> Positions:
        """Return where a pair stands, without overlaps, from left to right.

        Args:
            candidates: Positions to look at; some may be outdated or named twice.
            left: The pair's first symbol.
            right: Its second symbol.

        Returns:
            Positions of the first symbol, ascending.
        """
        found = np.unique(candidates)
        found = found[(self.symbols[found] == left)]
        found = found[self.symbols[self.next[found]] == right]
        return found if left != right else self._without_overlaps(found)

    def _without_overlaps(self, positions: Positions) -> Positions:
        """Keep every other position of each run such as aaaa: aa|aa."""
        if not len(positions):
            return positions
        index = np.arange(len(positions))
        continues = np.zeros(len(positions), dtype=bool)
        continues[1:] = self.next[positions[:-1]] == positions[1:]
        run_starts = np.maximum.accumulate(np.where(continues, 0, index))
        kept: Positions = positions[(index - run_starts) % 2 == 0]
        return kept

    def merge(self, positions: Positions, symbol: int) -> None:
        """Replace the symbols at some positions and their right neighbours by one symbol."""
        consumed = self.next[positions]
        after = self.next[consumed]
        self.symbols[positions] = symbol
        self.symbols[consumed] = GONE
        self.cuts[positions] = self.cuts[consumed]
        self.next[positions] = after
        self.previous[after] = positions


def pair_of(key: int) -> tuple[int, int]:
    """Return the two symbols of a key."""
    return key >> 32, key & 0xFFFFFFFF

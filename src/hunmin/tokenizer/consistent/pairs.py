"""What is known about every pair of neighbours: how often, how often across a boundary, where."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from hunmin.tokenizer.consistent.sequences import LinkedSequences, Positions, pair_of

PairGroup = tuple[int, int, int, Positions]


class PairTable:
    """The pairs of some sequences, best first.

    Args:
        sequences: The sequences; the table must be told of each merge.
        cross_penalty: Lambda. A pair scores count - (1 + lambda) x count across boundaries,
            which is within - lambda x across.
        min_score: Pairs below are not merged, and rarer ones are not remembered.

    Note:
        Counts are whole numbers, so that nothing drifts. Pairs are kept in a heap with scores that
        may be outdated upwards and are corrected when they come to the top.
    """

    def __init__(self, sequences: LinkedSequences, cross_penalty: float, min_score: int) -> None:
        self._sequences = sequences
        self._factor = 1 + cross_penalty
        self._min_score = min_score
        self._counts: dict[int, list[int]] = {}
        self._places: dict[int, Positions] = {}
        self._heap: list[tuple[float, int]] = []
        self._add(sequences.borders())

    def _score(self, count: int, across: int) -> float:
        return count - self._factor * across

    def pop_best(self) -> tuple[int, int] | None:
        """Take out the pair with the highest score, ties by symbols; None if none is worth it."""
        while self._heap:
            negative, key = heapq.heappop(self._heap)
            counts = self._counts.get(key)
            if counts is None:
                continue
            score = self._score(*counts)
            if score < self._min_score:
                continue
            if -negative == score:
                return pair_of(key)
            heapq.heappush(self._heap, (-score, key))
        return None

    def forget(self, left: int, right: int) -> None:
        """Never offer a pair again."""
        key = (left << 32) | right
        del self._counts[key], self._places[key]

    def merge(self, left: int, right: int, symbol: int, *, is_new: bool) -> None:
        """Replace a pair by a symbol wherever it stands.

        Args:
            left: The pair's first symbol.
            right: Its second symbol.
            symbol: What replaces them.
            is_new: False if the symbol was there before, from another pair with the same bytes.
        """
        candidates = self._places[(left << 32) | right]
        self.forget(left, right)
        positions = self._sequences.occurrences(candidates, left, right)
        self._subtract(self._sequences.borders_around(positions))
        self._sequences.merge(positions, symbol)
        if is_new:
            self._add(self._sequences.borders_around(positions), symbol)
        else:
            # Rare pairs of this symbol were dropped before; now they may have become frequent.
            self._add(self._sequences.borders_at(symbol), symbol)

    def _subtract(self, borders: Positions) -> None:
        for key, count, across, _ in self._groups(borders, min_count=1):
            counts = self._counts.get(key)
            if counts is None:
                continue
            counts[0] -= count
            counts[1] -= across
            if counts[0] < self._min_score:
                del self._counts[key], self._places[key]
            elif self._factor * across > count:
                # What is left is worth more than before, so the heap has too low a score.
                heapq.heappush(self._heap, (-self._score(*counts), key))

    def _add(self, borders: Positions, symbol: int | None = None) -> None:
        """Enter the pairs at these borders, which must be all there are of each pair."""
        if symbol is not None:
            symbols = self._sequences.symbols
            left, right = symbols[borders], symbols[self._sequences.next[borders]]
            borders = borders[(left == symbol) | (right == symbol)]
        for key, count, across, places in self._groups(borders, min_count=self._min_score):
            self._counts[key] = [count, across]
            self._places[key] = places
            score = self._score(count, across)
            if score >= self._min_score:
                heapq.heappush(self._heap, (-score, key))

    def _groups(self, borders: Positions, *, min_count: int) -> Iterator[PairGroup]:
        """Yield key, count, count across boundaries and places of each pair at some borders."""
        if not len(borders):
            return
        keys = self._sequences.keys(borders)
        order = np.argsort(keys, kind="stable")
        keys, borders = keys[order], borders[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        counts = np.add.reduceat(self._sequences.weights[borders], starts)
        across = np.add.reduceat(self._sequences.cuts[borders], starts)
        ends = np.append(starts[1:], len(keys))
        chosen = np.flatnonzero(counts >= min_count)
        columns = (keys[starts], counts, across, starts, ends)
        rows = zip(*(column[chosen].tolist() for column in columns), strict=True)
        for key, count, crossing, start, end in rows:
            yield key, count, crossing, borders[start:end]

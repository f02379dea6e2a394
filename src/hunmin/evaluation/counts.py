"""Counts of byte n-grams as sorted arrays, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hunmin.evaluation.symbols import Bytes, Counts, Keys, iterate_keys

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class CountTable:
    """Distinct n-grams in ascending order and how often each was seen."""

    keys: Keys
    counts: Counts

    @classmethod
    def from_keys(cls, keys: Keys) -> CountTable:
        """Count keys that come in any order."""
        ordered = np.sort(keys)
        starts = run_starts(ordered)
        return cls(ordered[starts], np.diff(starts, append=ordered.size))

    def merge(self, other: CountTable) -> CountTable:
        """Return the sum of two tables."""
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        counts = np.concatenate([self.counts, other.counts])[order]
        keys = keys[order]
        starts = run_starts(keys)
        return CountTable(keys[starts], segment_sums(counts, starts))


class NgramCounter:
    """Counts the n-grams of documents that come in batches.

    Args:
        order: Symbols per n-gram, 1 to 7.

    Note:
        Memory: about 64 bytes for each distinct n-gram while the sorted tables are merged, 4 for
        each byte of the batch at hand, and some 150 MB besides. Text has 0.03 to 0.07 distinct
        5-grams per byte, that is 2 to 5 bytes of memory per byte of text; noise has 64.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.num_bytes = 0
        self.num_documents = 0
        self._tables: list[CountTable] = []

    def add(self, data: Bytes, lengths: Counts) -> None:
        """Count the documents of one batch.

        Args:
            data: Bytes of all documents.
            lengths: Bytes of each document.
        """
        self.num_bytes += int(lengths.sum())
        self.num_documents += len(lengths)
        for keys in iterate_keys(data, lengths, self.order):
            self._push(CountTable.from_keys(keys))

    def table(self) -> CountTable:
        """Return all counts so far."""
        total = CountTable.from_keys(np.zeros(0, np.uint64))
        while self._tables:
            total = self._tables.pop().merge(total)
        self._tables.append(total)
        return total

    def _push(self, table: CountTable) -> None:
        # Sizes at least halve down the list, so an n-gram is merged a logarithmic number of times.
        while self._tables and self._tables[-1].keys.size < 2 * table.keys.size:
            table = self._tables.pop().merge(table)
        self._tables.append(table)


def run_starts(ordered: Keys) -> Counts:
    """Return where each run of equal neighbours begins."""
    if ordered.size == 0:
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])


def segment_sums(values: npt.NDArray[Number], starts: Counts) -> npt.NDArray[Number]:
    """Return the sum of each segment from one start to before the next; none may be empty."""
    if starts.size == 0:
        return np.zeros(0, values.dtype)
    sums: npt.NDArray[Number] = np.add.reduceat(values, starts)
    return sums

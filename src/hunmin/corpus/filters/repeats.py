"""Which of many hashes stand more than once, without sorting them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.hashes import Hashes, Positions, mix

_ROOMY_BITS = 16


@dataclass(frozen=True)
class Repeats:
    """Which items have a hash that stood before."""

    later: Positions
    """Items whose hash stood before, ascending."""
    firsts: Positions
    """The first item with the same hash, for each of `later`."""

    def all_items(self, count: int) -> Positions:
        """Return all items whose hash stands more than once, ascending."""
        found = np.zeros(count, np.bool_)
        found[self.later] = True
        found[self.firsts] = True
        return np.flatnonzero(found)

    def occurrences(self) -> tuple[Positions, Positions]:
        """Return the first item of each repeated hash, ascending, and how often the hash stands."""
        counts = np.bincount(self.firsts)
        firsts = np.flatnonzero(counts)
        return firsts, counts[firsts] + 1


def find_repeats(keys: Hashes) -> Repeats:
    """Find the hashes that stand more than once.

    Args:
        keys: Well-mixed hashes.

    Returns:
        Items with a hash that stood before.

    Note:
        Every item writes its number into a table, the first item of a slot last; what then finds
        another hash in its slot tries again with other bits. That is several times quicker than
        sorting.
    """
    items: Positions = np.arange(len(keys))
    laters: list[Positions] = [items[:0]]
    firsts: list[Positions] = [items[:0]]
    while len(items):
        winners = _winners(keys)
        # The first of a slot is no repeat; only what comes behind it is looked at.
        behind = np.flatnonzero(winners != np.arange(len(keys), dtype=np.int32))
        found, own = winners.take(behind), keys.take(behind)
        same = keys.take(found) == own
        laters.append(items[behind[same]])
        firsts.append(items[found[same]])
        other = ~same
        items, keys = items[behind[other]], mix(own[other])
    later, first = np.concatenate(laters), np.concatenate(firsts)
    order = np.argsort(later, kind="stable")
    return Repeats(later[order], first[order])


def _winners(keys: Hashes) -> npt.NDArray[np.int32]:
    """The first item in the slot of each item."""
    # Few keys get a roomy table, so that hardly any of them needs another round.
    bits = len(keys).bit_length()
    bits = max(bits + 1, min(bits + 5, _ROOMY_BITS))
    slots = (keys >> np.uint64(64 - bits)).view(np.int64)
    # Half as wide as an index: the table stays within a core's cache.
    table = np.empty(1 << bits, np.int32)
    table[slots[::-1]] = np.arange(len(keys) - 1, -1, -1, dtype=np.int32)
    found: npt.NDArray[np.int32] = table.take(slots)
    return found


def in_document(keys: Hashes, documents: Positions) -> Hashes:
    """Return hashes that differ between documents."""
    return keys ^ ((documents.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9FB21C651E98DF25))


def share(part: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    divisor = np.asarray(whole, np.float64)
    result = np.full(divisor.shape, np.nan)
    np.divide(part, divisor, out=result, where=divisor > 0)
    return result

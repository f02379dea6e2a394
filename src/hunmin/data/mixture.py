"""Which group each sample comes from: a fixed, seeded sequence that follows the weights closely.

Samples are dealt in blocks of 4,096. In each block a group gets its share rounded up or down
(systematic sampling: one seeded offset per block, so that shares are exact on average), and the
samples are shuffled. A sample's rank is its number among all samples of its group, which decides
the window it reads: within a group nothing is repeated before all of it was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hunmin.core.hashing import seed_from
from hunmin.data.permutation import Int64s, UInt64s, mix, permute

BLOCK_BITS = 12
BLOCK_SIZE = 1 << BLOCK_BITS
# Shares are kept as integers, so that the sequence is the same on every machine.
_FRACTION_BITS = 32
# Counts of groups are summed up once per so many blocks and remembered.
_BLOCKS_PER_CHECKPOINT = 1024


class Mixture:
    """The group and the rank of every sample.

    Args:
        shares: Share of each group, adding up to 1.
        seed: Decides the rounding per block and the order inside a block.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        sums = [math.fsum(shares[: group + 1]) for group in range(len(shares))]
        borders = np.array([round(total * 2**_FRACTION_BITS) for total in sums], dtype=np.int64)
        last = np.flatnonzero(np.asarray(shares))[-1]
        borders[last:] = 2**_FRACTION_BITS
        self._borders = borders << BLOCK_BITS
        self._offset_key = np.uint64(seed_from("offset of a block", seed))
        self._shuffle_key = np.uint64(seed_from("shuffle of a block", seed))
        self._checkpoints = [np.zeros(len(shares), dtype=np.int64)]
        self._plan = lru_cache(maxsize=4)(self._make_plan)

    def locate(self, samples_B: Int64s) -> tuple[Int64s, Int64s]:
        """Return the group and the rank within it of each sample.

        Args:
            samples_B: Sample numbers, int64, >= 0.

        Returns:
            Group indices and ranks, both int64 with the shape of `samples_B`.
        """
        groups_B, ranks_B = np.empty_like(samples_B), np.empty_like(samples_B)
        blocks_B, places_B = samples_B >> BLOCK_BITS, samples_B & (BLOCK_SIZE - 1)
        for block in np.unique(blocks_B).tolist():
            chosen = blocks_B == block
            groups, ranks = self._plan(block)
            groups_B[chosen] = groups[places_B[chosen]]
            ranks_B[chosen] = ranks[places_B[chosen]]
        return groups_B, ranks_B

    def _make_plan(self, block: int) -> tuple[Int64s, Int64s]:
        """Group and rank of each of the block's samples."""
        counts = self._counts(np.array([block]))[0]
        num_groups = len(counts)
        places = np.arange(BLOCK_SIZE, dtype=np.int64)
        keys = np.full(BLOCK_SIZE, _block_keys(np.array([block]), self._shuffle_key)[0])
        shuffled = permute(places, np.full(BLOCK_SIZE, BLOCK_SIZE), keys)
        groups = np.repeat(np.arange(num_groups, dtype=np.int64), counts)[shuffled]
        order = np.argsort(groups, kind="stable")
        firsts = np.cumsum(counts) - counts
        ranks = np.empty(BLOCK_SIZE, dtype=np.int64)
        ranks[order] = places - np.repeat(firsts, counts)
        return groups, ranks + self._counts_before(block)[groups]

    def _counts_before(self, block: int) -> Int64s:
        """Samples of each group in all earlier blocks."""
        number, rest = divmod(block, _BLOCKS_PER_CHECKPOINT)
        while len(self._checkpoints) <= number:
            first = (len(self._checkpoints) - 1) * _BLOCKS_PER_CHECKPOINT
            blocks = np.arange(first, first + _BLOCKS_PER_CHECKPOINT)
            self._checkpoints.append(self._checkpoints[-1] + self._counts(blocks).sum(axis=0))
        blocks = np.arange(block - rest, block)
        total: Int64s = self._checkpoints[number] + self._counts(blocks).sum(axis=0)
        return total

    def _counts(self, blocks_N: Int64s) -> Int64s:
        """Samples of each group in each block, shape (blocks, groups).

        Points lie at offset, offset + 1, ...; a group gets those between its borders.
        """
        offsets_N = (_block_keys(blocks_N, self._offset_key) >> np.uint64(32)).astype(np.int64)
        rounding = (1 << _FRACTION_BITS) - 1
        below = (self._borders[None, :] - offsets_N[:, None] + rounding) >> _FRACTION_BITS
        return np.diff(below, axis=1, prepend=0)


def _block_keys(blocks_N: Int64s, key: np.uint64) -> UInt64s:
    return mix(blocks_N.astype(np.uint64) ^ key)

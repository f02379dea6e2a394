"""Seeded permutations that need no memory: where item number i of a shuffled epoch lies.

A Feistel network permutes the numbers below the next power of two; walking along its cycles until
the result is small enough restricts it to any size. All arguments are arrays, so one call places a
whole batch whose rows have different sizes and keys.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

# Even, so that the two halves have their own widths again at the end.
NUM_ROUNDS = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: UInt64s) -> UInt64s:
    """Return a well-mixed 64-bit hash of each value; a bijection.

    Args:
        values: uint64 array.

    Returns:
        uint64 array of the same shape.

    Source:
        The output function of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
        pseudorandom number generators").
    """
    x = values + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(indices: Int64s, sizes: Int64s, keys: UInt64s) -> Int64s:
    """Return where each index goes under the permutation of [0, size) that its key chooses.

    Args:
        indices: Shape (n,), each in [0, size).
        sizes: Shape (n,), each in [1, 2**52].
        keys: Shape (n,), uint64.

    Returns:
        Shape (n,), int64, each in [0, size). For a fixed size and key it is a bijection.

    Note:
        Depends on the arguments alone, on every machine. Two network passes are expected at most.
    """
    bits = _num_bits(sizes)
    limits = sizes.astype(np.uint64)
    result = _feistel(indices.astype(np.uint64), bits, keys)
    outside = np.flatnonzero(result >= limits)
    while outside.size:
        result[outside] = _feistel(result[outside], bits[outside], keys[outside])
        outside = outside[result[outside] >= limits[outside]]
    return result.astype(np.int64)


def _num_bits(sizes: Int64s) -> UInt64s:
    """Bits of the largest number below each size."""
    _, bits = np.frexp((sizes - 1).astype(np.float64))
    return np.asarray(bits).astype(np.uint64)


def _feistel(values: UInt64s, bits: UInt64s, keys: UInt64s) -> UInt64s:
    low_bits = (bits + np.uint64(1)) >> np.uint64(1)
    one = np.uint64(1)
    mask, other_mask = (one << (bits - low_bits)) - one, (one << low_bits) - one
    left, right = values >> low_bits, values & other_mask
    for _ in range(NUM_ROUNDS):
        keys = keys + _GOLDEN
        left, right = right, left ^ (mix(right ^ keys) & mask)
        mask, other_mask = other_mask, mask
    permuted: UInt64s = (left << low_bits) | right
    return permuted

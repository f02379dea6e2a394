"""Random numbers of a document that depend on its own number, and on nothing around it.

Each document has a key made of seed, purpose, epoch and its number; the i-th number of its stream
is a hash of key and i. So all documents of a batch draw at once, and the same whatever the batch,
the rank or the worker.

Source:
    SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") as a
    counter-based generator. NumPy's own generators would need one object for each document.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hunmin.core.hashing import seed_from
from hunmin.data.objectives.ragged import Bools, Ragged
from hunmin.data.permutation import Int64s, UInt64s, mix

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Bits of randomness and of the row in a sort key. More rows than this are sorted more slowly.
_RANDOM_BITS = np.uint64(40)
_MAX_PACKED_ROWS = 2**24


def document_keys(
    seed: int, purpose: str, epoch: int | Int64s, first_document: int | Int64s, num_documents: int
) -> UInt64s:
    """Return the key of each document's stream.

    Args:
        seed: Of the objective.
        purpose: What is drawn; other purposes have independent streams.
        epoch: How often the documents were seen before; one for all, or one each, shape (D,).
        first_document: Number of the first document, which the others follow, or of each, (D,).
        num_documents: D.

    Returns:
        uint64, shape (D,).
    """
    numbers = document_numbers(first_document, num_documents).astype(np.uint64)
    epochs = np.broadcast_to(np.asarray(epoch, dtype=np.int64), numbers.shape).astype(np.uint64)
    start = np.uint64(seed_from("objective", purpose, seed))
    return mix(mix(epochs ^ start) ^ numbers)


def document_numbers(first_document: int | Int64s, num_documents: int) -> Int64s:
    """Return the number of each document, int64, shape (D,)."""
    if isinstance(first_document, np.ndarray):
        return first_document
    return np.arange(first_document, first_document + num_documents, dtype=np.int64)


def draw_bits(keys: UInt64s, lengths: Int64s) -> UInt64s:
    """Return the first random numbers of each stream.

    Args:
        keys: uint64, shape (D,).
        lengths: How many of each, int64, shape (D,).

    Returns:
        uint64, shape (sum of the lengths,), one document after another.
    """
    # A running count wraps round as the counters do, so no place within the document is needed.
    before = (np.cumsum(lengths) - lengths).astype(np.uint64)
    counters = np.arange(int(lengths.sum()), dtype=np.uint64) * _GOLDEN
    return mix(counters + np.repeat(keys - before * _GOLDEN, lengths))


def draw_uniform(keys: UInt64s, lengths: Int64s) -> npt.NDArray[np.float64]:
    """Return as `draw_bits` does, but numbers uniform in [0, 1), float64."""
    return to_uniform(draw_bits(keys, lengths))


def draw_one(keys: UInt64s) -> npt.NDArray[np.float64]:
    """Return one number uniform in [0, 1) for each document, float64, shape (D,)."""
    return to_uniform(mix(keys))


def to_uniform(bits: UInt64s) -> npt.NDArray[np.float64]:
    """Return random bits as numbers in [0, 1), float64."""
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def random_order(rows: Ragged, keys: UInt64s, *, first_stays: bool = False) -> Int64s:
    """Return a uniformly random order of the places of each row.

    Args:
        rows: D rows; only their lengths count.
        keys: uint64, shape (D,).
        first_stays: The first place of each row stays the first.

    Returns:
        int64, shape (N,): tokens[order] are the rows with their tokens in random order.
    """
    bits = draw_bits(keys, rows.lengths) >> (np.uint64(64) - _RANDOM_BITS)
    if first_stays:
        bits[rows.offsets[:-1][rows.lengths > 0]] = 0
    # Both ways keep ties in their order, so they agree.
    if len(rows) > _MAX_PACKED_ROWS:
        return np.lexsort((bits, rows.rows))
    return np.argsort((rows.rows.astype(np.uint64) << _RANDOM_BITS) | bits, kind="stable")


def random_subset(
    lengths: Int64s, counts: Int64s, keys: UInt64s, *, with_first: bool = False
) -> Bools:
    """Return a uniformly random choice of exactly so many places of each row.

    Args:
        lengths: Places of each row, int64, shape (D,).
        counts: Places to choose, int64, shape (D,), at most the lengths.
        keys: uint64, shape (D,).
        with_first: The first place is always one of them; the others are random.

    Returns:
        bool, shape (sum of the lengths,).
    """
    total = int(lengths.sum())
    rows = Ragged.from_lengths(np.zeros(total, dtype=np.int64), lengths)
    chosen = np.zeros(total, dtype=np.bool_)
    order = random_order(rows, keys, first_stays=with_first)
    chosen[order[rows.places < rows.spread(counts)]] = True
    return chosen

"""Repetition within a document: n-grams that stand more than once (Gopher, table A1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.repeats import Repeats, find_repeats, in_document, share
from hunmin.corpus.filters.units import Units
from hunmin.corpus.hashes import Hashes, Positions, Stretches

Columns = dict[str, npt.NDArray[np.float64]]
TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
# Distinct words are counted in blocks, for their share falls with the length of a text.
BLOCK_WORDS = 256


def ngram_statistics(units: Units) -> Columns:
    """Measure repeated words and n-grams of words.

    Args:
        units: Words, or characters that stand for words.

    Returns:
        `unique_words`: the share of the words that are new within their block of 256 words.
        `top_{n}gram`: the largest share of a document's characters that one n-gram covers, 0 if
        none stands twice. `duplicate_{n}gram`: the share covered by n-grams that stood before.

    Note:
        In scripts without spaces every sequence of k characters is a word. An n-gram that is
        repeated begins with an (n-1)-gram that is, so only those are looked at.

    Source:
        Rae et al. 2021 (arXiv:2112.11446), table A1. Deviations: the share is of characters that
        are no white space; the top n-gram is the one that covers most, not the most frequent one.
    """
    # Hashes of units that differ between documents make n-grams differ, too.
    keys = in_document(units.hashes, units.documents)
    hashes = Stretches(keys)
    lengths = np.concatenate([[0], np.cumsum(units.lengths)])
    totals = lengths[units.offsets[1:]] - lengths[units.offsets[:-1]]
    starts, ends = _fitting(units, np.arange(len(units.starts)), 1)
    if (units.per_word > 1).any():
        keys = hashes.hashes(starts, ends)
    repeats = find_repeats(keys)
    columns: Columns = {"unique_words": _unique_share(units, starts, keys, repeats)}
    for size in (*TOP_SIZES, *DUPLICATE_SIZES):
        starts, ends = _fitting(units, starts[repeats.all_items(len(starts))], size)
        repeats = find_repeats(hashes.hashes(starts, ends))
        if size in TOP_SIZES:
            top = _top(repeats, lengths[ends] - lengths[starts], units.documents[starts], totals)
            columns[f"top_{size}gram"] = share(top, totals)
        else:
            part = _covered(starts[repeats.later], ends[repeats.later], lengths, units)
            columns[f"duplicate_{size}gram"] = share(part, totals)
    return columns


def _fitting(units: Units, starts: Positions, size: int) -> tuple[Positions, Positions]:
    """Starts and ends of the n-grams of words that end within their document."""
    documents = units.documents.take(starts)
    ends = starts + size * units.per_word.take(documents)
    fits = ends <= units.offsets[1:].take(documents)
    return starts[fits], ends[fits]


def _top(
    repeats: Repeats, covered: Positions, documents: Positions, totals: Positions
) -> Positions:
    """Characters of the n-gram that covers most; overlapping ones cover no more than there is."""
    top = np.zeros_like(totals)
    firsts, counts = repeats.occurrences()
    np.maximum.at(top, documents[firsts], counts * covered[firsts])
    return np.minimum(top, totals)


def _covered(
    starts: Positions, ends: Positions, lengths: Positions, units: Units
) -> npt.NDArray[np.float64]:
    """Characters of each document within some stretches, given in order; overlaps count once."""
    begins = starts.copy()
    begins[1:] = np.maximum(starts[1:], ends[:-1])
    weights = lengths[ends] - lengths[begins]
    counts: npt.NDArray[np.float64] = np.bincount(
        units.documents[starts], weights.astype(np.float64), len(units.counts)
    ).astype(np.float64)
    return counts


def _unique_share(
    units: Units, starts: Positions, keys: Hashes, repeats: Repeats
) -> npt.NDArray[np.float64]:
    """Share of the words that do not stand before in their block.

    Args:
        units: The units.
        starts: Where each word begins among them.
        keys: Hash of each word, other ones for each document.
        repeats: Words that stand before in their document.

    Returns:
        The share, by document.
    """
    documents = units.documents.take(starts)
    words = np.bincount(documents, minlength=len(units.counts))
    later = repeats.later
    if words.max(initial=0) > BLOCK_WORDS:
        # Only what is repeated in a document can be repeated in a block.
        again = repeats.all_items(len(starts))
        owners = documents[again]
        blocks = (starts[again] - units.offsets[owners]) // (BLOCK_WORDS * units.per_word[owners])
        # Far from the numbers of documents, which are in the keys already.
        later = again[find_repeats(in_document(keys[again], blocks + (1 << 32))).later]
    return share(words - np.bincount(documents[later], minlength=len(words)), words)

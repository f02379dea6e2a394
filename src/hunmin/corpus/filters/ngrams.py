"""Repetition within a document: n-grams that stand more than once (Gopher, table A1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.repeats import Repeats, find_repeats, in_document, share
from hunmin.corpus.filters.units import Units
from hunmin.corpus.hashes import Positions, Stretches

Columns = dict[str, npt.NDArray[np.float64]]
TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
# Distinct words are counted in blocks, for their share falls with the length of a text.
BLOCK_WORDS = 256


def ngram_statistics(units: Units) -> Columns:
    """Measure repeated n-grams of words.

    Args:
        units: Words, or characters that stand for words.

    Returns:
        `top_{n}gram`: the largest share of a document's characters that one n-gram covers, 0 if
        none stands twice. `duplicate_{n}gram`: the share covered by n-grams that stood before.

    Note:
        An n-gram that is repeated begins with an (n-1)-gram that is, so only those are looked at.

    Source:
        Rae et al. 2021 (arXiv:2112.11446), table A1. Deviations: the share is of characters that
        are no white space; the top n-gram is the one that covers most, not the most frequent one.
    """
    # Hashes of units that differ between documents make n-grams differ, too.
    hashes = Stretches(in_document(units.hashes, units.documents))
    lengths = np.concatenate([[0], np.cumsum(units.lengths)])
    totals = lengths[units.offsets[1:]] - lengths[units.offsets[:-1]]
    per_word, stops = units.per_word[units.documents], units.offsets[1:][units.documents]
    columns: Columns = {}
    starts = np.arange(len(units.starts))
    for size in (*TOP_SIZES, *DUPLICATE_SIZES):
        ends = starts + size * per_word[starts]
        fits = ends <= stops[starts]
        starts, ends = starts[fits], ends[fits]
        repeats = find_repeats(hashes.hashes(starts, ends))
        if size in TOP_SIZES:
            top = _top(repeats, lengths[ends] - lengths[starts], units.documents[starts], totals)
            columns[f"top_{size}gram"] = share(top, totals)
        else:
            part = _covered(starts[repeats.later], ends[repeats.later], lengths, units)
            columns[f"duplicate_{size}gram"] = share(part, totals)
        starts = starts[repeats.all_items(len(starts))]
    return columns


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


def unique_word_share(units: Units) -> npt.NDArray[np.float64]:
    """Return the share of a document's words that are new within their block of 256 words.

    Note:
        In scripts without spaces every sequence of k characters is a word.
    """
    starts = np.arange(len(units.starts))
    ends = starts + units.per_word[units.documents]
    fits = ends <= units.offsets[units.documents + 1]
    starts, ends, documents = starts[fits], ends[fits], units.documents[fits]
    blocks = (starts - units.offsets[documents]) // (BLOCK_WORDS * units.per_word[documents])
    hashes = units.hashes[starts]
    if (units.per_word > 1).any():
        hashes = Stretches(units.hashes).hashes(starts, ends)
    keys = in_document(in_document(hashes, blocks), documents + (1 << 32))
    words = np.bincount(documents, minlength=len(units.counts))
    later = np.bincount(documents[find_repeats(keys).later], minlength=len(units.counts))
    return share(words - later, words)

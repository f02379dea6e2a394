"""Statistics of words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import ELLIPSIS, HASH, JAMO, NEWLINE
from hunmin.corpus.filters.chunks import Chunk
from hunmin.corpus.filters.repeats import share
from hunmin.corpus.filters.units import Units

Columns = dict[str, npt.NDArray[np.float64]]


def word_statistics(chunk: Chunk, units: Units) -> Columns:
    """Measure the words of every document.

    Args:
        chunk: Documents.
        units: Their units.

    Returns:
        `words` (in scripts without spaces: characters by those that stand for a word),
        `mean_word_length`, `alphabetic_words` (share with a letter; both NaN in scripts without
        spaces), `symbol_words` (hash signs and ellipses a word) and `lines_per_word`;
        float64.
    """
    words = units.counts / units.per_word
    written = chunk.kind_counts[:, NEWLINE + 1 :].sum(axis=1)
    parted = units.per_word == 1
    lines = chunk.kind_counts[:, NEWLINE]
    return {
        "words": words,
        "mean_word_length": np.where(parted, share(written, units.counts), np.nan),
        "alphabetic_words": np.where(parted, _alphabetic_share(chunk), np.nan),
        "symbol_words": share(_symbols(chunk), words),
        "lines_per_word": share(lines, words),
    }


def _alphabetic_share(chunk: Chunk) -> npt.NDArray[np.float64]:
    starts, ends = chunk.word_bounds
    letters = np.zeros(len(chunk.kinds) + 1, np.int32)
    np.cumsum(chunk.kinds >= JAMO, out=letters[1:])
    alphabetic = letters.take(ends) > letters.take(starts)
    documents = chunk.documents_of(starts)
    found = np.bincount(documents[alphabetic], minlength=chunk.num_documents)
    return share(found, np.bincount(documents, minlength=chunk.num_documents))


def _symbols(chunk: Chunk) -> npt.NDArray[np.int64]:
    """Hash signs and ellipses, of which three full stops are one."""
    codes = chunk.codes
    dots = np.flatnonzero((codes[2:] == ord(".")) & (codes[1:-1] == ord(".")))
    dots = dots[codes[dots] == ord(".")]
    dots = dots[np.diff(dots, prepend=-2) > 1]
    found = np.bincount(chunk.documents_of(dots), minlength=chunk.num_documents)
    symbols: npt.NDArray[np.int64] = found + chunk.kind_counts[:, [HASH, ELLIPSIS]].sum(axis=1)
    return symbols

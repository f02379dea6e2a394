"""Statistics of characters: shares of kinds and scripts, runs, broken encodings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import (
    BRACE,
    BROKEN,
    DIGIT,
    ELLIPSIS,
    FORMAT,
    HASH,
    JAMO,
    LETTER,
    NEWLINE,
    NUM_KINDS,
    SYMBOL,
    member_table,
    script_kind,
)
from hunmin.corpus.filters.chunks import Chunk
from hunmin.corpus.filters.repeats import share
from hunmin.corpus.hashes import Positions

Columns = dict[str, npt.NDArray[np.float64]]
# Bytes of UTF-8 as Latin-1 and Windows-1252 show them.
_CP1252_HIGH = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_CONTINUATIONS = "".join(map(chr, range(0x80, 0xC0))) + _CP1252_HIGH
_LONG_RUN = 4
_TWO_BYTE_LEAD, _THREE_BYTE_LEAD, _FOUR_BYTE_LEAD = 0xC2, 0xE0, 0xF0


def character_statistics(chunk: Chunk, scripts: npt.NDArray[np.bool_]) -> Columns:
    """Measure the characters of every document.

    Args:
        chunk: Documents.
        scripts: Which kinds of letters the document's language is written with, shape
            (documents, NUM_KINDS); a row without any stands for the commonest script.

    Returns:
        `characters`, `letter_share`, `digit_share`, `symbol_share`, `brace_share`, `broken_share`,
        `jamo_share`, `main_script_share`, `longest_run`, `run_share` (in runs of four or more):
        shares of the characters that are no white space, jamo and scripts of the letters; float64,
        NaN where there is nothing to share.
    """
    counts = chunk.kind_counts
    written = counts[:, NEWLINE + 1 :].sum(axis=1) - counts[:, FORMAT]
    letters = counts[:, JAMO:].sum(axis=1)
    symbols = counts[:, [HASH, ELLIPSIS, SYMBOL]].sum(axis=1)
    return {
        "characters": chunk.lengths.astype(np.float64),
        "letter_share": share(letters, written),
        "digit_share": share(counts[:, DIGIT], written),
        "symbol_share": share(symbols, written),
        "brace_share": share(counts[:, BRACE], written),
        "broken_share": share(counts[:, BROKEN] + _mojibake(chunk), written),
        "jamo_share": share(counts[:, JAMO], letters),
        "main_script_share": _main_script_share(counts, scripts),
        **_runs(chunk, written),
    }


def _main_script_share(
    counts: Positions, scripts: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    own = counts[:, LETTER + 1 :]
    expected = np.where(scripts[:, LETTER + 1 :], own, 0).sum(axis=1)
    hangul = scripts[:, script_kind("Hang")]
    jamo = counts[:, JAMO]
    expected += np.where(hangul, jamo, 0)
    main = np.where(scripts.any(axis=1), expected, own.max(axis=1))
    return share(main, own.sum(axis=1) + jamo)


def script_rows(kinds: Sequence[Collection[int]]) -> npt.NDArray[np.bool_]:
    """Return the `scripts` of `character_statistics` from lists of kinds."""
    rows = np.zeros((len(kinds), NUM_KINDS), np.bool_)
    for row, found in zip(rows, kinds, strict=True):
        row[list(found)] = True
    return rows


def _runs(chunk: Chunk, written: Positions) -> Columns:
    """Longest run of one character that is no white space, and the share of long runs."""
    codes, size = chunk.codes, chunk.num_documents
    equal = np.flatnonzero((codes[1:] == codes[:-1]) & (chunk.kinds[1:] > NEWLINE))
    bounds = np.flatnonzero(np.diff(equal, prepend=-2, append=len(codes) + 1) > 1)
    lengths = np.diff(bounds) + 1
    documents = chunk.documents_of(equal[bounds[:-1]])
    longest = np.minimum(1, written)
    np.maximum.at(longest, documents, lengths)
    long = lengths >= _LONG_RUN
    total = np.bincount(documents[long], lengths[long], size)
    return {"longest_run": longest.astype(np.float64), "run_share": share(total, written)}


def _mojibake(chunk: Chunk) -> Positions:
    """Characters of each document that are bytes of UTF-8 shown one by one."""
    written = chunk.written
    # One comparison finds the leads, for code points below the first one wrap around.
    leading = (written[:-1] - np.uint32(_TWO_BYTE_LEAD)) < _FOUR_BYTE_LEAD - _TWO_BYTE_LEAD
    pairs = np.flatnonzero(leading)
    follows = member_table(_CONTINUATIONS)
    pairs = pairs[follows.take(written[pairs + 1])]
    leads = written[pairs]
    third = follows.take(written[np.minimum(pairs + 2, len(written) - 1)])
    is_two = (leads >= _TWO_BYTE_LEAD) & (leads < _THREE_BYTE_LEAD)
    is_three = (leads >= _THREE_BYTE_LEAD) & (leads < _FOUR_BYTE_LEAD) & third
    sizes = 2 * is_two + 3 * is_three
    found = np.flatnonzero(sizes)
    documents = chunk.documents_of(pairs[found])
    return np.bincount(documents, sizes[found], chunk.num_documents).astype(np.int64)

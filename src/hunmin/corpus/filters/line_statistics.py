"""Statistics of lines and paragraphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import (
    BULLETS,
    CLOSERS,
    NEWLINE,
    TERMINALS,
    member_table,
    script_kind,
)
from hunmin.corpus.filters.chunks import Chunk
from hunmin.corpus.filters.repeats import find_repeats, in_document, share
from hunmin.corpus.hashes import Hashes, Positions

Columns = dict[str, npt.NDArray[np.float64]]
SHORT_LINE_CHARACTERS = 30
# A Han character or a Hangul syllable says about as much as two or three letters.
_DENSE_SCRIPTS = ("Hani", "Hira", "Kana", "Hang")
_DENSITY = 2


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk that are not blank, without the white space around them."""

    starts: Positions
    """Where each line begins."""
    ends: Positions
    """Where each line ends."""
    numbers: Positions
    """Number of each line among all lines of the chunk, blank ones too."""
    documents: Positions
    """The document of each line."""

    @property
    def lengths(self) -> Positions:
        """Characters of each line."""
        return self.ends - self.starts


def find_lines(chunk: Chunk) -> Lines:
    """Return the lines that are not blank."""
    stops = np.flatnonzero(chunk.kinds == NEWLINE)
    word_starts, word_ends = chunk.word_bounds
    after = np.searchsorted(word_starts, stops)
    before = np.concatenate([[0], after[:-1]])
    numbers = np.flatnonzero(after > before)
    starts, ends = word_starts[before[numbers]], word_ends[after[numbers] - 1]
    return Lines(starts, ends, numbers, chunk.documents_of(starts))


def line_statistics(chunk: Chunk, lines: Lines, titles: Hashes | None = None) -> Columns:
    """Measure the lines of every document.

    Args:
        chunk: Documents.
        lines: Their lines.
        titles: Hash of each document's title; None: its first line is its title.

    Returns:
        `lines`, `punctuated_lines`, `bullet_lines`, `ellipsis_lines`, `short_lines`,
        `duplicate_lines`, `duplicate_line_characters`, `duplicate_paragraphs`,
        `duplicate_paragraph_characters` and `title_lines`, float64; NaN where nothing is written.
    """
    size = chunk.num_documents
    counts = np.bincount(lines.documents, minlength=size)
    hashes = chunk.substrings.hashes(lines.starts, lines.ends)
    marks = {
        "punctuated_lines": _ends_sentence(chunk, lines),
        "bullet_lines": member_table(BULLETS)[chunk.codes[lines.starts]],
        "ellipsis_lines": _ends_with_ellipsis(chunk, lines),
        "short_lines": lines.lengths < _short(chunk)[lines.documents],
        "title_lines": _repeats_title(lines, hashes, size, titles),
    }
    columns = {
        name: share(np.bincount(lines.documents[mark], minlength=size), counts)
        for name, mark in marks.items()
    }
    columns |= _duplicates("line", lines.documents, hashes, lines.lengths, size)
    return {"lines": counts.astype(np.float64), **columns, **_paragraphs(chunk, lines)}


def _ends_sentence(chunk: Chunk, lines: Lines) -> npt.NDArray[np.bool_]:
    ends = lines.ends - 1
    closed = member_table(CLOSERS)[chunk.codes[ends]] & (ends > lines.starts)
    before = np.where(closed, ends - 1, ends)
    terminal = member_table(TERMINALS)
    found: npt.NDArray[np.bool_] = terminal[chunk.codes[ends]] | terminal[chunk.codes[before]]
    return found


def _ends_with_ellipsis(chunk: Chunk, lines: Lines) -> npt.NDArray[np.bool_]:
    last = chunk.codes[lines.ends - 1]
    found = (last == ord("…")) | (last == ord("‥"))
    dots = (last == ord(".")) & (lines.lengths >= 3)
    for back in (2, 3):
        dots &= chunk.codes[np.maximum(lines.ends - back, 0)] == ord(".")
    either: npt.NDArray[np.bool_] = found | dots
    return either


def _short(chunk: Chunk) -> Positions:
    """Characters below which a line is short, by document."""
    counts = chunk.kind_counts
    dense = counts[:, [script_kind(script) for script in _DENSE_SCRIPTS]].sum(axis=1)
    is_dense = dense * 2 > chunk.lengths - counts[:, :NEWLINE].sum(axis=1)
    short: Positions = np.where(is_dense, SHORT_LINE_CHARACTERS // _DENSITY, SHORT_LINE_CHARACTERS)
    return short


def _repeats_title(
    lines: Lines, hashes: Hashes, num_documents: int, titles: Hashes | None
) -> npt.NDArray[np.bool_]:
    is_first = np.ones(len(lines.documents), np.bool_)
    is_first[1:] = lines.documents[1:] != lines.documents[:-1]
    own = np.zeros(num_documents, np.uint64)
    own[lines.documents[is_first]] = hashes[is_first]
    if titles is not None:
        own = np.where(titles != 0, titles, own)
    repeated: npt.NDArray[np.bool_] = (hashes == own[lines.documents]) & ~is_first
    return repeated


def _paragraphs(chunk: Chunk, lines: Lines) -> Columns:
    """Paragraphs are parted by blank lines; a document without any has one."""
    is_first = np.ones(len(lines.numbers) + 1, np.bool_)
    is_first[1:-1] = (np.diff(lines.numbers) > 1) | (np.diff(lines.documents) > 0)
    bounds = np.flatnonzero(is_first)
    starts, ends = lines.starts[bounds[:-1]], lines.ends[bounds[1:] - 1]
    hashes = chunk.substrings.hashes(starts, ends)
    documents = lines.documents[bounds[:-1]]
    return _duplicates("paragraph", documents, hashes, ends - starts, chunk.num_documents)


def _duplicates(
    name: str, documents: Positions, hashes: Hashes, lengths: Positions, num_documents: int
) -> Columns:
    later = find_repeats(in_document(hashes, documents)).later
    counts = np.bincount(documents, minlength=num_documents)
    characters = np.bincount(documents, lengths, num_documents)
    repeated = np.bincount(documents[later], minlength=num_documents)
    repeated_characters = np.bincount(documents[later], lengths[later], num_documents)
    return {
        f"duplicate_{name}s": share(repeated, counts),
        f"duplicate_{name}_characters": share(repeated_characters, characters),
    }

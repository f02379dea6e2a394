"""Words and phrases of a list, found in a whole chunk at once."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import lower
from hunmin.corpus.filters.chunks import HEAD_CHARACTERS, NUM_HEADS, Chunk, hash_strings, heads_of
from hunmin.corpus.filters.repeats import in_document
from hunmin.corpus.filters.units import trimmed_words
from hunmin.corpus.hashes import Hashes, HashTable, Positions

_KEPT_LISTS = 512


Phrases = tuple[str, ...]
"""Phrases of at least four characters."""


def find_phrases(chunk: Chunk, lists: Collection[Phrases]) -> dict[Phrases, Positions]:
    """Find the phrases of some lists anywhere in a chunk, blind to upper and lower case.

    Args:
        chunk: Documents.
        lists: Different lists.

    Returns:
        For each list where one of its phrases begins, ascending.
    """
    heads = chunk.heads
    places = np.flatnonzero(_heads(tuple(lists)).take(heads))
    return {
        phrases: _confirmed(chunk, places[_heads((phrases,)).take(heads[places])], phrases)
        for phrases in lists
    }


def _confirmed(chunk: Chunk, places: Positions, phrases: Phrases) -> Positions:
    """Keep the places at which a phrase stands as a whole."""
    targets = _targets(frozenset(phrases))
    ends = places[:, np.newaxis] + targets.lengths
    fits = ends <= len(chunk.codes)
    begins = np.broadcast_to(places[:, np.newaxis], ends.shape)[fits]
    found = np.zeros(ends.size, np.bool_)
    here = targets.table.find(chunk.substrings.hashes(begins, ends[fits]))[0]
    found[np.flatnonzero(fits)[here]] = True
    return places[found.reshape(ends.shape).any(axis=1)]


@dataclass(frozen=True)
class _Targets:
    """What is looked for, ready to be compared."""

    table: HashTable
    """Hashes of all words."""
    lengths: Positions
    """Their different lengths, ascending."""


@functools.lru_cache(maxsize=_KEPT_LISTS)
def _targets(words: frozenset[str]) -> _Targets:
    lowered = sorted(set(map(lower, words)))
    lengths = np.asarray(sorted({len(word) for word in lowered}), np.int64)
    return _Targets(HashTable(np.sort(hash_strings(lowered))), lengths)


@functools.lru_cache(maxsize=_KEPT_LISTS)
def _heads(lists: tuple[Phrases, ...]) -> npt.NDArray[np.bool_]:
    """Which hashes of four characters a phrase begins with, shape (NUM_HEADS,)."""
    is_head = np.zeros(NUM_HEADS, np.bool_)
    for phrase in itertools.chain.from_iterable(lists):
        first = lower(phrase)[:HEAD_CHARACTERS]
        is_head[heads_of(np.frombuffer(first.encode("utf-32-le"), np.uint32))] = True
    return is_head


@dataclass(frozen=True)
class WordHits:
    """How often the words of a list stand in each document."""

    words: Positions
    """Words that are on the list, by document."""
    distinct: Positions
    """Different words of the list, by document."""


def find_words(
    chunk: Chunk,
    lists: Sequence[Collection[str]],
    choice: Positions,
    unspaced: npt.NDArray[np.bool_],
) -> WordHits:
    """Count the words of a list in each document.

    Args:
        chunk: Documents.
        lists: Lists of words.
        choice: Which of the lists belongs to each document.
        unspaced: Documents whose script parts no words: there a word counts wherever it stands.

    Returns:
        Counts; whole words without the punctuation around them, blind to upper and lower case.
    """
    size = chunk.num_documents
    hits = WordHits(np.zeros(size, np.int64), np.zeros(size, np.int64))
    for number, words in enumerate(lists):
        chosen = choice == number
        if not words or not chosen.any():
            continue
        targets = _targets(frozenset(words))
        for documents, find in ((chosen & unspaced, _anywhere), (chosen & ~unspaced, _whole)):
            if documents.any():
                _count(hits, *find(chunk, documents, targets))
    return hits


def _whole(
    chunk: Chunk, documents: npt.NDArray[np.bool_], targets: _Targets
) -> tuple[Positions, Hashes]:
    starts, ends, owners = trimmed_words(chunk)
    lengths = np.zeros(int((ends - starts).max(initial=0)) + 1, np.bool_)
    lengths[targets.lengths[targets.lengths < len(lengths)]] = True
    wanted = lengths.take(ends - starts)
    if not documents.all():
        wanted &= documents.take(owners)
    kept = np.flatnonzero(wanted)
    return _among(owners[kept], chunk.substrings.hashes(starts[kept], ends[kept]), targets)


def _anywhere(
    chunk: Chunk, documents: npt.NDArray[np.bool_], targets: _Targets
) -> tuple[Positions, Hashes]:
    chosen = np.flatnonzero(documents)
    spans = [np.arange(chunk.starts[d], chunk.ends[d]) for d in chosen]
    starts = np.concatenate(spans)
    owners = np.repeat(chosen, [len(span) for span in spans])
    found: list[tuple[Positions, Hashes]] = []
    for size in targets.lengths.tolist():
        fits = starts + size <= chunk.ends[owners]
        hashes = chunk.substrings.hashes(starts[fits], starts[fits] + size)
        found.append(_among(owners[fits], hashes, targets))
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


def _among(owners: Positions, hashes: Hashes, targets: _Targets) -> tuple[Positions, Hashes]:
    """Keep what is among the targets."""
    near = targets.table.find(hashes)[0]
    return owners[near], hashes[near]


def _count(hits: WordHits, owners: Positions, hashes: Hashes) -> None:
    size = len(hits.words)
    np.add(hits.words, np.bincount(owners, minlength=size), out=hits.words)
    _, firsts = np.unique(in_document(hashes, owners), return_index=True)
    np.add(hits.distinct, np.bincount(owners[firsts], minlength=size), out=hits.distinct)

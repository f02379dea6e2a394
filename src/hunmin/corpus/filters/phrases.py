"""Words and phrases of a list, found in a whole chunk at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.characters import lower
from hunmin.corpus.filters.chunks import Chunk, hash_strings
from hunmin.corpus.filters.repeats import in_document
from hunmin.corpus.filters.units import trimmed_words
from hunmin.corpus.hashes import Hashes, Positions

_WINDOW = 4
_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
_SLOT_BITS = 16


def _windows(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint16]:
    """Hash of the four code points from each place on."""
    count = max(0, len(codes) - _WINDOW + 1)
    total = np.zeros(count, np.uint32)
    for place, factor in enumerate(_FACTORS):
        total += codes[place : place + count] * np.uint32(factor)
    return ((total ^ (total >> np.uint32(15))) & np.uint32((1 << _SLOT_BITS) - 1)).astype(np.uint16)


@dataclass(frozen=True)
class PhraseList:
    """Phrases to look for anywhere in a text, blind to upper and lower case.

    Args:
        phrases: At least four characters each.
    """

    phrases: tuple[str, ...]
    """The phrases."""

    def find(self, chunk: Chunk) -> Positions:
        """Return where one of the phrases begins, ascending."""
        lowered = sorted(set(map(lower, self.phrases)))
        heads = [np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in lowered]
        table = np.zeros(1 << _SLOT_BITS, np.bool_)
        for head in heads:
            table[_windows(head[:_WINDOW])] = True
        places = np.flatnonzero(table[_windows(chunk.codes)])
        if not len(places):
            return places
        return places[self._confirmed(chunk, places, lowered)]

    @staticmethod
    def _confirmed(
        chunk: Chunk, places: Positions, lowered: Sequence[str]
    ) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(places), np.bool_)
        by_length: dict[int, list[str]] = defaultdict(list)
        for text in lowered:
            by_length[len(text)].append(text)
        for length, texts in by_length.items():
            fits = places + length <= len(chunk.codes)
            ends = np.where(fits, places + length, places)
            found |= fits & np.isin(chunk.substrings.hashes(places, ends), hash_strings(texts))
        return found


@dataclass(frozen=True)
class WordHits:
    """How often the words of a list stand in each document."""

    words: Positions
    """Words that are on the list, by document."""
    distinct: Positions
    """Different words of the list, by document."""


def find_words(
    chunk: Chunk, lists: Sequence[Collection[str]], unspaced: npt.NDArray[np.bool_]
) -> WordHits:
    """Count the words of a list in each document.

    Args:
        chunk: Documents.
        lists: The list of each document; equal lists should be one object.
        unspaced: Documents whose script parts no words: there a word counts wherever it stands.

    Returns:
        Counts; whole words without the punctuation around them, blind to upper and lower case.
    """
    by_list: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for document, words in enumerate(lists):
        if words:
            by_list[id(words), bool(unspaced[document])].append(document)
    hits = WordHits(np.zeros(len(lists), np.int64), np.zeros(len(lists), np.int64))
    trimmed = trimmed_words(chunk) if any(not anywhere for _, anywhere in by_list) else None
    for (_, anywhere), documents in by_list.items():
        targets = sorted(set(map(lower, lists[documents[0]])))
        if anywhere or trimmed is None:
            found = _anywhere(chunk, np.asarray(documents), targets)
        else:
            found = _whole(chunk, np.asarray(documents), targets, trimmed)
        _count(hits, *found)
    return hits


def _whole(
    chunk: Chunk,
    documents: Positions,
    targets: Sequence[str],
    trimmed: tuple[Positions, Positions, Positions],
) -> tuple[Positions, Hashes]:
    starts, ends, owners = trimmed
    wanted = np.zeros(chunk.num_documents, np.bool_)
    wanted[documents] = True
    lengths = np.zeros(int((ends - starts).max(initial=0)) + 1, np.bool_)
    sizes = np.asarray([len(target) for target in targets])
    lengths[sizes[sizes < len(lengths)]] = True
    kept = np.flatnonzero(wanted[owners] & lengths[ends - starts])
    hashes = chunk.substrings.hashes(starts[kept], ends[kept])
    return _among(owners[kept], hashes, hash_strings(targets))


def _anywhere(
    chunk: Chunk, documents: Positions, targets: Sequence[str]
) -> tuple[Positions, Hashes]:
    spans = [np.arange(chunk.starts[d], chunk.ends[d]) for d in documents]
    starts = np.concatenate(spans)
    owners = np.repeat(documents, [len(span) for span in spans])
    found: list[tuple[Positions, Hashes]] = []
    for size in sorted({len(target) for target in targets}):
        wanted = hash_strings([target for target in targets if len(target) == size])
        fits = starts + size <= chunk.ends[owners]
        hashes = chunk.substrings.hashes(starts[fits], starts[fits] + size)
        found.append(_among(owners[fits], hashes, wanted))
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


def _among(owners: Positions, hashes: Hashes, targets: Hashes) -> tuple[Positions, Hashes]:
    """Keep what is among the targets; a table of bits tells most others at once."""
    table = np.zeros(1 << _SLOT_BITS, np.bool_)
    table[targets >> np.uint64(64 - _SLOT_BITS)] = True
    near = np.flatnonzero(table[hashes >> np.uint64(64 - _SLOT_BITS)])
    near = near[np.isin(hashes[near], targets)]
    return owners[near], hashes[near]


def _count(hits: WordHits, owners: Positions, hashes: Hashes) -> None:
    np.add.at(hits.words, owners, 1)
    _, firsts = np.unique(in_document(hashes, owners), return_index=True)
    np.add.at(hits.distinct, owners[firsts], 1)

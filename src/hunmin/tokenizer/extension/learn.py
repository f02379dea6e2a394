"""Continued BPE: merges learned on text as the old tokenizer leaves it, tried after its own.

Since every old merge comes first, a word is encoded in two steps: as before, then by the new
merges. New pieces are therefore made of the very tokens that the model saw in their place, all of
them are reachable, and text in which no new pair stands is encoded as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hunmin.core.progress import progress
from hunmin.tokenizer.alphabet import piece_to_bytes
from hunmin.tokenizer.consistent.pairs import PairTable
from hunmin.tokenizer.consistent.sequences import WALL, LinkedSequences, Sequences
from hunmin.tokenizer.extension.base import BaseTokenizer, Merge
from hunmin.tokenizer.extension.scripts import PieceRule
from hunmin.tokenizer.load import TextTokenizer

KEPT_WEIGHT = 100
"""What one occurrence in text to be kept counts against a merge."""


@dataclass(frozen=True)
class Extension:
    """What is added to a tokenizer.

    Args:
        pieces: New pieces in the byte alphabet, in the order of their ids.
        merges: New merges in the order they are tried.
    """

    pieces: tuple[str, ...]
    merges: tuple[Merge, ...]


def count_words(base: BaseTokenizer, texts: Iterable[str], rule: PieceRule) -> Counter[str]:
    """Count the words of texts in which a new piece could stand.

    Args:
        base: The tokenizer that splits them.
        texts: Text of the new language.
        rule: Which pieces may be added; words without its scripts are left out.

    Returns:
        Occurrences by word, in the byte alphabet.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(base.words(text))
    return Counter(
        {word: n for word, n in counts.items() if rule.holds(piece_to_bytes(word).decode())}
    )


def learn_extension(
    base: BaseTokenizer,
    donor: TextTokenizer | None,
    counts: Counter[str],
    rule: PieceRule,
    *,
    num_new: int,
    kept: Mapping[str, int] = MappingProxyType({}),
    min_frequency: int = 2,
    cross_penalty: float = 1.0,
) -> Extension:
    """Learn new merges on words as the old tokenizer leaves them.

    Args:
        base: The old tokenizer.
        donor: Its boundaries between tokens are boundaries that merges should not cross; None for
            plain continued BPE.
        counts: Occurrences of each word, in the byte alphabet.
        rule: Which pieces may be added.
        num_new: Most pieces.
        kept: Occurrences of words in text that should be encoded as before. They count as if the
            donor parted all their tokens, KEPT_WEIGHT times.
        min_frequency: A pair must score this to be merged.
        cross_penalty: Lambda; how much a boundary in a pair counts against it, see `PairTable`.

    Returns:
        The new pieces and merges; fewer than asked for if the text supports no more.
    """
    frequent = {word: n for word, n in counts.items() if n >= min_frequency}
    sequences = _sequences(base, donor, frequent, kept)
    table = PairTable(LinkedSequences(sequences), cross_penalty, min_frequency)
    names = dict(base.pieces)
    ids = {**base.vocabulary, **base.added}
    pieces: list[str] = []
    merges: list[Merge] = []
    with progress("learning merges", total=num_new, unit="pieces") as bar:
        while len(pieces) < num_new and (pair := table.pop_best()) is not None:
            left, right = names[pair[0]], names[pair[1]]
            piece = left + right
            if piece in ids or not rule.admits(piece_to_bytes(piece)):
                table.forget(*pair)
                continue
            number = base.num_ids + len(pieces)
            table.merge(*pair, number, is_new=True)
            ids[piece], names[number] = number, piece
            pieces.append(piece)
            merges.append((left, right))
            bar.advance()
    return Extension(tuple(pieces), tuple(merges))


def _sequences(
    base: BaseTokenizer,
    donor: TextTokenizer | None,
    counts: Mapping[str, int],
    kept: Mapping[str, int],
) -> Sequences:
    """Lay out the old ids of every word, with the boundaries that merges should not cross."""
    words = list(counts)
    layout = _Layout(base)
    for word, ends in zip(words, _donor_ends(donor, words), strict=True):
        layout.add(word, counts[word], ends)
    for word, count in kept.items():
        layout.add(word, KEPT_WEIGHT * count, None)
    return layout.sequences()


class _Layout:
    """Collects words as old ids with walls between."""

    def __init__(self, base: BaseTokenizer) -> None:
        self._base = base
        self._symbols, self._weights, self._cuts = [WALL], [0], [0]

    def add(self, word: str, weight: int, ends: frozenset[int] | None) -> None:
        """Append a word; `ends` are byte offsets of boundaries, None for one after each token."""
        position = 0
        for number in self._base.encode_word(word):
            position += len(self._base.pieces[number])
            self._append(number, weight, weight if ends is None or position in ends else 0)
        self._append(WALL, 0, 0)

    def _append(self, symbol: int, weight: int, cuts: int) -> None:
        self._symbols.append(symbol)
        self._weights.append(weight)
        self._cuts.append(cuts)

    def sequences(self) -> Sequences:
        return Sequences(
            np.array(self._symbols, dtype=np.int32),
            np.array(self._weights, dtype=np.int64),
            np.array(self._cuts, dtype=np.int64),
        )


def _donor_ends(donor: TextTokenizer | None, words: Sequence[str]) -> list[frozenset[int]]:
    """Return the byte offsets after each of the donor's tokens, word by word."""
    if donor is None:
        return [frozenset()] * len(words)
    texts = [piece_to_bytes(word).decode() for word in words]
    return [
        frozenset(np.cumsum([len(donor.token_bytes(int(token))) for token in row]).tolist())
        for row in donor.encode_batch(texts)
    ]

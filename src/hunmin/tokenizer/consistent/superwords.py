"""Superwords: a second stage of merges that may cross the spaces between words.

Source:
    SuperBPE (arXiv 2503.13423). Deviations: merges stop at punctuation, digits and line ends, and
    the pair with the best score is merged as in the first stage, so that boundaries within words
    count as before while spaces are free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from hunmin.tokenizer.consistent.sequences import WALL, Sequences
from hunmin.tokenizer.consistent.word_types import WordTypes
from hunmin.tokenizer.splits import WordSplit

_WORDS_PER_CALL = 10_000


def count_phrases(lines: Mapping[str, int], split: WordSplit) -> Counter[str]:
    """Split lines into runs of words as the tokenizer in use will.

    Args:
        lines: How often each line occurs.
        split: Keeps words together between which there is nothing but a space.

    Returns:
        How often each run of words occurs; single words and everything else are left out.
    """
    splitter = split.splitter()
    phrases: Counter[str] = Counter()
    for line, count in lines.items():
        for phrase, _ in splitter.pre_tokenize_str(line):
            if " " in phrase[1:].rstrip():
                phrases[phrase] += count
    return phrases


def phrases_in_pieces(
    phrases: Mapping[str, int], words: WordTypes, first_stage: Tokenizer
) -> Sequences:
    """Write phrases as sequences of the pieces that the first stage makes.

    Args:
        phrases: How often each run of words occurs.
        words: Words with their cuts; a phrase is cut as its words usually are.
        first_stage: Its ids are the symbols.

    Returns:
        The phrases.

    Note:
        Every word is encoded once. Memory: about 60 bytes a word of the phrases.
    """
    table = PieceTable(words, first_stage)
    texts = sorted(phrases)
    per_phrase = [text.lstrip(" ").count(" ") + 1 for text in texts]
    numbers = np.fromiter(
        chain.from_iterable(map(table.numbers, texts)), np.int64, count=sum(per_phrase)
    )
    # One wall after each phrase, and one before the first.
    ends = np.cumsum(per_phrase)
    with_walls = np.insert(numbers, [0, *ends], table.wall)
    counts = np.array([phrases[text] for text in texts], dtype=np.int64)
    weights = np.insert(np.repeat(counts, per_phrase), [0, *ends], 0)
    return table.sequences(with_walls, weights)


class PieceTable:
    """The pieces of each word, one after another.

    Args:
        words: The words and their cuts.
        tokenizer: Makes the pieces; its ids are the symbols.
    """

    def __init__(self, words: WordTypes, tokenizer: Tokenizer) -> None:
        self.wall = len(words.words)
        self._number = {word: number for number, word in enumerate(words.words)}
        symbols: list[int] = []
        shares: list[float] = []
        lengths: list[int] = []
        shares_of = _shares_by_word(words)
        for first in range(0, self.wall, _WORDS_PER_CALL):
            batch = words.words[first : first + _WORDS_PER_CALL]
            for number, encoding in enumerate(tokenizer.encode_batch(batch), start=first):
                symbols += encoding.ids
                shares += _after_pieces(encoding, shares_of.get(number, {}))
                lengths.append(len(encoding.ids))
        self._symbols = np.array([*symbols, WALL], dtype=np.int32)
        self._shares = np.array([*shares, 0.0])
        self._lengths = np.array([*lengths, 1], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths

    def numbers(self, phrase: str) -> Iterator[int]:
        """Return the number of each word of a phrase."""
        first, *rest = phrase.split(" ")
        if first:
            yield self._number[first]
        for word in rest:
            yield self._number[f" {word}"]

    def sequences(
        self, numbers: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]
    ) -> Sequences:
        """Replace each word by its pieces.

        Args:
            numbers: Numbers of words, or `wall`.
            weights: How often each of them occurs.

        Returns:
            Symbols with weights and cuts.
        """
        lengths = self._lengths[numbers]
        firsts = np.cumsum(lengths) - lengths
        shift = np.repeat(self._starts[numbers] - firsts, lengths)
        places = np.arange(len(shift)) + shift
        per_piece = np.repeat(weights, lengths)
        cuts = np.rint(per_piece * self._shares[places]).astype(np.int64)
        return Sequences(self._symbols[places], per_piece, cuts)


def _shares_by_word(words: WordTypes) -> dict[int, dict[int, float]]:
    """Return the share of boundaries at each position, by word that has any."""
    shares: dict[int, dict[int, float]] = {}
    values = (words.cut_counts / words.counts[words.cut_words]).tolist()
    rows = zip(words.cut_words.tolist(), words.cut_positions.tolist(), values, strict=True)
    for word, position, share in rows:
        shares.setdefault(word, {})[position] = share
    return shares


def _after_pieces(encoding: Encoding, shares: Mapping[int, float]) -> list[float]:
    """Return the share of boundaries after each piece; after the last there is a space."""
    if not shares:
        return [0.0] * len(encoding.ids)
    return [shares.get(end, 0.0) for _, end in encoding.offsets]

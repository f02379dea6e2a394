"""Superwords: a second stage of merges that may cross the spaces between words.

Source:
    SuperBPE (arXiv 2503.13423). Deviations: merges stop at punctuation, digits and line ends, and
    the pair with the best score is merged as in the first stage, so that boundaries within words
    count as before while spaces are free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tokenizers import Encoding, Regex, Tokenizer, pre_tokenizers

from hunmin.tokenizer.consistent.sequences import WALL, Sequences
from hunmin.tokenizer.consistent.word_types import GPT2_SPLIT, SUPERWORD_SPLIT, WordTypes

_PHRASES_PER_CALL = 10_000


def count_phrases(lines: Mapping[str, int]) -> Counter[str]:
    """Split lines into runs of words as the tokenizer in use will.

    Args:
        lines: How often each line occurs.

    Returns:
        How often each run of words occurs; single words and everything else are left out.
    """
    splitter = pre_tokenizers.Split(Regex(SUPERWORD_SPLIT), "isolated")
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
    """
    cuts_of = _WordCuts(words)
    symbols, weights, cuts = [np.array([WALL])], [np.zeros(1)], [np.zeros(1)]
    for texts in _in_batches(sorted(phrases)):
        encodings = first_stage.encode_batch(texts, add_special_tokens=False)
        for text, encoding in zip(texts, encodings, strict=True):
            count = phrases[text]
            symbols.append(np.array([*encoding.ids, WALL]))
            weights.append(np.array([count] * len(encoding.ids) + [0]))
            cuts.append(np.rint(count * _shares_after(encoding, cuts_of.shares(text))))
    return Sequences(
        np.concatenate(symbols).astype(np.int32),
        np.concatenate(weights).astype(np.int64),
        np.concatenate(cuts).astype(np.int64),
    )


def _in_batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _PHRASES_PER_CALL):
        yield texts[start : start + _PHRASES_PER_CALL]


def _shares_after(encoding: Encoding, shares: Mapping[int, float]) -> np.ndarray:
    """Return the share of boundaries after each piece, and 0 for the wall."""
    return np.array([*(shares.get(end, 0.0) for _, end in encoding.offsets), 0.0])


class _WordCuts:
    """How often each place in a word is a boundary."""

    def __init__(self, words: WordTypes) -> None:
        self._splitter = pre_tokenizers.Split(Regex(GPT2_SPLIT), "isolated")
        self._shares: dict[str, list[tuple[int, float]]] = {}
        shares = words.cut_counts / words.counts[words.cut_words]
        for word, position, share in zip(
            words.cut_words.tolist(), words.cut_positions.tolist(), shares.tolist(), strict=True
        ):
            self._shares.setdefault(words.words[word], []).append((position, share))

    def shares(self, phrase: str) -> dict[int, float]:
        """Return the share of boundaries at each character offset of a phrase."""
        return {
            start + position: share
            for word, (start, _) in self._splitter.pre_tokenize_str(phrase)
            for position, share in self._shares.get(word, ())
        }

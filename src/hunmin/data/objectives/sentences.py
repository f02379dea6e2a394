"""Where sentences begin, told from tokens alone: quick enough for every batch of training."""

from __future__ import annotations

import functools
import re

import numpy as np
import numpy.typing as npt

from hunmin.data.objectives.ragged import Bools
from hunmin.data.permutation import Int64s
from hunmin.tokenizer.load import TextTokenizer

_CLOSERS = "[\"'”’“‘»›«‹)\\]}」』）］】〉》〕｣]*"
_FULL_END = re.compile(rf"(?:[。！？｡．‼⁇⁈⁉]{_CLOSERS}|\n)\s*\Z")
_END = re.compile(rf"[.!?…؟۔।॥።፧։།༎។៕᱾᱿]{_CLOSERS}(?P<space>\s*)\Z")


class SentenceTable:
    """Which tokens end a sentence, and which begin with a space; by token id.

    Args:
        tokenizer: The one that made the shards.

    Note:
        Full stops of scripts with spaces count only before a space, so 3.14 stays whole. There is
        no list of abbreviations, and a mark whose bytes are several tokens is not seen: good enough
        to shuffle sentences, not to count them (see `text.sentences`).
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        texts = [tokenizer.token_bytes(i).decode("utf-8", "replace") for i in range(tokenizer.size)]
        ends = [_END.search(text) for text in texts]
        full = (
            _FULL_END.search(text) is not None or (end is not None and bool(end["space"]))
            for text, end in zip(texts, ends, strict=True)
        )
        self._ends = np.array([end is not None for end in ends])
        self._ends_at_once = np.fromiter(full, dtype=np.bool_)
        self._begins_with_space = np.array([text[:1].isspace() for text in texts])

    def starts(self, tokens: Int64s) -> Bools:
        """Tell which tokens begin a sentence.

        Args:
            tokens: Of any number of documents, one after another, shape (N,).

        Returns:
            bool, shape (N,); nothing is said about the first token of a document.
        """
        starts: npt.NDArray[np.bool_] = np.ones(len(tokens), dtype=np.bool_)
        before, after = tokens[:-1], tokens[1:]
        ends = self._ends[before] & self._begins_with_space[after]
        starts[1:] = self._ends_at_once[before] | ends
        return starts


@functools.lru_cache(maxsize=1)
def sentence_table(tokenizer: TextTokenizer) -> SentenceTable:
    """Return the table of a tokenizer; the last one is kept, as loaders of one run share it."""
    return SentenceTable(tokenizer)

"""What is asked of a tokenizer so that it can be compared, whatever library runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
EncodeTexts = Callable[[Sequence[str]], object]


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts, in columns over all tokens.

    Args:
        ids: Id of each token.
        starts: Offset in its text of the first character it touches.
        ends: Offset after the last character it touches; neighbours that share a character
            overlap. Equal to the start for a token that stands for nothing in the text.
        offsets: First token of each text, and the number of tokens; one more than texts.
        unknown: Whether the token stands for text that the vocabulary cannot express.
        byte_fallback: Whether it is a byte of a character that the vocabulary lacks, in
            vocabularies of characters; in byte-level ones such a token is only partial.
    """

    ids: Integers
    starts: Integers
    ends: Integers
    offsets: Integers
    unknown: Flags
    byte_fallback: Flags

    @property
    def num_texts(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    @property
    def text_numbers(self) -> Integers:
        """For each token the number of its text."""
        return np.repeat(np.arange(self.num_texts), np.diff(self.offsets))

    def ids_of_texts(self) -> list[list[int]]:
        """Return the ids of each text."""
        bounds = self.offsets.tolist()
        ids = self.ids.tolist()
        return [ids[first:last] for first, last in pairwise(bounds)]


class Subject(Protocol):
    """A tokenizer that can be compared."""

    @property
    def name(self) -> str:
        """What it is called in the report."""

    @property
    def kind(self) -> str:
        """A few words on its method, such as `BPE, byte-level`."""

    @property
    def vocab_size(self) -> int:
        """Number of entries, special tokens included."""

    @property
    def digest(self) -> str:
        """Identity of its definition."""

    @property
    def engines(self) -> Mapping[str, EncodeTexts]:
        """Ways to encode many texts on one thread, by name, for measuring speed."""

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of texts; special tokens are neither added nor recognised.

        Args:
            texts: Texts without lone surrogates.

        Returns:
            Their tokens.
        """

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each sequence of ids.

        Args:
            ids: Ids of the vocabulary.

        Returns:
            One text for each sequence.
        """

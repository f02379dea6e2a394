"""Deshuffling: tokens or sentences come in random order, and a decoder says the right one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Corrupted, Layout, corrupted
from hunmin.data.objectives.ragged import Bools, Documents, Ragged, segment_indices
from hunmin.data.objectives.randomness import document_keys, random_order
from hunmin.data.permutation import Int64s, UInt64s


@dataclass(frozen=True)
class TokenDeshuffling:
    """Shuffle all tokens of each document; the target is the document.

    Args:
        seed: Decides the order.

    Source:
        Raffel et al. 2020 (arXiv:1910.10683), table 3, "deshuffling": noise density 1, documents
        not concatenated.
    """

    seed: int = 0

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Shuffle tokens (see `Objective`)."""
        order = random_order(documents, self.keys(documents, epoch, first_document))
        return _reordered(documents, order)

    def keys(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> UInt64s:
        """Return the keys with which `random_order` gives the order used; for `undo`."""
        return document_keys(self.seed, "tokens", epoch, first_document, len(documents))


@dataclass(frozen=True)
class SentenceDeshuffling:
    """Put the sentences of each document in random order; the target is the document.

    Args:
        seed: Decides the order.

    Source:
        Lewis et al. 2020 (arXiv:1910.13461), "sentence permutation". Where sentences begin is
        given with the documents, since a full stop is not what ends one in every script.
    """

    seed: int = 0

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Shuffle sentences (see `Objective`)."""
        keys = self.keys(documents, epoch, first_document)
        return _reordered(documents, sentence_order(documents, keys))

    def keys(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> UInt64s:
        """Return the keys with which `sentence_order` gives the order used; for `undo`."""
        return document_keys(self.seed, "sentences", epoch, first_document, len(documents))


def sentence_order(documents: Documents, keys: UInt64s) -> Int64s:
    """Return the order of tokens in which the sentences of each document are shuffled.

    Args:
        documents: D documents with sentence starts.
        keys: uint64, shape (D,).

    Returns:
        int64, shape (N,): tokens[order] are the documents with shuffled sentences.

    Raises:
        InputError: The documents do not say where sentences start.
    """
    starts = _sentence_starts(documents)
    begins = np.flatnonzero(starts)
    lengths = np.diff(begins, append=len(documents.tokens))
    sentences = Ragged.from_lengths(begins, documents.count(starts))
    shuffled = random_order(sentences, keys)
    return segment_indices(begins[shuffled], lengths[shuffled])


def undo(shuffled: Ragged, order: Int64s) -> Ragged:
    """Return the rows as they were.

    Args:
        shuffled: tokens[order] of the rows.
        order: int64, shape (N,).

    Returns:
        The rows with their tokens in the first order.
    """
    tokens = np.empty_like(shuffled.tokens)
    tokens[order] = shuffled.tokens
    return shuffled.with_tokens(tokens)


def _sentence_starts(documents: Documents) -> Bools:
    if documents.sentence_starts is None:
        raise InputError(
            "shuffling sentences needs to know where they start",
            given="documents without sentence_starts",
            allowed="a bool for each token, True at the first of each sentence",
            hint="give Documents(..., sentence_starts=...), or choose another objective",
        )
    starts: npt.NDArray[np.bool_] = documents.sentence_starts.copy()
    starts[documents.offsets[:-1][documents.lengths > 0]] = True
    return starts


def _reordered(documents: Documents, order: Int64s) -> Corrupted:
    inputs = documents.with_tokens(documents.tokens[order])
    return corrupted(inputs, documents.with_tokens(documents.tokens), Layout.SEQUENCE)

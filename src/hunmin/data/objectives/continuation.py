"""Continuation: a text, or the rest of it, is said token by token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Corrupted, Layout, corrupted
from hunmin.data.objectives.ragged import Bools, Documents, Ragged, join, single
from hunmin.data.objectives.randomness import document_keys, draw_one
from hunmin.data.permutation import Int64s


@dataclass(frozen=True)
class CausalLanguageModel:
    """Say the whole document, token by token; nothing is corrupted and nothing is drawn."""

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Return documents as targets, with empty inputs (see `Objective`)."""
        nothing = documents.keep(np.zeros(len(documents.tokens), dtype=np.bool_))
        return corrupted(nothing, documents.with_tokens(documents.tokens), Layout.NEXT_TOKEN)


@dataclass(frozen=True)
class PrefixLanguageModel:
    """Give the beginning of a document; the loss is on the rest.

    Args:
        decoder_only: The targets are the whole document, of which only the rest is scored, for a
            decoder that reads the prefix itself. Otherwise an encoder reads the prefix, and the
            targets are the rest.
        seed: Decides where documents are cut.

    Note:
        The prefix has 1 to n - 1 tokens, each number equally likely. A document of one token has
        an empty prefix.

    Source:
        Raffel et al. 2020 (arXiv:1910.10683), section 3.2.3.
    """

    decoder_only: bool = False
    seed: int = 0

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Cut documents in two (see `Objective`)."""
        keys = document_keys(self.seed, "prefix", epoch, first_document, len(documents))
        most = np.maximum(documents.lengths - 1, 0)
        cuts = np.minimum((draw_one(keys) * most).astype(np.int64) + 1, most)
        in_prefix = _before(documents, cuts)
        prefixes = documents.keep(in_prefix)
        if self.decoder_only:
            whole = documents.with_tokens(documents.tokens)
            return corrupted(prefixes, whole, Layout.NEXT_TOKEN, ~in_prefix)
        return corrupted(prefixes, documents.keep(~in_prefix), Layout.SEQUENCE)


@dataclass(frozen=True)
class MarkedContinuation:
    """Give a marker and the beginning of a document to an encoder; a decoder says the rest.

    Args:
        marker_id: The token, [CLM], that asks for a continuation.
        shortest: Smallest share of the document in the prefix; [0, 1].
        longest: Largest share of it; [shortest, 1].
        seed: Decides where documents are cut.

    Raises:
        InputError: The shares are out of range.

    Note:
        The share is uniform; the prefix is round(share · n) tokens, at least 1 and at most n - 1.
        A document of one token has only the marker before it. Each row is one document; rows must
        not be packed together as those of denoising may.

    Source:
        Soltan et al. 2022 (arXiv:2208.01448), section 2: 20 to 80 %, in a fifth of the examples.
    """

    marker_id: int
    shortest: float = 0.2
    longest: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.shortest <= self.longest <= 1:
            raise InputError(
                "the shares of the prefix are out of range",
                given=f"{self.shortest} to {self.longest}",
                allowed="0 <= shortest <= longest <= 1",
                hint="the published ones are 0.2 and 0.8",
            )

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Cut documents in two and mark the first part (see `Objective`)."""
        keys = document_keys(self.seed, "continuation", epoch, first_document, len(documents))
        shares = self.shortest + (self.longest - self.shortest) * draw_one(keys)
        wanted = np.maximum(np.rint(shares * documents.lengths), 1).astype(np.int64)
        in_prefix = _before(documents, np.minimum(wanted, np.maximum(documents.lengths - 1, 0)))
        markers = np.full(len(documents), self.marker_id, dtype=np.int64)
        inputs = join(single(markers, documents.lengths > 0), documents.keep(in_prefix))
        return corrupted(inputs, documents.keep(~in_prefix), Layout.SEQUENCE)


def _before(documents: Ragged, cuts: Int64s) -> Bools:
    """Which tokens come before the cut of their row."""
    flags: Bools = documents.places < documents.spread(cuts)
    return flags

"""Masked language modelling: some tokens are hidden or replaced, and an encoder says them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError, VocabularyError
from hunmin.data.objectives.base import Corrupted, Layout, check_share, corrupted
from hunmin.data.objectives.ragged import Bools, Documents
from hunmin.data.objectives.randomness import (
    document_keys,
    draw_bits,
    draw_uniform,
    to_uniform,
)
from hunmin.data.permutation import Int64s, mix


@dataclass(frozen=True)
class MaskedLanguageModel:
    """Choose tokens one by one, mask most of them, and score the chosen ones only.

    Args:
        num_ids: Size of the vocabulary.
        mask_id: The mask token.
        special_ids: Tokens never chosen and never put in as replacement; the mask token is one of
            them in any case.
        density: Chance of each ordinary token to be chosen; (0, 1].
        mask_share: Share of the chosen tokens that are masked.
        random_share: Share of the chosen tokens that are replaced by an ordinary token, drawn
            uniformly; the rest stays as it is.
        seed: Decides every choice.

    Raises:
        InputError: A share is out of range.
        VocabularyError: No ordinary token is left, or a special token is not in the vocabulary.

    Note:
        Redrawn each epoch. In a document where chance chooses nothing, one ordinary token is chosen
        uniformly, so that every short utterance teaches something; the mean density of
        n-token documents is therefore (n · density + (1 - density)^n) / n. Empty documents, and
        those of special tokens alone, stay as they are and have nothing scored.

    Source:
        Devlin et al. 2019 (arXiv:1810.04805), 15 % with 80/10/10; Liu et al. 2019
        (arXiv:1907.11692), another mask in each epoch. BERT chooses round(0.15 n) tokens; here, as
        in RoBERTa, each token is chosen on its own.
    """

    num_ids: int
    mask_id: int
    special_ids: tuple[int, ...] = ()
    density: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("density", self.density)
        if min(self.mask_share, self.random_share) < 0 or self.mask_share + self.random_share > 1:
            raise InputError(
                "mask_share and random_share are out of range",
                given=f"{self.mask_share} and {self.random_share}",
                allowed="at least 0 each, at most 1 together",
                hint="the usual shares are 0.8 and 0.1",
            )
        special = {*self.special_ids, self.mask_id}
        if min(special) < 0 or max(special) >= self.num_ids or len(special) == self.num_ids:
            raise VocabularyError(
                "the special tokens do not fit the vocabulary",
                given=f"{len(special)} special tokens, the largest {max(special)}",
                allowed=f"ids in [0, {self.num_ids}), at least one of them ordinary",
            )

    @cached_property
    def _is_ordinary(self) -> Bools:
        ordinary = np.ones(self.num_ids, dtype=np.bool_)
        ordinary[[*self.special_ids, self.mask_id]] = False
        return ordinary

    @cached_property
    def _ordinary_ids(self) -> Int64s:
        return np.flatnonzero(self._is_ordinary)

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Mask documents; targets are the documents themselves (see `Objective`)."""
        self._check_ids(documents)
        keys = document_keys(self.seed, "mask: choice", epoch, first_document, len(documents))
        chosen = self._choose(documents, draw_uniform(keys, documents.lengths))
        counts = documents.count(chosen)
        inputs = documents.tokens.copy()
        inputs[chosen] = self._replace(inputs[chosen], draw_bits(mix(keys), counts))
        return corrupted(
            documents.with_tokens(inputs),
            documents.with_tokens(documents.tokens),
            Layout.ALIGNED,
            chosen,
        )

    def _choose(self, documents: Documents, draws: npt.NDArray[np.float64]) -> Bools:
        """Choose ordinary tokens by chance, and the lowest draw where that chooses none."""
        draws = np.where(self._is_ordinary[documents.tokens], draws, 2.0)
        filled = documents.lengths > 0
        lowest = np.full(len(documents), 2.0)
        if filled.any():
            lowest[filled] = np.minimum.reduceat(draws, documents.offsets[:-1][filled])
        bound = np.where(lowest < 2.0, np.maximum(lowest, np.nextafter(self.density, 0)), -1.0)
        chosen: Bools = draws <= documents.spread(bound)
        return chosen

    def _replace(self, tokens: Int64s, bits: npt.NDArray[np.uint64]) -> Int64s:
        shares = to_uniform(bits)
        picks = (to_uniform(mix(bits)) * len(self._ordinary_ids)).astype(np.int64)
        is_random = shares < self.mask_share + self.random_share
        replaced = np.where(is_random, self._ordinary_ids[picks], tokens)
        return np.where(shares < self.mask_share, self.mask_id, replaced)

    def _check_ids(self, documents: Documents) -> None:
        tokens = documents.tokens
        if len(tokens) and (tokens.min() < 0 or tokens.max() >= self.num_ids):
            raise VocabularyError(
                "a document has a token that is not in the vocabulary",
                given=f"ids from {tokens.min()} to {tokens.max()}",
                allowed=f"[0, {self.num_ids})",
                hint="give num_ids of the tokenizer that made the shards",
            )

"""Denoising: spans of a text are masked or dropped, and a decoder says the whole text.

BART, mBART and AlexaTM differ in constants and in what a span leaves behind; `TextInfilling` is
all three, and the functions at the end name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import (
    Corrupted,
    Layout,
    check_mean_span,
    check_share,
    corrupted,
)
from hunmin.data.objectives.ordering import sentence_order
from hunmin.data.objectives.ragged import Documents, Ragged, join, single
from hunmin.data.objectives.randomness import document_keys, draw_uniform, random_subset
from hunmin.data.permutation import Int64s, UInt64s, mix


@dataclass(frozen=True)
class TextInfilling:
    """Take spans of Poisson lengths out of each document; the target is the whole document.

    Args:
        density: Share of the tokens in spans; (0, 1].
        mean_span: Mean of the Poisson lengths; [1, 100]. A span of length 0 takes nothing out.
        mask_id: One such token stands for each span, also for one of length 0, which is then an
            insertion. None: spans leave nothing behind.
        permute_sentences: Shuffle the sentences of the inputs first.
        language_ids: Put the language token of each document at the end of inputs and targets.
        seed: Decides every choice.

    Raises:
        InputError: A setting is out of range, or the documents do not tell what it needs.

    Note:
        Of n tokens exactly round(n · density) are taken out, at least 1, and without a mask at
        most n - 1, so that the encoder has something to read: there a single token stays. Lengths
        are drawn until they reach that number; the last span is cut to it. Spans do not overlap
        and lie uniformly among the kept tokens. Empty documents stay empty.

    Source:
        Lewis et al. 2020 (arXiv:1910.13461), Liu et al. 2020 (arXiv:2001.08210), Soltan et al.
        2022 (arXiv:2208.01448). Spans begin at any token, not only at words.
    """

    density: float
    mean_span: float
    mask_id: int | None
    permute_sentences: bool = False
    language_ids: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("density", self.density)
        check_mean_span(self.mean_span)

    @cached_property
    def _poisson(self) -> npt.NDArray[np.float64]:
        return poisson_distribution(self.mean_span)

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Take spans out (see `Objective`)."""
        keys = document_keys(self.seed, "infilling", epoch, first_document, len(documents))
        given = documents.with_tokens(documents.tokens)
        if self.permute_sentences:
            order = sentence_order(documents, mix(keys ^ np.uint64(1)))
            given = documents.with_tokens(documents.tokens[order])
        inputs, targets = self._take_out(given, keys), documents.with_tokens(documents.tokens)
        if self.language_ids:
            languages = _languages(documents)
            inputs, targets = join(inputs, languages), join(targets, languages)
        return corrupted(inputs, targets, Layout.SEQUENCE)

    def _take_out(self, rows: Ragged, keys: UInt64s) -> Ragged:
        """Lay kept tokens and spans in random order: each is a slot, as wide as it is long."""
        budgets = self._budgets(rows.lengths)
        spans = span_lengths(budgets, self._poisson, self.mean_span, mix(keys ^ np.uint64(2)))
        num_slots = rows.lengths - budgets + spans.lengths
        is_span = random_subset(num_slots, spans.lengths, mix(keys ^ np.uint64(3)))
        widths = np.ones(len(is_span), dtype=np.int64)
        widths[is_span] = spans.tokens
        starts = np.cumsum(widths) - widths
        tokens = np.full(len(is_span), -1 if self.mask_id is None else self.mask_id)
        tokens[~is_span] = rows.tokens[starts[~is_span]]
        slots = Ragged.from_lengths(tokens, num_slots)
        return slots.keep(~is_span) if self.mask_id is None else slots

    def _budgets(self, lengths: Int64s) -> Int64s:
        most = lengths if self.mask_id is not None else np.maximum(lengths - 1, 0)
        wanted = np.maximum(np.rint(lengths * self.density), 1).astype(np.int64)
        budgets: Int64s = np.minimum(wanted, most)
        return budgets


def span_lengths(
    budgets: Int64s, distribution: npt.NDArray[np.float64], mean: float, keys: UInt64s
) -> Ragged:
    """Draw lengths of spans until they reach the budget of each document.

    Args:
        budgets: Tokens to take out, int64, shape (D,).
        distribution: Cumulative chances of the lengths 0, 1, ….
        mean: Mean length, at least 1.
        keys: uint64, shape (D,).

    Returns:
        D rows of lengths, zeros among them, whose sums are the budgets.
    """
    # So many that together they fall short with a chance below 1e-15; then the last is longer.
    num_draws = np.where(budgets > 0, np.ceil((2 * budgets + 48) / mean), 0).astype(np.int64)
    draws = np.searchsorted(distribution, draw_uniform(keys, num_draws), side="right")
    rows = Ragged.from_lengths(draws, num_draws)
    running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(rows.tokens)])
    left = rows.spread(budgets + running[rows.offsets[:-1]]) - running[:-1]
    is_last = rows.places == rows.spread(num_draws) - 1
    lengths = np.where(is_last, left, np.minimum(rows.tokens, left))
    return rows.with_tokens(lengths).keep(left > 0)


def poisson_distribution(mean: float) -> npt.NDArray[np.float64]:
    """Return the cumulative chances of 0, 1, … under a Poisson law, as far as they differ from 1.

    Args:
        mean: Of the law; [1, 100].

    Returns:
        float64; the index of the first chance above a uniform number is a Poisson number.
    """
    numbers = np.arange(1, int(mean + 12 * np.sqrt(mean) + 20))
    chances = np.exp(np.concatenate([[0.0], np.cumsum(np.log(mean / numbers))]) - mean)
    return np.asarray(np.cumsum(chances))


def bart_infilling(mask_id: int, *, permute_sentences: bool = True, seed: int = 0) -> TextInfilling:
    """Return BART's objective: 30 % in Poisson(3) spans, one mask each, sentences permuted.

    Args:
        mask_id: The mask token.
        permute_sentences: As published; documents have to say where sentences start.
        seed: Decides every choice.

    Returns:
        The objective.

    Source:
        Lewis et al. 2020 (arXiv:1910.13461), section 3.
    """
    return TextInfilling(0.3, 3.0, mask_id, permute_sentences=permute_sentences, seed=seed)


def mbart_denoising(
    mask_id: int, *, permute_sentences: bool = True, seed: int = 0
) -> TextInfilling:
    """Return mBART's objective: 35 % in Poisson(3.5) spans, sentences permuted, language tokens.

    Args:
        mask_id: The mask token.
        permute_sentences: As published; documents have to say where sentences start.
        seed: Decides every choice.

    Returns:
        The objective.

    Source:
        Liu et al. 2020 (arXiv:2001.08210), section 2.2. The share is of tokens, there of words;
        end tokens are the batch's affair.
    """
    return TextInfilling(
        0.35, 3.5, mask_id, permute_sentences=permute_sentences, language_ids=True, seed=seed
    )


def alexatm_denoising(*, seed: int = 0) -> TextInfilling:
    """Return AlexaTM's objective: 15 % in Poisson(3) spans that leave nothing behind.

    Args:
        seed: Decides every choice.

    Returns:
        The objective.

    Source:
        Soltan et al. 2022 (arXiv:2208.01448), section 2. Documents of 2 and 3 tokens lose one too,
        though 15 % of them rounds to none.
    """
    return TextInfilling(0.15, 3.0, None, seed=seed)


def _languages(documents: Documents) -> Ragged:
    if documents.language_ids is None:
        raise InputError(
            "this objective puts the language after each text",
            given="documents without language_ids",
            allowed="a token for each document",
            hint="give Documents(..., language_ids=...), or set language_ids=False",
        )
    return single(documents.language_ids, documents.lengths > 0)

"""BART, mBART, AlexaTM: shares, Poisson lengths, insertions, and nothing lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data.objectives.denoising import (
    TextInfilling,
    alexatm_denoising,
    bart_infilling,
    mbart_denoising,
    poisson_distribution,
    span_lengths,
)
from hunmin.data.objectives.ragged import Documents
from hunmin.data.objectives.randomness import document_keys

from .conftest import MakeDocuments

MASK = 4


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in part)


def counted(length: int, copies: int = 1) -> Documents:
    """Documents whose tokens are 100, 101, …, so that places are known."""
    return Documents.from_lists([range(100, 100 + length)] * copies)


@pytest.mark.parametrize("mean", [1.0, 3.0, 3.5, 20.0])
def test_lengths_are_poisson(mean: float) -> None:
    keys = document_keys(0, "test", 0, 0, 1)
    budgets = np.array([100_000])
    lengths = span_lengths(budgets, poisson_distribution(mean), mean, keys).tokens
    assert lengths.sum() == 100_000
    lengths = lengths[:-1]
    assert abs(lengths.mean() - mean) < 5 * math.sqrt(mean / len(lengths))
    counts = np.bincount(lengths, minlength=100)[:100]
    chances = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(100)]
    expected = np.array(chances) * len(lengths)
    usual = expected > 20
    degrees = usual.sum() - 1
    chi_square = ((counts - expected)[usual] ** 2 / expected[usual]).sum()
    assert chi_square < degrees + 5 * math.sqrt(2 * degrees)


@given(budgets=st.lists(st.integers(0, 300), min_size=1, max_size=8), mean=st.floats(1, 100))
def test_lengths_add_up_to_the_budget(budgets: list[int], mean: float) -> None:
    keys = document_keys(0, "test", 0, 0, len(budgets))
    rows = span_lengths(np.array(budgets), poisson_distribution(mean), mean, keys).to_lists()
    assert [sum(row) for row in rows] == budgets
    # None is drawn once the budget is used up.
    assert all(not row or row[-1] > 0 for row in rows)


@pytest.mark.parametrize(
    ("objective", "density", "mean"),
    [
        (bart_infilling(MASK, permute_sentences=False), 0.3, 3.0),
        (TextInfilling(0.35, 3.5, MASK), 0.35, 3.5),
    ],
)
def test_each_span_is_one_mask(objective: TextInfilling, density: float, mean: float) -> None:
    n = 300_000
    result = objective(counted(n), 0, 0)
    masks = result.inputs.tokens == MASK
    assert n - (~masks).sum() == round(n * density)
    expected = n * density / mean
    # As many draws as a Poisson process needs to pass the budget.
    assert abs(masks.sum() - expected) < 5 * math.sqrt(expected / mean) + 2
    # Insertions: masks between two neighbours that are both kept.
    kept = np.where(masks, -1, result.inputs.tokens)
    inserted = (kept[1:-1] == -1) & (kept[:-2] >= 0) & (kept[2:] == kept[:-2] + 1)
    assert inserted.sum() > 0


def test_zero_length_spans_are_insertions_as_often_as_poisson_says() -> None:
    # 100 tokens of which 1 is taken out, many times: a zero comes before the first positive
    # length with chance p = exp(-3), so p / (1 - p) insertions are expected for each document.
    copies = 20_000
    result = TextInfilling(0.01, 3.0, MASK)(counted(100, copies), 0, 0)
    assert np.all((result.inputs.lengths - 99) >= 1)
    extra = result.inputs.lengths - 100
    p = math.exp(-3)
    assert abs(extra.mean() - p / (1 - p)) < 5 * math.sqrt(p / (1 - p) ** 2 / copies)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_single_span_begins_anywhere(length: int) -> None:
    copies = 20_000
    result = bart_infilling(MASK, permute_sentences=False)(counted(length, copies), 0, 0)
    kept = result.inputs.keep(result.inputs.tokens != MASK)
    hidden = np.ones((copies, length), dtype=bool)
    hidden[kept.rows, kept.tokens - 100] = False
    budget = max(1, round(0.3 * length))
    assert np.all(hidden.sum(axis=1) == budget)
    if budget == 1:
        bound = 5 * math.sqrt(0.25 / copies)
        assert np.all(np.abs(hidden.mean(axis=0) - 1 / length) < bound)
    assert np.all(hidden.any(axis=0))


def test_spans_lie_uniformly_among_the_kept_tokens() -> None:
    # 10 tokens with 2 taken out in a single span: 9 starts, each equally likely.
    copies = 30_000
    result = TextInfilling(0.2, 50.0, MASK)(counted(10, copies), 0, 0)
    starts = np.flatnonzero(result.inputs.tokens == MASK) % 9
    assert len(starts) == copies
    counts = np.bincount(starts, minlength=9)
    assert np.all(np.abs(counts - copies / 9) < 5 * math.sqrt(copies / 9))


def test_alexatm_drops_spans_and_leaves_nothing_behind(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(400))
    result = alexatm_denoising()(documents, 0, 0)
    for given_row, row in zip(documents.to_lists(), result.inputs.to_lists(), strict=True):
        assert is_subsequence(row, given_row)
        lost = min(max(1, round(0.15 * len(given_row))), max(0, len(given_row) - 1))
        assert len(given_row) - len(row) == lost
    assert result.targets.to_lists() == documents.to_lists()
    assert result.scored.all()


@pytest.mark.parametrize("length", [2, 3, 4, 5])
def test_alexatm_drops_any_token_of_short_utterances(length: int) -> None:
    copies = 20_000
    kept = alexatm_denoising()(counted(length, copies), 0, 0).inputs
    share = np.bincount(kept.tokens - 100) / copies
    assert np.all(np.abs(share - (length - 1) / length) < 5 * math.sqrt(0.25 / copies))


def test_masked_inputs_are_the_text_with_holes(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(300))
    result = bart_infilling(MASK, permute_sentences=False)(documents, 0, 0)
    kept = result.inputs.keep(result.inputs.tokens != MASK)
    for given_row, row in zip(documents.to_lists(), kept.to_lists(), strict=True):
        assert is_subsequence(row, given_row)
    assert result.targets.to_lists() == documents.to_lists()


def test_sentences_are_shuffled_before_spans_are_taken_out() -> None:
    plain = counted(60, 50)
    documents = Documents(plain.tokens, plain.offsets, plain.places % 20 == 0)
    result = bart_infilling(MASK)(documents, 0, 0)
    assert result.targets.to_lists() == documents.to_lists()
    kept = result.inputs.keep(result.inputs.tokens != MASK)
    orders = set()
    for row in kept.to_lists():
        assert len(row) == len(set(row)) == 42
        sentences = [(token - 100) // 20 for token in row]
        order = tuple(dict.fromkeys(sentences))
        assert row == sorted(row, key=lambda token: (order.index((token - 100) // 20), token))
        orders.add(order)
    assert len(orders) == 6


def test_mbart_ends_both_sides_with_the_language(make_documents: MakeDocuments) -> None:
    documents = make_documents([20, 0, 1, 30])
    result = mbart_denoising(MASK)(documents, 0, 0)
    assert documents.language_ids is not None
    rows = zip(
        documents.to_lists(),
        result.inputs.to_lists(),
        result.targets.to_lists(),
        documents.language_ids.tolist(),
        strict=True,
    )
    for given_row, inputs, targets, language in rows:
        assert targets == ([*given_row, language] if given_row else [])
        assert inputs[-1:] == ([language] if given_row else [])
        taken = len(given_row) - sum(token >= 200 for token in inputs)
        assert taken == (max(1, round(0.35 * len(given_row))) if given_row else 0)


def test_missing_facts_are_asked_for() -> None:
    with pytest.raises(InputError, match="puts the language after"):
        mbart_denoising(MASK, permute_sentences=False)(counted(5), 0, 0)
    with pytest.raises(InputError, match="where they start"):
        bart_infilling(MASK)(counted(5), 0, 0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="density"):
        TextInfilling(0.0, 3.0, MASK)
    with pytest.raises(InputError, match="mean_span"):
        TextInfilling(0.3, 0.2, MASK)

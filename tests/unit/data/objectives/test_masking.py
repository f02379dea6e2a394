"""15 % of tokens are chosen: 80 % masked, 10 % random, 10 % kept; special ones never."""

from __future__ import annotations

import numpy as np
import pytest

from hunmin.core.errors import InputError, VocabularyError
from hunmin.data.objectives.masking import MaskedLanguageModel
from hunmin.data.objectives.ragged import Documents

from .conftest import MakeDocuments

MASK, NUM_IDS = 4, 1_000
SPECIAL = tuple(range(200))


def masked(**settings: float) -> MaskedLanguageModel:
    return MaskedLanguageModel(NUM_IDS, MASK, SPECIAL, **settings)  # type: ignore[arg-type]


def test_shares_are_the_published_ones(make_documents: MakeDocuments) -> None:
    documents = make_documents([200_000])
    result = masked()(documents, 0, 0)
    n, chosen = 200_000, int(result.scored.sum())
    # Binomial; every bound is 5 standard deviations.
    assert abs(chosen - 0.15 * n) < 5 * np.sqrt(n * 0.15 * 0.85)
    before, after = documents.tokens[result.scored], result.inputs.tokens[result.scored]
    assert abs((after == MASK).mean() - 0.8) < 5 * np.sqrt(0.16 / chosen)
    kept = (after == before).mean()
    # A random token is the same by chance once in 800.
    assert abs(kept - 0.1 - 0.1 / 800) < 5 * np.sqrt(0.09 / chosen)


def test_nothing_else_changes_and_targets_are_the_text(make_documents: MakeDocuments) -> None:
    documents = make_documents([50, 3, 0, 80])
    result = masked()(documents, 0, 0)
    assert result.targets.to_lists() == documents.to_lists()
    unchosen = ~result.scored
    assert np.array_equal(result.inputs.tokens[unchosen], documents.tokens[unchosen])
    assert np.array_equal(result.inputs.offsets, documents.offsets)
    assert np.array_equal(result.labels.tokens != -100, result.scored)


def test_random_tokens_are_uniform_over_ordinary_ids(make_documents: MakeDocuments) -> None:
    result = masked(density=1.0, mask_share=0.0, random_share=1.0)(make_documents([400_000]), 0, 0)
    counts = np.bincount(result.inputs.tokens, minlength=NUM_IDS)
    assert counts[:200].sum() == 0
    # Chi-square with 799 degrees of freedom; 5 standard deviations of sqrt(2 * 799).
    assert ((counts[200:] - 500) ** 2 / 500).sum() < 799 + 5 * np.sqrt(2 * 799)


def test_special_tokens_are_never_chosen() -> None:
    documents = Documents.from_lists([[1, 500, 2], [1, 2], [], [3, 3, 700]] * 500)
    result = masked()(documents, 0, 0)
    assert np.all(documents.tokens[result.scored] >= 200)
    special = documents.tokens < 200
    assert np.array_equal(result.inputs.tokens[special], documents.tokens[special])
    # At least one where there is an ordinary token, none where there is not.
    assert documents.count(result.scored).reshape(-1, 4).min(axis=0).tolist() == [1, 0, 0, 1]
    assert documents.count(result.scored).reshape(-1, 4).max(axis=0).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_short_utterances_have_a_token_anywhere(length: int, make_documents: MakeDocuments) -> None:
    n = 20_000
    chosen = masked()(make_documents([length] * n), 0, 0).scored.reshape(n, length)
    assert np.all(chosen.any(axis=1))
    share = (length * 0.15 + 0.85**length) / length
    assert np.all(np.abs(chosen.mean(axis=0) - share) < 5 * np.sqrt(0.25 / n))


def test_the_mask_is_drawn_anew_in_each_epoch(make_documents: MakeDocuments) -> None:
    documents = make_documents([100_000])
    first, second = (masked()(documents, epoch, 0).scored for epoch in (0, 1))
    # Independent choices agree on 0.15² of the tokens.
    assert abs((first & second).mean() - 0.0225) < 5 * np.sqrt(0.0225 / 100_000)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="density"):
        masked(density=0.0)
    with pytest.raises(InputError, match="mask_share and random_share"):
        masked(mask_share=0.8, random_share=0.3)
    with pytest.raises(VocabularyError, match="special tokens do not fit"):
        MaskedLanguageModel(NUM_IDS, NUM_IDS)


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(VocabularyError, match="not in the vocabulary"):
        masked()(Documents.from_lists([[999, 1_000]]), 0, 0)

"""Shuffled tokens and sentences: nothing is lost, and the order can be undone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data.objectives.ordering import (
    SentenceDeshuffling,
    TokenDeshuffling,
    sentence_order,
    undo,
)
from hunmin.data.objectives.ragged import Documents
from hunmin.data.objectives.randomness import random_order

from .conftest import MakeDocuments


def test_shuffled_tokens_come_back(make_documents: MakeDocuments) -> None:
    documents, objective = make_documents(range(200)), TokenDeshuffling(seed=3)
    result = objective(documents, 1, 5)
    assert result.inputs.to_lists() != documents.to_lists()
    assert result.targets.to_lists() == documents.to_lists()
    order = random_order(documents, objective.keys(documents, 1, 5))
    assert undo(result.inputs, order).to_lists() == documents.to_lists()


def test_every_order_of_three_tokens_is_equally_likely() -> None:
    n = 12_000
    result = TokenDeshuffling()(Documents.from_lists([[1, 2, 3]] * n), 0, 0)
    _, counts = np.unique(result.inputs.tokens.reshape(n, 3), axis=0, return_counts=True)
    assert len(counts) == 6
    # 2,000 each; 5 standard deviations of 41.
    assert np.all(np.abs(counts - 2_000) < 205)


@given(
    texts=st.lists(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=5)),
    seed=st.integers(0, 100),
)
def test_sentences_stay_whole(texts: list[list[list[int]]], seed: int) -> None:
    # Sentences of distinct numbers, so that each can be found again.
    counter = iter(range(10_000))
    numbered = [[[next(counter) for _ in sentence] for sentence in text] for text in texts]
    rows = [[token for sentence in text for token in sentence] for text in numbered]
    starts = [i == 0 for text in numbered for sentence in text for i in range(len(sentence))]
    plain = Documents.from_lists(rows)
    documents = Documents(plain.tokens, plain.offsets, np.array(starts, dtype=bool))
    objective = SentenceDeshuffling(seed)
    result = objective(documents, 0, 0)
    for row, text in zip(result.inputs.to_lists(), numbered, strict=True):
        by_first = {sentence[0]: sentence for sentence in text}
        assert row == [t for first in row if first in by_first for t in by_first[first]]
        assert sorted(row) == [token for sentence in text for token in sentence]
    order = sentence_order(documents, objective.keys(documents, 0, 0))
    assert undo(result.inputs, order).to_lists() == rows


def test_every_order_of_three_sentences_is_equally_likely() -> None:
    n = 12_000
    plain = Documents.from_lists([[1, 2, 3, 4, 5, 6]] * n)
    starts = np.tile([False, True, False, True, False, False], n)
    documents = Documents(plain.tokens, plain.offsets, starts)
    shuffled = SentenceDeshuffling()(documents, 0, 0).inputs.tokens.reshape(n, 6)
    rows, counts = np.unique(shuffled, axis=0, return_counts=True)
    assert rows.tolist() == [
        [1, 2, 3, 4, 5, 6],
        [1, 4, 5, 6, 2, 3],
        [2, 3, 1, 4, 5, 6],
        [2, 3, 4, 5, 6, 1],
        [4, 5, 6, 1, 2, 3],
        [4, 5, 6, 2, 3, 1],
    ]
    assert np.all(np.abs(counts - 2_000) < 205)


def test_unknown_sentences_are_refused() -> None:
    with pytest.raises(InputError, match="where they start"):
        SentenceDeshuffling()(Documents.from_lists([[1, 2]]), 0, 0)

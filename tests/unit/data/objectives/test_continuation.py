"""Where a document is cut, and what is scored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.continuation import (
    CausalLanguageModel,
    MarkedContinuation,
    PrefixLanguageModel,
)
from hunmin.data.objectives.ragged import join

from .conftest import MakeDocuments

MARKER = 5


def test_a_causal_model_says_everything(make_documents: MakeDocuments) -> None:
    documents = make_documents([3, 0, 1])
    result = CausalLanguageModel()(documents, 0, 0)
    assert result.inputs.to_lists() == [[], [], []]
    assert result.targets.to_lists() == documents.to_lists()
    assert result.scored.all()
    assert result.layouts.tolist() == [Layout.NEXT_TOKEN] * 3


def test_prefix_and_rest_are_the_document(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(300))
    result = PrefixLanguageModel()(documents, 0, 0)
    assert join(result.inputs, result.targets).to_lists() == documents.to_lists()
    assert result.inputs.lengths[:3].tolist() == [0, 0, 1]
    assert np.all(result.targets.lengths[1:] >= 1)
    assert np.all(result.inputs.lengths[2:] >= 1)


def test_the_split_is_uniform(make_documents: MakeDocuments) -> None:
    cuts = PrefixLanguageModel()(make_documents([11] * 20_000), 0, 0).inputs.lengths
    counts = np.bincount(cuts, minlength=11)
    assert counts[0] == 0
    # 2,000 for each of 1 to 10; 5 standard deviations of 42.
    assert np.all(np.abs(counts[1:] - 2_000) < 212)


def test_a_decoder_alone_has_its_loss_on_the_rest_only(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(50))
    alone = PrefixLanguageModel(decoder_only=True)(documents, 0, 0)
    pair = PrefixLanguageModel()(documents, 0, 0)
    assert alone.targets.to_lists() == documents.to_lists()
    assert alone.inputs.to_lists() == pair.inputs.to_lists()
    assert alone.targets.keep(alone.scored).to_lists() == pair.targets.to_lists()
    assert np.array_equal(alone.labels.tokens == -100, ~alone.scored)
    assert set(alone.layouts.tolist()) == {Layout.NEXT_TOKEN}


def test_marked_prefix_and_rest_are_the_document(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(300))
    result = MarkedContinuation(MARKER)(documents, 0, 0)
    marker = result.inputs.places == 0
    assert np.all(result.inputs.tokens[marker] == MARKER)
    assert join(result.inputs.keep(~marker), result.targets).to_lists() == documents.to_lists()
    assert result.inputs.lengths[:2].tolist() == [0, 1]
    assert np.all(result.targets.lengths[1:] >= 1)
    assert np.all(result.inputs.lengths[2:] >= 2)


def test_the_share_of_the_prefix_is_uniform_from_20_to_80_percent(
    make_documents: MakeDocuments,
) -> None:
    n = 5_000
    cuts = MarkedContinuation(MARKER)(make_documents([101] * n), 0, 0).inputs.lengths - 1
    shares = cuts / 101
    assert shares.min() >= 0.195
    assert shares.max() <= 0.805
    assert abs(shares.mean() - 0.5) < 5 * math.sqrt(0.03 / n)
    assert abs(shares.var() - 0.03) < 0.002


@pytest.mark.parametrize(("shortest", "longest"), [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_impossible_shares_are_refused(shortest: float, longest: float) -> None:
    with pytest.raises(InputError, match="shares of the prefix"):
        MarkedContinuation(MARKER, shortest, longest)

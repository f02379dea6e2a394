"""Which objective a document gets is drawn by weight, and the rest is that objective's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Layout, Objective
from hunmin.data.objectives.continuation import CausalLanguageModel, MarkedContinuation
from hunmin.data.objectives.denoising import alexatm_denoising
from hunmin.data.objectives.masking import MaskedLanguageModel
from hunmin.data.objectives.mixture import ObjectiveMixture

from .conftest import MakeDocuments

ALEXATM = ObjectiveMixture((alexatm_denoising(), MarkedContinuation(5)), (80, 20))


def test_shares_follow_the_weights() -> None:
    counts = np.bincount(ALEXATM.choices(0, 0, 50_000))
    assert abs(counts[0] - 40_000) < 5 * math.sqrt(50_000 * 0.16)
    other = ALEXATM.choices(1, 0, 50_000)
    # Another epoch draws anew: both choose the second for 4 % of the documents.
    agree = (other + ALEXATM.choices(0, 0, 50_000) == 2).mean()
    assert abs(agree - 0.04) < 5 * math.sqrt(0.04 / 50_000)


def test_each_document_is_what_its_objective_makes_of_it(make_documents: MakeDocuments) -> None:
    documents = make_documents(range(100))
    parts: tuple[Objective, ...] = (
        MaskedLanguageModel(1_000, 4),
        MarkedContinuation(5),
        CausalLanguageModel(),
    )
    mixture = ObjectiveMixture(parts, (1, 1, 2))
    mixed, chosen = mixture(documents, 2, 7), mixture.choices(2, 7, 100)
    assert set(chosen.tolist()) == {0, 1, 2}
    layouts = np.array([Layout.ALIGNED, Layout.SEQUENCE, Layout.NEXT_TOKEN])
    assert np.array_equal(mixed.layouts, layouts[chosen])
    for number, objective in enumerate(parts):
        rows = np.flatnonzero(chosen == number)
        alone, here = objective(documents, 2, 7).take(rows), mixed.take(rows)
        assert here.inputs.to_lists() == alone.inputs.to_lists()
        assert here.labels.to_lists() == alone.labels.to_lists()


def test_a_weight_of_zero_is_never_drawn() -> None:
    parts = (CausalLanguageModel(),) * 3
    choices = ObjectiveMixture(parts, (0, 1, 0)).choices(0, 0, 10_000)
    assert set(choices.tolist()) == {1}


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, -1.0), (0.0, 0.0), (1.0, math.nan)])
def test_weights_that_do_not_fit_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="weights do not fit"):
        ObjectiveMixture((CausalLanguageModel(), CausalLanguageModel()), weights)

"""What holds for every objective."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hunmin.data.objectives.base import Corrupted, Objective
from hunmin.data.objectives.continuation import (
    CausalLanguageModel,
    MarkedContinuation,
    PrefixLanguageModel,
)
from hunmin.data.objectives.denoising import alexatm_denoising, bart_infilling, mbart_denoising
from hunmin.data.objectives.masking import MaskedLanguageModel
from hunmin.data.objectives.mixture import ObjectiveMixture
from hunmin.data.objectives.ordering import SentenceDeshuffling, TokenDeshuffling
from hunmin.data.objectives.ragged import Documents
from hunmin.data.objectives.spans import SpanFilling

from .conftest import MakeDocuments

OBJECTIVES: dict[str, Objective] = {
    "mlm": MaskedLanguageModel(1_000, 4, (0, 1, 2, 3)),
    "spans": SpanFilling(tuple(range(100, 190))),
    "tokens": TokenDeshuffling(),
    "sentences": SentenceDeshuffling(),
    "bart": bart_infilling(4),
    "mbart": mbart_denoising(4),
    "alexatm": alexatm_denoising(),
    "clm": CausalLanguageModel(),
    "prefix": PrefixLanguageModel(),
    "prefix alone": PrefixLanguageModel(decoder_only=True),
    "continuation": MarkedContinuation(5),
    "mixture": ObjectiveMixture((alexatm_denoising(), MarkedContinuation(5)), (0.8, 0.2)),
}
LENGTHS = [5, 0, 1, 2, 40, 3, 0, 4, 300, 7]

every_objective = pytest.mark.parametrize("name", OBJECTIVES)


def content(result: Corrupted) -> tuple[object, ...]:
    labels, layouts = result.labels.to_lists(), result.layouts.tolist()
    return (result.inputs.to_lists(), result.targets.to_lists(), labels, layouts)


@every_objective
def test_a_document_does_not_depend_on_the_others(name: str, make_documents: MakeDocuments) -> None:
    documents, objective = make_documents(LENGTHS), OBJECTIVES[name]
    together = objective(documents, 3, 1_000)
    for i in range(len(LENGTHS)):
        row = np.array([i])
        alone = objective(documents.take(row), 3, 1_000 + i)
        assert content(alone) == content(together.take(row))


@every_objective
def test_ranks_may_share_a_batch_in_any_way(name: str, make_documents: MakeDocuments) -> None:
    documents, objective = make_documents(LENGTHS), OBJECTIVES[name]
    epochs = np.arange(10) // 5
    together = objective(documents, epochs, 50)
    for rank in range(3):
        rows = np.arange(rank, 10, 3)[::-1]
        mine = objective(documents.take(rows), epochs[rows], 50 + rows)
        assert content(mine) == content(together.take(rows))


@every_objective
def test_seeded_by_epoch_and_number(name: str, make_documents: MakeDocuments) -> None:
    documents, objective = make_documents([200] * 3), OBJECTIVES[name]
    first = content(objective(documents, 0, 0))
    assert content(objective(documents, 0, 0)) == first
    changed = [content(objective(documents, *other)) != first for other in ((1, 0), (0, 1))]
    assert changed == [name != "clm"] * 2


@every_objective
def test_given_arrays_stay_as_they_are(name: str, make_documents: MakeDocuments) -> None:
    documents, copy = make_documents(LENGTHS), make_documents(LENGTHS)
    result = OBJECTIVES[name](documents, 0, 0)
    assert np.array_equal(documents.tokens, copy.tokens)
    assert documents.sentence_starts is not None
    assert copy.sentence_starts is not None
    assert np.array_equal(documents.sentence_starts, copy.sentence_starts)
    assert len(result.inputs) == len(result.targets) == len(result.layouts) == len(LENGTHS)
    assert result.inputs.tokens.dtype == result.targets.tokens.dtype == np.int64
    assert len(result.scored) == len(result.targets.tokens)


@every_objective
@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]])
def test_nothing_gives_nothing(
    name: str, lengths: list[int], make_documents: MakeDocuments
) -> None:
    result = OBJECTIVES[name](make_documents(lengths), 0, 0)
    empty: list[list[int]] = [[] for _ in lengths]
    assert result.inputs.to_lists() == result.targets.to_lists() == empty


@every_objective
def test_something_is_scored_in_every_document(name: str, make_documents: MakeDocuments) -> None:
    result = OBJECTIVES[name](make_documents([1, 2, 3, 4, 5] * 50), 0, 0)
    assert result.targets.count(result.scored).min() >= 1


@every_objective
def test_no_token_is_lost(name: str, make_documents: MakeDocuments) -> None:
    documents = make_documents(LENGTHS)
    result = OBJECTIVES[name](documents, 0, 0)
    if name == "mlm":
        # Its inputs have other tokens at random; its targets are everything.
        assert result.targets.to_lists() == documents.to_lists()
        return
    inputs, targets = result.inputs.to_lists(), result.targets.to_lists()
    for given, left, right in zip(documents.to_lists(), inputs, targets, strict=True):
        ordinary = [sorted(t for t in part if t >= 200) for part in (left, right, left + right)]
        assert sorted(given) in (ordinary[1], ordinary[2])


@every_objective
def test_results_are_the_same_on_every_machine(name: str, make_documents: MakeDocuments) -> None:
    plain = Documents.from_lists([range(200, 200 + length) for length in LENGTHS])
    known = make_documents(LENGTHS)
    documents = Documents(plain.tokens, plain.offsets, known.sentence_starts, known.language_ids)
    text = repr(content(OBJECTIVES[name](documents, 1, 2)))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == GOLDEN[name]


GOLDEN = {
    "mlm": "b63de417bdff",
    "spans": "f687fb9976f4",
    "tokens": "88c26f6dbcbe",
    "sentences": "094c8addd3cd",
    "bart": "125a919be3c4",
    "mbart": "8a2cd65da28b",
    "alexatm": "bba928fdbe66",
    "clm": "0c14acf8a114",
    "prefix": "05abf5bb518e",
    "prefix alone": "3ea20034da62",
    "continuation": "9ddfa5600d4a",
    "mixture": "e84b2deab666",
}

"""Old rows stay bit by bit, new ones are what the method says, in every kind of model."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.support.tiny_models import tiny_gpt2, tiny_qwen3
from transformers import (
    BertConfig,
    BertForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaModel,
)

from hunmin.adapt.embeddings import Mixture, extend_embeddings, mean_mixture, padded_size
from hunmin.adapt.focus import FocusOptions, focus_mixture, piece_vectors, sparsemax
from hunmin.core.errors import ArtifactMismatchError

SMALL = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2, tied": lambda: tiny_gpt2(200),
    "qwen3, untied": lambda: tiny_qwen3(200),
    "bert, output bias": lambda: BertForMaskedLM(BertConfig(**SMALL)).eval(),
    "roberta, output bias": lambda: RobertaForMaskedLM(RobertaConfig(**SMALL)).eval(),
    "roberta, no output": lambda: RobertaModel(RobertaConfig(**SMALL)).eval(),
}
OLD_IDS = {190 + rank: [3 + rank, 7, 7] for rank in range(30)}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(1)
    model = MODELS[request.param]()
    output = model.get_output_embeddings()
    if output is not None and output.bias is not None:
        torch.nn.init.normal_(output.bias)
    return model


def vocabulary_parameters(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    found = {"input": model.get_input_embeddings().weight}
    output = model.get_output_embeddings()
    if output is not None:
        found["output"] = output.weight
        if output.bias is not None:
            found["bias"] = output.bias
    return {name: parameter.detach().clone() for name, parameter in found.items()}


def test_old_rows_stay_and_new_rows_are_means(model: PreTrainedModel) -> None:
    """Ids from 190 on were only padding: they are new pieces now."""
    before = vocabulary_parameters(model)
    facts = extend_embeddings(model, mean_mixture(OLD_IDS), first_id=190, num_ids=220)
    after = vocabulary_parameters(model)
    assert facts.rows_before == 200
    assert facts.rows_after == 224
    assert facts.new_rows == 30
    for name, old in before.items():
        new = after[name]
        assert new.shape[0] == 224
        assert torch.equal(new[:190], old[:190])
        for number, (first, second, third) in OLD_IDS.items():
            torch.testing.assert_close(new[number], (old[first] + old[second] + old[third]) / 3)
        torch.testing.assert_close(new[220:], old[:190].mean(0).expand_as(new[220:]))


def test_the_model_runs_and_is_as_sure_as_before(model: PreTrainedModel) -> None:
    ids = torch.tensor([[5, 9, 30, 7]])
    before = model(input_ids=ids)[0]
    extend_embeddings(model, mean_mixture(OLD_IDS), first_id=190, num_ids=220)
    after = model(input_ids=ids)[0]
    width = min(before.shape[-1], 190)
    torch.testing.assert_close(before[..., :width], after[..., :width])
    model(input_ids=torch.tensor([[5, 195, 219]]))


@pytest.mark.parametrize("name", ["gpt2, tied", "qwen3, untied"])
def test_tied_embeddings_stay_tied(name: str) -> None:
    model = MODELS[name]()
    is_tied = name.endswith(", tied")
    facts = extend_embeddings(model, mean_mixture(OLD_IDS), first_id=190, num_ids=220)
    assert facts.tied == is_tied
    output = model.get_output_embeddings().weight
    assert (output is model.get_input_embeddings().weight) == is_tied
    assert model.config.vocab_size == 224


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_type_of_weights_is_kept(dtype: torch.dtype) -> None:
    model = tiny_qwen3(200).to(dtype)
    before = vocabulary_parameters(model)
    extend_embeddings(model, mean_mixture(OLD_IDS), first_id=190, num_ids=220)
    for name, new in vocabulary_parameters(model).items():
        assert new.dtype == dtype
        assert torch.equal(new[:190], before[name][:190])


def test_random_rows_repeat(model: PreTrainedModel) -> None:
    other = copy.deepcopy(model)
    for each in (model, other):
        extend_embeddings(each, None, first_id=190, num_ids=220, seed=3)
    rows = model.get_input_embeddings().weight[190:220]
    assert torch.equal(rows, other.get_input_embeddings().weight[190:220])
    assert 0.01 < rows.std() < 0.03


@pytest.mark.parametrize(
    ("rows", "num_ids", "expected"),
    [
        (50257, 50300, 50300),
        (151_936, 151_700, 151_936),
        (151_936, 155_000, 155_008),
        (96, 97, 128),
    ],
)
def test_the_vocabulary_is_padded_as_it_was(rows: int, num_ids: int, expected: int) -> None:
    assert padded_size(rows, num_ids) == expected


def test_a_model_smaller_than_its_tokenizer_is_refused() -> None:
    with pytest.raises(ArtifactMismatchError, match="fewer rows"):
        extend_embeddings(tiny_gpt2(150), mean_mixture(OLD_IDS), first_id=190, num_ids=220)


def test_mixtures_weigh_rows() -> None:
    old = torch.arange(12.0).reshape(4, 3)
    mixture = Mixture(4, [{0: 0.25, 2: 0.75}, {3: 1.0}])
    expected = torch.stack([0.25 * old[0] + 0.75 * old[2], old[3]])
    torch.testing.assert_close(mixture.rows(old), expected)
    torch.testing.assert_close(mixture.rows(old[:, 0]), expected[:, 0])
    assert mixture.num_ids == 6


def test_sparsemax_is_the_projection_onto_the_simplex() -> None:
    scores = torch.randn(50, 20, generator=torch.Generator().manual_seed(0)).sort(descending=True)[
        0
    ]
    weights = sparsemax(scores)
    torch.testing.assert_close(weights.sum(1), torch.ones(50))
    assert (weights >= 0).all()
    assert (weights == 0).any()
    # The projection differs from the scores by one constant where it is positive.
    for row, weight in zip(scores, weights, strict=True):
        shift = (row - weight)[weight > 0]
        torch.testing.assert_close(shift, shift[0].expand_as(shift))
        assert (row[weight == 0] <= shift[0] + 1e-6).all()


def company(rng: np.random.Generator, number: int) -> list[np.ndarray]:
    """Lines in which 1 and 100 stand among 10..19, and 2 and 101 among 20..29."""
    lines = []
    for _ in range(number):
        topic = int(rng.integers(2))
        members = rng.integers(10 + 10 * topic, 20 + 10 * topic, size=8)
        members[3] = (1, 2)[topic] if rng.random() < 0.5 else 100 + topic
        lines.append(members.astype(np.int64))
    return lines


def test_focus_finds_pieces_with_the_same_company() -> None:
    rows = company(np.random.default_rng(0), 600)
    options = FocusOptions(dimensions=8, neighbors=4)
    mixture = focus_mixture({100: [5], 101: [5], 102: [6, 7]}, rows, options)
    first, second, unseen = mixture.recipes
    assert max(first, key=first.__getitem__) == 1
    assert max(second, key=second.__getitem__) == 2
    assert sum(first.values()) == pytest.approx(1)
    assert unseen == {6: 0.5, 7: 0.5}
    assert focus_mixture({100: [5], 101: [5], 102: [6, 7]}, rows, options) == mixture


def test_focus_without_text_is_the_mean() -> None:
    assert focus_mixture(OLD_IDS, []) == mean_mixture(OLD_IDS)
    assert piece_vectors([], FocusOptions())[0].size == 0

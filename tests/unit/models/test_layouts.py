"""Encoders and encoder-decoders compute in packed rows what they do for each document alone."""

from __future__ import annotations

import copy
import dataclasses
from unittest.mock import Mock

import pytest
import torch
from tests.support.language_models import (
    ENCODERS,
    LONGEST,
    SEQUENCES,
    masked_batch,
    pair_batch,
    separate,
    tiny_language_model,
)
from torch import Tensor
from transformers import BertConfig, MobileBertConfig, PreTrainedConfig, ViTConfig

from hunmin.core.errors import ContextLengthError, InputError
from hunmin.data.batch import PairBatch, TokenBatch
from hunmin.data.objectives.base import Layout
from hunmin.models import attention
from hunmin.models.architecture import language_model_class, layout_of
from hunmin.models.build import model_config
from hunmin.models.forward import hidden_states
from hunmin.models.loss import language_model_loss
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.outputs import output_features, output_projection, output_width
from hunmin.models.spec import ModelSpec

ROWS = [(20, 3, 1, 12), (5, 30)]
TINY = {name: tiny_language_model(name) for name in [*ENCODERS, *SEQUENCES]}


def batch_for(name: str) -> TokenBatch | PairBatch:
    if name in ENCODERS:
        return masked_batch(ROWS)
    return pair_batch(ROWS, [(9, 1, 14, 7), (12, 4)])


@pytest.mark.parametrize("name", TINY)
def test_loss_and_gradients_of_packed_rows_equal_those_of_separate_documents(name: str) -> None:
    model, batch = TINY[name], batch_for(name)
    model.zero_grad()
    plain = model(**separate(batch)).loss
    plain.backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    loss = language_model_loss(model, batch, chunk_tokens=7)
    loss.backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    # A bias of keys has no gradient but rounding: it moves all scores of a query alike.
    scale = max(float(gradient.abs().max()) for gradient in expected.values())
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-4, atol=1e-6 * scale, msg=key)


@pytest.mark.parametrize(
    "name", sorted(set(TINY) - {"deberta", "m2m", "mbart-untied", "t5-untied"})
)
def test_faster_layers_give_the_same_loss_and_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = TINY[name], batch_for(name)
    in_blocks = Mock(wraps=attention.attend_in_blocks)
    monkeypatch.setattr(attention, "attend_in_blocks", in_blocks)
    model.zero_grad()
    expected = language_model_loss(model, batch)
    expected.backward()
    faster = optimize_model(copy.deepcopy(model))
    names = faster.state_dict().keys()
    faster.zero_grad()
    loss = language_model_loss(faster, batch)
    loss.backward()
    layers = {"t5": 0, "mbart": 4, "bart": 4}.get(name, 2)
    assert in_blocks.call_count == layers
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert names == model.state_dict().keys()
    scale = max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    for (key, ours), theirs in zip(faster.named_parameters(), model.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6 * scale, msg=key)


@pytest.mark.parametrize("name", TINY)
def test_features_and_projection_give_the_logits_of_the_model(name: str) -> None:
    model, inputs = TINY[name], separate(batch_for(name))
    caught: list[Tensor] = []
    stack = model.get_decoder() if name in SEQUENCES else model.base_model
    handle = stack.register_forward_hook(lambda _, __, out: caught.append(out[0]))
    logits = model(**inputs).logits
    handle.remove()
    weight, bias = output_projection(model)
    ours = torch.nn.functional.linear(output_features(model, caught[0]), weight, bias)
    torch.testing.assert_close(ours, logits, rtol=1e-5, atol=1e-5)
    assert weight.shape[1] == output_width(model.config)


@pytest.mark.parametrize("name", TINY)
def test_no_gradient_flows_between_documents(name: str) -> None:
    model, batch = TINY[name], batch_for(name)
    ids = torch.arange(2, 2 + batch.input_ids.numel()).view_as(batch.input_ids) % 90 + 2
    batch = dataclasses.replace(batch, input_ids=ids)
    document = (0, 1)  # row and number: tokens 20 to 22
    said = batch.segment_ids if isinstance(batch, TokenBatch) else batch.decoder_segment_ids
    model.zero_grad()
    states = hidden_states(model, batch)
    own = torch.zeros_like(said, dtype=torch.bool)
    own[document[0]] = said[document[0]] == document[1]
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    (states * weights)[own].sum().backward()
    gradient = _table_of(model, name).weight.grad
    assert gradient is not None
    seen = set(gradient.abs().sum(1).nonzero().flatten().tolist())
    allowed = set(ids[0, 20:23].tolist())
    if isinstance(batch, PairBatch):
        allowed |= set(batch.decoder_input_ids[0, 9:10].tolist())
    assert set(ids[0, 20:23].tolist()) <= seen <= allowed


def _table_of(model: torch.nn.Module, name: str) -> torch.nn.Embedding:
    if name in SEQUENCES:
        table: torch.nn.Embedding = model.get_encoder().embed_tokens  # type: ignore[operator]
        return table
    return model.get_input_embeddings()  # type: ignore[operator, no-any-return]


def test_padding_changes_nothing_and_stays_finite() -> None:
    for name in ("modernbert", "mbart", "t5"):
        model, batch = TINY[name], batch_for(name)
        assert hidden_states(model, batch).isfinite().all()
        loss = language_model_loss(model, batch)
        ids = torch.where(batch.segment_ids < 0, 7, batch.input_ids)
        other = language_model_loss(model, dataclasses.replace(batch, input_ids=ids))
        assert loss.item() == pytest.approx(other.item(), rel=1e-6)


def test_only_scored_places_go_through_the_head() -> None:
    model, batch = TINY["modernbert"], masked_batch(ROWS)
    sizes: list[int] = []
    handle = model.head.register_forward_hook(lambda _, args, __: sizes.append(args[0].shape[0]))
    objective = LanguageModelObjective(model)
    nats = objective(batch, "tokens")
    total = objective(batch)
    handle.remove()
    is_scored = batch.labels != -100
    assert sizes == [int(is_scored.sum())] * 2
    assert nats.shape == batch.labels.shape
    assert torch.equal(nats != 0, is_scored)
    assert nats.sum().item() == pytest.approx(total.item(), rel=1e-5)


def test_rows_without_a_scored_place_have_zero_gradients() -> None:
    model, batch = tiny_language_model("modernbert"), masked_batch(ROWS)
    nothing = dataclasses.replace(batch, labels=torch.full_like(batch.labels, -100))
    loss = LanguageModelObjective(model)(nothing)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_layouts_follow_the_configuration() -> None:
    assert all(layout_of(TINY[name].config) is Layout.ALIGNED for name in ENCODERS)
    assert all(layout_of(TINY[name].config) is Layout.SEQUENCE for name in SEQUENCES)
    assert layout_of(model_config(ModelSpec())) is Layout.NEXT_TOKEN
    assert layout_of(BertConfig(is_decoder=True)) is Layout.NEXT_TOKEN
    assert language_model_class(BertConfig()).__name__ == "BertForMaskedLM"


@pytest.mark.parametrize("config", [ViTConfig(), PreTrainedConfig()])
def test_what_is_no_language_model_is_refused(config: PreTrainedConfig) -> None:
    with pytest.raises(InputError, match="no language model"):
        layout_of(config)


def test_a_head_that_nobody_knows_is_refused() -> None:
    config = MobileBertConfig(vocab_size=32, hidden_size=32, embedding_size=16, num_hidden_layers=1)
    model = language_model_class(config)(config)
    with pytest.raises(InputError, match="does not know what the head"):
        output_features(model, torch.zeros(1, 32))


def test_a_batch_for_another_layout_is_refused() -> None:
    with pytest.raises(InputError, match="PairBatch for an encoder"):
        hidden_states(TINY["bert"], batch_for("t5"))
    with pytest.raises(InputError, match="TokenBatch for an encoder-decoder"):
        hidden_states(TINY["mbart"], batch_for("bert"))


def test_rows_longer_than_the_positions_are_refused() -> None:
    batch = masked_batch(ROWS)
    longer = batch._map(lambda t: torch.cat((t, t[:, :1]), 1))
    for name in ("xlmr", "modernbert"):
        with pytest.raises(ContextLengthError, match=f"up to {LONGEST}"):
            hidden_states(TINY[name], longer)

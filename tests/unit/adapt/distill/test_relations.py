"""Layers found in models of many kinds, and relations of their tokens."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PreTrainedConfig,
    Qwen3Config,
    RobertaPreLayerNormConfig,
    T5Config,
    XLMRobertaConfig,
)

from hunmin.adapt.distill import relations
from hunmin.adapt.distill.layers import Recorder, attention_layers, layer_map
from hunmin.adapt.distill.relations import relation_loss
from hunmin.core.errors import InputError

SIZES = {"vocab_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}
FEED = {"intermediate_size": 48}
CONFIGS: list[tuple[type, PreTrainedConfig]] = [
    (AutoModelForMaskedLM, BertConfig(**SIZES, **FEED)),
    (AutoModelForMaskedLM, RobertaPreLayerNormConfig(**SIZES, **FEED)),
    (AutoModelForMaskedLM, XLMRobertaConfig(**SIZES, **FEED)),
    (AutoModelForMaskedLM, ModernBertConfig(**SIZES, **FEED, pad_token_id=0)),
    (AutoModelForMaskedLM, DistilBertConfig(vocab_size=50, n_layers=2, n_heads=4, dim=32)),
    (
        AutoModelForCausalLM,
        Qwen3Config(**SIZES, **FEED, head_dim=8, num_key_value_heads=4),
    ),
    (AutoModelForCausalLM, GPT2Config(vocab_size=50, n_layer=2, n_head=4, n_embd=32)),
    (
        AutoModelForSeq2SeqLM,
        BartConfig(
            vocab_size=50,
            d_model=32,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
        ),
    ),
    (AutoModelForSeq2SeqLM, T5Config(vocab_size=50, d_model=32, d_kv=8, num_layers=2, num_heads=4)),
]


@pytest.mark.parametrize(
    ("auto", "config"), CONFIGS, ids=[type(config).__name__ for _, config in CONFIGS]
)
def test_queries_keys_and_values_of_every_architecture(auto, config) -> None:
    torch.manual_seed(0)
    model = auto.from_config(config).eval()
    layers = attention_layers(model)
    assert len(layers) == 2
    recorder = Recorder([*layers[1].projections, layers[1].block])
    ids = torch.arange(1, 7).view(1, 6)
    pair = {"decoder_input_ids": ids} if config.is_encoder_decoder else {}
    with torch.no_grad(), recorder:
        output = model(input_ids=ids, output_hidden_states=True, **pair)
    *projected, hidden = recorder.take()
    vectors = layers[1].split(projected)
    assert [tuple(v.shape) for v in vectors] == [(1, 6, 32)] * 3
    assert not torch.equal(vectors[0], vectors[1])
    assert hidden.shape == (1, 6, 32)
    assert output.logits.shape[-1] == 50


def test_the_three_parts_of_a_fused_matrix() -> None:
    model = AutoModelForMaskedLM.from_config(CONFIGS[3][1])
    layer = attention_layers(model)[0]
    (fused,) = layer.projections
    x = torch.randn(1, 3, 32)
    query, _, value = layer.split([fused(x)])
    torch.testing.assert_close(query, x @ fused.weight[:32].t())
    torch.testing.assert_close(value, x @ fused.weight[64:].t())


def test_recording_ends_with_its_block() -> None:
    module = torch.nn.Linear(2, 2)
    recorder = Recorder([module])
    with recorder:
        kept = module(torch.ones(1, 2))
    module(torch.zeros(1, 2))
    assert torch.equal(recorder.take()[0], kept)


def test_layer_maps() -> None:
    assert layer_map(4, 12) == [2, 5, 8, 11]
    assert layer_map(3, 4) == [0, 2, 3]
    assert layer_map(2, 5, "first") == [0, 1]
    assert layer_map(2, 5, "last") == [3, 4]
    assert layer_map(3, 3) == [0, 1, 2]
    with pytest.raises(InputError, match="more layers than its teacher"):
        layer_map(3, 2)


def plain_relations(vectors: Tensor, tokens: list[int], head: int, heads: int) -> Tensor:
    size = vectors.shape[-1] // heads
    cut = vectors[tokens, head * size : (head + 1) * size]
    return torch.softmax(cut @ cut.t() / math.sqrt(size), -1)


def vectors(width: int, seed: int) -> list[Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(2, 5, width, requires_grad=True) for _ in range(3)]


SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, -1, -1]])
WEIGHTS = torch.tensor([[0.5, 1.0, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0]])


def test_relations_of_different_widths_within_segments() -> None:
    student, teacher = vectors(8, 0), vectors(12, 1)
    expected = 0.0
    for mine, theirs in zip(student, teacher, strict=True):
        for row, tokens in ((0, [0, 1]), (0, [2, 3, 4]), (1, [0, 1, 2])):
            for head in range(4):
                q = plain_relations(mine[row], tokens, head, 4)
                p = plain_relations(theirs[row], tokens, head, 4)
                losses = (p * (p / q).log()).sum(-1) / 4
                expected += (losses * WEIGHTS[row, tokens]).sum()
    loss = relation_loss(student, teacher, SEGMENTS, WEIGHTS, heads=4)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(t.grad is None for t in teacher)
    assert all(not s.grad[1, 3:].any() for s in student)
    assert all(s.grad[0].any() for s in student)


def test_a_decoder_relates_to_what_came_before() -> None:
    student, teacher = vectors(8, 0), vectors(8, 1)
    first = torch.zeros_like(WEIGHTS)
    first[:, 0] = 1
    loss = relation_loss(student, teacher, SEGMENTS, first, heads=2, causal=True)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert relation_loss(student, teacher, SEGMENTS, first, heads=2).item() > 0.01


def test_rows_in_parts_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for limit in (relations.MAX_RELATIONS, 50):
        monkeypatch.setattr(relations, "MAX_RELATIONS", limit)
        student = vectors(8, 0)
        relation_loss(student, vectors(8, 1), SEGMENTS, WEIGHTS, heads=2).backward()
        gradients.append(student[0].grad)
    torch.testing.assert_close(*gradients)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match="so many relation heads"):
        relation_loss(vectors(8, 0), vectors(12, 1), SEGMENTS, WEIGHTS, heads=8)

"""A packed document must be computed as if it were alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.batches import packed_batch
from tests.support.language_models import segments
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.errors import ContextLengthError
from hunmin.models.attention import PACKED_ATTENTION, attend_in_blocks
from hunmin.models.build import build_model, model_config
from hunmin.models.forward import hidden_states
from hunmin.models.optimize import optimize_model
from hunmin.models.packing import (
    QUERIES_PER_BLOCK,
    cross_mask,
    dense_mask,
    document_mask,
    document_starts,
    plan_cross,
    plan_documents,
    plan_packing,
)
from hunmin.models.spec import ModelSpec

SPECS = {
    "hunmin": ModelSpec(layers=2, width=256, kv_heads=2),
    "gpt2": ModelSpec(preset="kogpt2-125m", layers=2, width=96, heads=4),
}
ROWS = [(70, 5, 1, 64, 20), (1, 100, 2, 37, 20)]


@pytest.fixture(params=SPECS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    config = model_config(SPECS[request.param], vocab_size=200, context=160)
    return build_model(config, seed=1).eval()


@pytest.mark.parametrize("optimized", [False, True])
@torch.no_grad()
def test_packed_logits_equal_those_of_the_document_alone(
    model: PreTrainedModel, optimized: bool
) -> None:
    batch = packed_batch(ROWS)
    alone = [
        [model(input_ids=ids.unsqueeze(0)).logits[0] for ids in batch.input_ids[row].split(lengths)]
        for row, lengths in enumerate(ROWS)
    ]
    if optimized:
        optimize_model(model)
    logits = model.lm_head(hidden_states(model, batch))
    for row, documents in enumerate(alone):
        torch.testing.assert_close(logits[row], torch.cat(documents), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimized", [False, True])
@torch.no_grad()
def test_crossing_rows_are_plain_causal(model: PreTrainedModel, optimized: bool) -> None:
    batch = packed_batch(ROWS, crossing=True)
    expected = model(input_ids=batch.input_ids).logits
    if optimized:
        optimize_model(model)
    logits = model.lm_head(hidden_states(model, batch))
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_a_row_longer_than_the_positions_is_refused(model: PreTrainedModel) -> None:
    with pytest.raises(ContextLengthError, match="up to 160"):
        hidden_states(model, packed_batch([(100, 61)]))


def test_starts_and_masks_by_hand() -> None:
    segments = torch.tensor([[0, 0, 1, 1, 1, 2]])
    assert document_starts(segments).tolist() == [[0, 0, 2, 2, 2, 5]]
    mask = dense_mask(segments)
    assert mask is not None
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert dense_mask(torch.zeros(2, 6, dtype=torch.int32)) is None


def test_short_documents_need_few_keys() -> None:
    batch = packed_batch([(8,) * 32])
    plan = plan_packing(batch.segment_ids, torch.float32)
    assert [block.start for block in plan.blocks] == [0, 64, 128, 192]
    assert all(block.stop - block.first_key == QUERIES_PER_BLOCK for block in plan.blocks)


def reference(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    groups = query.shape[1] // key.shape[1]
    scores = query @ key.repeat_interleave(groups, 1).transpose(2, 3) * scale
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return (weights @ value.repeat_interleave(groups, 1)).transpose(1, 2)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    kv_heads=st.integers(1, 2),
    groups=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_blocks_equal_dense_attention(
    lengths: list[int], kv_heads: int, groups: int, seed: int
) -> None:
    torch.manual_seed(seed)
    batch = packed_batch([lengths, lengths[::-1]])
    length = sum(lengths)
    query = torch.randn(2, kv_heads * groups, length, 8, dtype=torch.float64, requires_grad=True)
    key = torch.randn(2, kv_heads, length, 8, dtype=torch.float64, requires_grad=True)
    value = torch.randn(2, kv_heads, length, 8, dtype=torch.float64, requires_grad=True)
    mask = dense_mask(batch.segment_ids)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    plan = plan_packing(batch.segment_ids, torch.float64)
    ours = attend_in_blocks(query, key, value, plan, 0.3)
    expected = reference(query, key, value, causal if mask is None else mask, 0.3)
    torch.testing.assert_close(ours, expected)
    above = torch.randn_like(ours)
    for gradient, wanted in zip(
        torch.autograd.grad(ours, (query, key, value), above),
        torch.autograd.grad(expected, (query, key, value), above),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted)


@settings(max_examples=25, deadline=None)
@given(
    read=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    said=st.lists(st.integers(1, 40), min_size=5, max_size=5),
    window=st.none() | st.integers(1, 80),
    crosses=st.booleans(),
)
def test_blocks_in_both_directions_equal_dense_attention(
    read: list[int], said: list[int], window: int | None, crosses: bool
) -> None:
    torch.manual_seed(sum(read))
    keys = segments([read, read[::-1]], sum(read) + 7)
    queries = segments([said[: len(read)], said[: len(read)][::-1]], 210) if crosses else keys
    mask = cross_mask(queries, keys) if crosses else document_mask(keys, window)
    plan = (
        plan_cross(queries, keys, torch.float64)
        if crosses
        else plan_documents(keys, torch.float64, window)
    )
    query = torch.randn(2, 2, queries.shape[1], 8, dtype=torch.float64, requires_grad=True)
    key, value = torch.randn(2, 2, 2, keys.shape[1], 8, dtype=torch.float64).unbind()
    inputs = (query, key.requires_grad_(), value.requires_grad_())
    everything = torch.ones(1, dtype=torch.bool)
    expected = reference(*inputs, everything if mask is None else mask, 0.3)
    ours = attend_in_blocks(*inputs, plan, 0.3)
    above = torch.randn_like(ours) * (queries >= 0)[..., None, None]
    torch.testing.assert_close(ours * (above != 0), expected * (above != 0))
    for gradient, wanted in zip(
        torch.autograd.grad(ours, inputs, above),
        torch.autograd.grad(expected, inputs, above),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted)


def test_blocks_of_an_encoder_see_their_documents_only() -> None:
    keys = segments([[16] * 16], 256)
    blocks = plan_documents(keys, torch.float32).blocks
    assert [(b.first_key, b.stop_key) for b in blocks] == [
        (0, 64),
        (64, 128),
        (128, 192),
        (192, 256),
    ]
    near = plan_documents(segments([[256]], 256), torch.float32, window=16).blocks
    assert [(b.first_key, b.stop_key) for b in near] == [(0, 80), (48, 144), (112, 208), (176, 256)]


def test_dropout_falls_back_to_the_dense_mask() -> None:
    spec = SPECS["hunmin"].model_copy(update={"dropout": 0.5})
    model = optimize_model(build_model(model_config(spec, vocab_size=200, context=160), seed=1))
    assert model.config._attn_implementation == PACKED_ATTENTION
    batch = packed_batch(ROWS)
    torch.manual_seed(0)
    first = hidden_states(model, batch)
    second = hidden_states(model, batch)
    assert not torch.equal(first, second)

"""Configurations, counts and fresh weights."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from hunmin.core.errors import ContextLengthError, InputError, VocabularyError
from hunmin.models.build import build_model, count_parameters, model_config
from hunmin.models.flops import train_flops_per_token
from hunmin.models.spec import ModelSpec

TINY = ModelSpec(layers=2, width=128)
TINY_GPT2 = ModelSpec(preset="kogpt2-125m", layers=2, width=48, heads=4)


def test_vocabulary_follows_the_tokenizer_in_steps_of_64() -> None:
    assert model_config(TINY, vocab_size=1000).vocab_size == 1024
    assert model_config(TINY, vocab_size=1024).vocab_size == 1024
    spec = ModelSpec(layers=2, width=128, vocab_size=1001)
    assert model_config(spec, vocab_size=1000).vocab_size == 1001


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused() -> None:
    spec = ModelSpec(vocab_size=500)
    with pytest.raises(VocabularyError, match="at least 501"):
        model_config(spec, vocab_size=501)


def test_positions_follow_the_data_unless_set() -> None:
    assert model_config(TINY, context=256).max_position_embeddings == 256
    assert model_config(TINY_GPT2, context=256).n_positions == 256
    assert model_config(TINY_GPT2).n_positions == 1024
    longer = ModelSpec(context=512)
    assert model_config(longer, context=256).max_position_embeddings == 512


def test_data_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(ContextLengthError, match=r"data\.context 512, model\.context 256"):
        model_config(ModelSpec(context=256), context=512)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec(preset="kogpt2-125m", heads=10), r"model\.heads of 4, 6, 8, 12"),
        (ModelSpec(layers=2, width=256, kv_heads=3), r"model\.kv_heads of 1, 2, 4"),
        (ModelSpec(layers=2, width=100, heads=8), r"model\.width 100, model\.heads 8"),
    ],
)
def test_sizes_that_do_not_divide_name_those_that_do(spec: ModelSpec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_config(spec)


def test_special_tokens_are_in_the_configuration() -> None:
    config = model_config(TINY, vocab_size=200, boundary_id=3, pad_id=1)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (3, 3, 1)


def test_overrides_reach_the_configuration() -> None:
    spec = ModelSpec(
        layers=3, width=256, heads=8, kv_heads=2, feedforward=320, tie_embeddings=False
    )
    config = model_config(spec, vocab_size=200)
    assert config.num_hidden_layers == 3
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (8, 2, 32)
    assert config.intermediate_size == 320
    assert not config.tie_word_embeddings


@pytest.mark.parametrize("spec", [TINY, TINY_GPT2, ModelSpec(size="5M", tie_embeddings=False)])
def test_counts_on_the_meta_device_equal_the_real_ones(spec: ModelSpec) -> None:
    config = model_config(spec, vocab_size=320, context=64)
    model = build_model(config, seed=0)
    counts = count_parameters(config)
    assert counts.total == sum(p.numel() for p in model.parameters())
    assert counts.total == counts.embedding + counts.non_embedding


def test_embeddings_count_tables_and_an_untied_output() -> None:
    tied = count_parameters(model_config(TINY_GPT2, vocab_size=320, context=64))
    assert tied.embedding == (320 + 64) * 48
    spec = TINY_GPT2.model_copy(update={"tie_embeddings": False})
    assert count_parameters(model_config(spec, vocab_size=320, context=64)).embedding == (
        (2 * 320 + 64) * 48
    )


@pytest.mark.parametrize("spec", [TINY, TINY_GPT2])
def test_weights_depend_on_the_seed_alone(spec: ModelSpec) -> None:
    config = model_config(spec, vocab_size=320, context=64)
    torch.manual_seed(1)
    first = build_model(config, seed=7).state_dict()
    torch.manual_seed(2)
    torch.set_num_threads(2)
    second = build_model(config, seed=7).state_dict()
    other = build_model(config, seed=8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_model(model_config(TINY, vocab_size=64), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_weights_have_the_documented_spread() -> None:
    config = model_config(ModelSpec(layers=4, width=256), vocab_size=640, pad_id=1)
    model = build_model(config, seed=0)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    std = 0.5 / math.sqrt(256)
    assert weights["model.layers.0.self_attn.q_proj.weight"].std() == pytest.approx(std, rel=0.02)
    residual = std / math.sqrt(8)
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        assert weights[f"model.layers.1.{name}.weight"].std() == pytest.approx(residual, rel=0.02)
    assert torch.equal(weights["model.norm.weight"], torch.ones(256))
    assert not weights["model.embed_tokens.weight"][1].any()


def test_gpt2_scheme_equals_that_of_transformers() -> None:
    config = model_config(
        ModelSpec(preset="kogpt2-125m", layers=3, width=192), vocab_size=1000, context=128
    )
    ours = build_model(config, seed=0).state_dict()
    for name, stock in AutoModelForCausalLM.from_config(config).state_dict().items():
        assert float(ours[name].mean()) == pytest.approx(float(stock.mean()), abs=2e-3), name
        assert float(ours[name].std()) == pytest.approx(float(stock.std()), rel=0.04), name


def test_weights_can_be_bf16() -> None:
    model = build_model(model_config(TINY, vocab_size=64), seed=0, dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_flops_count_matrices_and_half_of_attention() -> None:
    config = model_config(ModelSpec(layers=2, width=128, feedforward=256), vocab_size=640)
    block = 4 * 128 * 128 + 3 * 128 * 256
    norms = 2 * (2 * 128 + 2 * 64) + 128
    matrices = 2 * block + norms + 640 * 128
    assert train_flops_per_token(config, 100) == 6 * (matrices + 2 * 128 * 100)


def test_weights_have_the_type_of_the_recipe() -> None:
    spec = ModelSpec(layers=2, width=64, dtype="bfloat16")
    model = build_model(model_config(spec, vocab_size=320, context=32), seed=1)
    assert model.dtype == torch.bfloat16

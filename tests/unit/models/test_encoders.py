"""Encoders and encoder-decoders as they are built, counted, initialised, saved and opened again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tests.support.language_models import (
    ENCODERS,
    PAD,
    SEQUENCES,
    masked_batch,
    pair_batch,
    tiny_language_model,
)
from tests.support.tiny_models import tokenizer_definition
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM, BertModel, T5Config

from hunmin.core.errors import InputError
from hunmin.core.units import parse_count
from hunmin.models.blocks import transformer_blocks
from hunmin.models.build import build_model, count_parameters, model_config
from hunmin.models.export import save_model
from hunmin.models.flops import MASKED_SHARE, train_flops_per_token
from hunmin.models.load import load_language_model, load_model
from hunmin.models.loss import language_model_loss
from hunmin.models.meta import build_meta_model
from hunmin.models.outputs import output_width
from hunmin.models.presets import ENCODER_PRESETS, POST_NORM_ENCODER
from hunmin.models.shape import shape_of_size
from hunmin.models.spec import ModelSpec

PAIR: tuple[Any, Any] = ([(20, 3), (5, 30)], [(9, 1), (12, 4)])
TINY: dict[str, Any] = {"layers": 3, "width": 128}


@pytest.mark.parametrize("name", sorted(set(ENCODER_PRESETS) - {POST_NORM_ENCODER}))
def test_bodies_of_the_teachers_have_the_published_sizes(name: str) -> None:
    published = ENCODER_PRESETS[name].published_parameters
    counts = count_parameters(model_config(ModelSpec(preset=name)))
    assert counts.non_embedding == pytest.approx(published, rel=0.015)


def test_the_largest_models_have_the_published_totals() -> None:
    encoder = count_parameters(model_config(ModelSpec(preset="AlexaTM-encoder-9.3B")))
    assert encoder.total == pytest.approx(9.9e9, rel=0.001)
    xlmr = count_parameters(model_config(ModelSpec(preset="xlmr-style", vocab_size=250_002)))
    assert xlmr.total == pytest.approx(278e6, rel=0.002)  # as xlm-roberta-base
    both = count_parameters(model_config(ModelSpec(preset="alexatm-20B", vocab_size=150_000)))
    assert both.total == pytest.approx(19.75e9, rel=0.01)
    assert both.embedding == 3 * 150_000 * 4096 + 2 * (1024 + 2) * 4096


@pytest.mark.parametrize("size", ["1M", "5M", "50M", "350M", "7B"])
@pytest.mark.parametrize("preset", ["hunmin-encoder", "hunmin-seq2seq"])
def test_counts_follow_the_dial(preset: str, size: str) -> None:
    counts = count_parameters(model_config(ModelSpec(preset=preset, size=size)))
    assert counts.non_embedding == pytest.approx(parse_count(size), rel=0.12)
    assert shape_of_size(size, shares_keys=False).kv_heads == (
        shape_of_size(size, shares_keys=False).heads
    )


def test_tables_factors_and_the_output_bias_count_as_embeddings() -> None:
    spec = ModelSpec(preset="xlmr-style", **TINY, heads=4, embedding_width=32)
    config = model_config(spec, vocab_size=320, context=64, pad_id=PAD)
    counts = count_parameters(config)
    assert counts.embedding == (320 + 64 + 1) * 32 + 32 * 128 + 128 + 320
    assert output_width(config) == 32


@pytest.mark.parametrize("name", [*ENCODERS, *SEQUENCES])
def test_counts_equal_those_of_the_built_and_the_meta_model(name: str) -> None:
    config = tiny_language_model(name).config
    counts = count_parameters(config)
    for model in (build_model(config, seed=1), build_meta_model(config)):
        assert counts.total == sum(parameter.numel() for parameter in model.parameters())
    assert 0 < counts.embedding < counts.total


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"preset": "kogpt2-125m", "decoder_layers": 2}, "decoder_layers belongs to"),
        ({"preset": "hunmin-encoder", "embedding_width": 64}, "belongs to the preset 'xlmr-style'"),
        ({"preset": "alexatm-encoder-17M", "size": "5M"}, "size belongs to"),
        ({"preset": "hunmin-encoder", "width": 100}, "width 100 is not a multiple of 64"),
    ],
)
def test_keys_of_other_presets_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSpec(**fields)


def test_factorised_embeddings_are_narrower_than_the_model() -> None:
    spec = ModelSpec(preset="xlmr-style", embedding_width=768)
    with pytest.raises(InputError, match="less than 768"):
        model_config(spec)


def test_positions_counted_from_the_padding_token_need_one() -> None:
    with pytest.raises(InputError, match="padding token"):
        model_config(ModelSpec(preset="alexatm-encoder-17m"), vocab_size=320)


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [
        ("hunmin-encoder", {"layers.1.attn.Wo": 6, "layers.2.mlp.Wo": 6, "attn.Wqkv": 1}),
        ("alexatm-encoder-17m", {"attention.output.dense": 6, "layer.1.output.dense": 6}),
        ("xlmr-style", {"attention.output.dense": 1}),
        (
            "hunmin-seq2seq",
            {"encoder.layers.0.fc2": 6, "decoder.layers.0.encoder_attn.out_proj": 9},
        ),
    ],
)
def test_residual_writes_of_pre_norm_models_shrink(preset: str, sizes: dict[str, int]) -> None:
    config = model_config(ModelSpec(preset=preset, **TINY, heads=2), vocab_size=640, pad_id=PAD)
    model = build_model(config, seed=0)
    std = getattr(config, "initializer_range", None) or config.init_std
    for suffix, additions in sizes.items():
        found = [m for n, m in model.named_modules() if n.endswith(suffix)]
        assert found
        for module in found:
            assert module.weight.std().item() == pytest.approx(std / math.sqrt(additions), rel=0.05)


def test_a_fresh_t5_says_nothing_extreme() -> None:
    config = T5Config(vocab_size=96, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    config.decoder_start_token_id, config.pad_token_id = 0, PAD
    loss = language_model_loss(build_model(config, seed=0), pair_batch(*PAIR))
    assert 0.8 * math.log(96) < loss.item() < 1.5 * math.log(96)


@pytest.mark.parametrize("name", [*ENCODERS, *SEQUENCES])
def test_blocks_hold_the_body(name: str) -> None:
    model = tiny_language_model(name)
    blocks = transformer_blocks(model)
    if name == "albert":  # one layer for all
        assert blocks == []
        return
    assert len(blocks) == 2 + (0 if name in ENCODERS else 2 if "t5" in name else 1)
    held = sum(p.numel() for block in blocks for p in block.parameters())
    assert held > 0.8 * count_parameters(model.config).non_embedding


@pytest.mark.parametrize("preset", ["hunmin-encoder", "alexatm-encoder-17m", "hunmin-seq2seq"])
def test_flops_agree_with_what_torch_counts(preset: str) -> None:
    context, vocabulary = 16, 640
    spec = ModelSpec(preset=preset, **TINY, heads=2, feedforward=512)
    config = model_config(spec, vocab_size=vocabulary, context=context, pad_id=PAD)
    model, ids = build_model(config, seed=1), torch.full((2, context), 5)
    arguments = {"decoder_input_ids": ids} if preset == "hunmin-seq2seq" else {}
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, **arguments).logits.sum().backward()
    unscored = 0 if arguments else 6 * (1 - MASKED_SHARE) * vocabulary * 128
    counted = counter.get_total_flops() / ids.numel() - unscored
    assert train_flops_per_token(config, context) == pytest.approx(counted, rel=0.04)


@pytest.mark.parametrize("name", [*ENCODERS, *SEQUENCES])
def test_folders_open_and_train_on(name: str, tmp_path: Path) -> None:
    model = tiny_language_model(name)
    batch = masked_batch([(20, 3), (5, 30)]) if name in ENCODERS else pair_batch(*PAIR)
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text(tokenizer_definition(), encoding="utf-8")
    save_model(model, tokenizer, tmp_path)
    loaded = load_language_model(tmp_path)
    assert type(loaded) is type(model)
    loss = language_model_loss(loaded, batch)
    assert loss.item() == pytest.approx(language_model_loss(model, batch).item(), rel=1e-6)
    loss.backward()
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert ("fill-mask" if name in ENCODERS else "text2text-generation") in readme
    assert "| of them body |" in readme
    auto = AutoModelForMaskedLM if name in ENCODERS else AutoModelForSeq2SeqLM
    stock = auto.from_pretrained(tmp_path)
    again = language_model_loss(stock.eval(), batch)
    assert again.item() == pytest.approx(loss.item(), rel=1e-6)


def test_a_folder_without_the_head_is_refused(tmp_path: Path) -> None:
    BertModel(tiny_language_model("bert").config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no weights for a part") as caught:
        load_language_model(tmp_path)
    assert "cls.predictions" in str(caught.value.given)


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    tiny_language_model("xlmr").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="one token after the other"):
        load_model(tmp_path)

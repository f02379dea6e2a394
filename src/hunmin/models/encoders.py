"""Configurations of encoders: ModernBERT for speed, RoBERTa as published, ELECTRA if factorised.

hunmin-encoder     ModernBertForMaskedLM               pre-LN, rotary positions, gated, no biases
alexatm-encoder-*  RobertaPreLayerNormForMaskedLM      pre-LN, learned positions
xlmr-style         XLMRobertaForMaskedLM               post-LN, learned positions
  embedding_width  ElectraForMaskedLM                  the same blocks, factorised embeddings

No stock architecture has both pre-LN blocks of their own weights and factorised embeddings: ALBERT
shares one block's weights among all, RemBERT and ELECTRA are post-LN.
"""

from __future__ import annotations

from typing import Any

from transformers import (
    ElectraConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaPreLayerNormConfig,
    XLMRobertaConfig,
)

from hunmin.core.errors import InputError
from hunmin.models.divide import check_divides
from hunmin.models.presets import ENCODER_DIAL, ENCODER_PRESETS, POST_NORM_ENCODER
from hunmin.models.shape import shape_of_size, shape_of_width
from hunmin.models.spec import DEFAULT_SIZE, ModelSpec

GLOBAL_EVERY = 3
"""Every third layer attends to the whole document, the first one too; the others near by."""
LOCAL_WINDOW = 128
"""Tokens that a local layer sees, half of them to either side."""
LOCAL_ROTARY_BASE = 10_000.0
ROBERTA_PADDING = 1
"""Padding token where no tokenizer is known: parameters are only counted then."""


def encoder_config(
    spec: ModelSpec, positions: int, common: dict[str, Any], *, is_tokenizer_known: bool
) -> PreTrainedConfig:
    """Derive the configuration of an encoder.

    Args:
        spec: What the user wrote; its preset is one of an encoder.
        positions: Tokens in a row.
        common: Vocabulary, special tokens and type of the weights.
        is_tokenizer_known: Whether `pad_token_id` is that of a tokenizer.

    Returns:
        A configuration for AutoModelForMaskedLM.

    Raises:
        InputError: Sizes that do not fit together, or no padding token where one is needed.
    """
    if spec.preset == ENCODER_DIAL:
        return _modernbert_config(spec, positions, common)
    settings = _bert_settings(spec) | common
    if spec.embedding_width is not None:
        _check_embedding_width(spec.embedding_width, settings["hidden_size"])
        return ElectraConfig(
            embedding_size=spec.embedding_width,
            max_position_embeddings=positions,
            type_vocab_size=1,
            **settings,
        )
    settings["pad_token_id"] = pad_id = _padding(common["pad_token_id"], is_tokenizer_known)
    # Positions of RoBERTa are counted from the padding token's id on.
    settings |= {"max_position_embeddings": positions + pad_id + 1, "type_vocab_size": 1}
    is_post_norm = spec.preset == POST_NORM_ENCODER
    return (XLMRobertaConfig if is_post_norm else RobertaPreLayerNormConfig)(**settings)


def _bert_settings(spec: ModelSpec) -> dict[str, Any]:
    preset = ENCODER_PRESETS[spec.preset]
    width, heads = spec.width or preset.width, spec.heads or preset.heads
    check_divides(width, heads, "model.width", "model.heads")
    return {
        "num_hidden_layers": spec.layers or preset.layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": spec.feedforward or 4 * width,
        "hidden_dropout_prob": spec.dropout,
        "attention_probs_dropout_prob": spec.dropout,
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": spec.tie_embeddings is not False,
    }


def _padding(pad_id: int | None, is_tokenizer_known: bool) -> int:
    if pad_id is not None:
        return pad_id
    if is_tokenizer_known:
        raise InputError(
            "this encoder counts positions from the padding token on, and the tokenizer has none",
            where="model.preset",
            hint="give the tokenizer a padding token, or take the preset hunmin-encoder",
        )
    return ROBERTA_PADDING


def _check_embedding_width(embedding_width: int, width: int) -> None:
    if embedding_width >= width:
        raise InputError(
            "factorised embeddings have to be narrower than the model",
            where="model.embedding_width",
            given=f"{embedding_width}, model.width {width}",
            allowed=f"less than {width}",
            hint="leave model.embedding_width out for whole embeddings",
        )


def _modernbert_config(spec: ModelSpec, positions: int, common: dict[str, Any]) -> ModernBertConfig:
    shape = shape_of_size(spec.size or DEFAULT_SIZE, shares_keys=False)
    layers = spec.layers or shape.layers
    if spec.width is not None:
        shape = shape_of_width(
            spec.width, layers=layers, num_parameters=shape.non_embedding_parameters
        )
    width, heads = spec.width or shape.width, spec.heads or shape.heads
    check_divides(width, heads, "model.width", "model.heads")
    return ModernBertConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=spec.feedforward or shape.feedforward,
        max_position_embeddings=positions,
        layer_types=_layer_types(layers),
        local_attention=LOCAL_WINDOW,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": spec.rotary_base},
            "sliding_attention": {"rope_type": "default", "rope_theta": LOCAL_ROTARY_BASE},
        },
        attention_dropout=spec.dropout,
        mlp_dropout=spec.dropout,
        embedding_dropout=spec.dropout,
        initializer_range=round(0.5 * width**-0.5, 6),
        tie_word_embeddings=spec.tie_embeddings is not False,
        cls_token_id=common["bos_token_id"],
        sep_token_id=common["eos_token_id"],
        **{key: value for key, value in common.items() if key != "use_cache"},
    )


def _layer_types(layers: int) -> list[str]:
    return [
        "sliding_attention" if index % GLOBAL_EVERY else "full_attention" for index in range(layers)
    ]

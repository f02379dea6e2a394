"""From a ModelSpec to a configuration, its parameter count and a freshly initialised model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import GPT2Config, PreTrainedConfig, PreTrainedModel, Qwen3Config

from hunmin.core.errors import ContextLengthError, VocabularyError
from hunmin.models.architecture import attention_for, language_model_class
from hunmin.models.devices import explain_out_of_memory
from hunmin.models.divide import check_divides
from hunmin.models.encoders import encoder_config
from hunmin.models.initialize import initialize_parameters
from hunmin.models.presets import (
    ALL_PRESETS,
    DIAL_PRESET,
    ENCODER_DIAL,
    ENCODER_PRESETS,
    PRESETS,
    SEQUENCE_DIAL,
    SEQUENCE_PRESETS,
)
from hunmin.models.sequences import drop_unread_tables, sequence_config
from hunmin.models.shape import HEAD_DIM, shape_of_size, shape_of_width
from hunmin.models.spec import DEFAULT_SIZE, ModelSpec

VOCABULARY_MULTIPLE = 64
TIED_BELOW = 2_000_000_000
DEFAULT_VOCABULARY = 32_768
DEFAULT_CONTEXT = 1024
_FACTORS = ("embeddings_project", "embedding_hidden_mapping_in")
"""Layers from the width of factorised embeddings to that of the model (ELECTRA, ALBERT)."""


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a model; a matrix shared by input and output is counted once.

    Args:
        total: All of them.
        embedding: Token, position and type embeddings, what brings factorised ones to the model's
            width, the output matrix if it is its own, and its bias.
        non_embedding: The rest, the body.
    """

    total: int
    embedding: int
    non_embedding: int


def model_config(
    spec: ModelSpec,
    *,
    vocab_size: int | None = None,
    context: int | None = None,
    boundary_id: int = 0,
    pad_id: int | None = None,
) -> PreTrainedConfig:
    """Derive the transformers configuration of a model.

    Args:
        spec: What the user wrote.
        vocab_size: Size of the tokenizer; None where it is not known yet: the preset's.
        context: Tokens in a training row; None where it is not known yet: the preset's.
        boundary_id: Token between documents, begin and end of a text at once.
        pad_id: Token that fills rows of a batch; None if the tokenizer has none.

    Returns:
        A configuration of a stock architecture: GPT-2 or Qwen3, for encoders ModernBERT,
        RoBERTa-PreLayerNorm, XLM-RoBERTa or ELECTRA, for encoder-decoders mBART.

    Raises:
        ContextLengthError: The data has longer rows than the model has positions.
        VocabularyError: The tokenizer has more tokens than the model has rows.
        InputError: Sizes that do not divide.
    """
    common = {
        "vocab_size": _vocabulary(spec, vocab_size),
        "bos_token_id": boundary_id,
        "eos_token_id": boundary_id,
        "pad_token_id": pad_id,
        "dtype": spec.dtype,
        "use_cache": True,
    }
    positions = _positions(spec, context)
    if spec.preset in (ENCODER_DIAL, *ENCODER_PRESETS):
        return encoder_config(spec, positions, common, is_tokenizer_known=vocab_size is not None)
    if spec.preset in (SEQUENCE_DIAL, *SEQUENCE_PRESETS):
        return sequence_config(spec, positions, common)
    if spec.preset == DIAL_PRESET:
        return _dial_config(spec, positions, common)
    return _gpt2_config(spec, positions, common)


def count_parameters(config: PreTrainedConfig) -> ParameterCount:
    """Count parameters without allocating them (82B take a second).

    Args:
        config: Configuration of a language model.

    Returns:
        The counts.
    """
    with torch.device("meta"):
        model: PreTrainedModel = language_model_class(config)(config)
    drop_unread_tables(model)
    total = sum(parameter.numel() for parameter in model.parameters())
    embedding = sum(_embedding_parameters(model).values())
    return ParameterCount(total, embedding, total - embedding)


def _embedding_parameters(model: PreTrainedModel) -> dict[int, int]:
    """Sizes of the parameters that count as embeddings, each once."""
    tables = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) or name.endswith(_FACTORS)
    ]
    return {
        id(parameter): parameter.numel()
        for module in [*tables, model.get_output_embeddings()]
        for parameter in module.parameters(recurse=False)
    }


def build_model(
    config: PreTrainedConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> PreTrainedModel:
    """Build a model with fresh weights.

    Args:
        config: Its configuration.
        seed: Decides every weight, whatever the device and the number of threads.
        device: Where it shall lie.
        dtype: Type of the weights; that of the configuration if None.

    Returns:
        The model in training mode, attention through scaled_dot_product_attention.

    Raises:
        OutOfMemoryError: It does not fit.
    """
    model_class = language_model_class(config)
    hint = "take a smaller model.size (hunmin train --dry-run shows the parameter count)"
    with explain_out_of_memory(hint), torch.random.fork_rng(devices=[]):
        with torch.device(device):
            model: PreTrainedModel = model_class._from_config(
                config,
                dtype=dtype or config.dtype or torch.float32,
                attn_implementation=attention_for(model_class),
            )
        drop_unread_tables(model)
        initialize_parameters(model, seed=seed)
    return model.train()


def _vocabulary(spec: ModelSpec, tokenizer_size: int | None) -> int:
    if spec.vocab_size is None:
        preset = ALL_PRESETS.get(spec.preset)
        known = DEFAULT_VOCABULARY if preset is None else preset.vocab_size
        size = tokenizer_size or known
        return -(-size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    if tokenizer_size is not None and spec.vocab_size < tokenizer_size:
        raise VocabularyError(
            "the tokenizer has more tokens than the model has rows for",
            where="model.vocab_size",
            given=f"{spec.vocab_size} rows, {tokenizer_size} tokens",
            allowed=f"at least {tokenizer_size}",
            hint="leave model.vocab_size out, and it follows the tokenizer",
        )
    return spec.vocab_size


def _positions(spec: ModelSpec, context: int | None) -> int:
    if spec.context is None:
        preset = ALL_PRESETS.get(spec.preset)
        known = DEFAULT_CONTEXT if preset is None else preset.context
        return context or known
    if context is not None and context > spec.context:
        raise ContextLengthError(
            "the rows of the data are longer than the model has positions",
            where="model.context",
            given=f"data.context {context}, model.context {spec.context}",
            allowed=f"data.context up to {spec.context}",
            hint="raise model.context, lower data.context, or leave model.context out",
        )
    return spec.context


def _gpt2_config(spec: ModelSpec, positions: int, common: dict[str, Any]) -> GPT2Config:
    preset = PRESETS[spec.preset]
    width, heads = spec.width or preset.width, spec.heads or preset.heads
    check_divides(width, heads, "model.width", "model.heads")
    return GPT2Config(
        n_layer=spec.layers or preset.layers,
        n_embd=width,
        n_head=heads,
        n_inner=spec.feedforward,
        n_positions=positions,
        resid_pdrop=spec.dropout,
        embd_pdrop=spec.dropout,
        attn_pdrop=spec.dropout,
        tie_word_embeddings=spec.tie_embeddings is not False,
        **common,
    )


def _dial_config(spec: ModelSpec, positions: int, common: dict[str, Any]) -> Qwen3Config:
    shape = shape_of_size(spec.size or DEFAULT_SIZE)
    parameters = shape.non_embedding_parameters
    layers = spec.layers or shape.layers
    if spec.width is not None:
        shape = shape_of_width(spec.width, layers=layers, num_parameters=parameters)
    heads = spec.heads or shape.heads
    width = spec.width or shape.width
    kv_heads = spec.kv_heads or (shape.kv_heads if heads % shape.kv_heads == 0 else heads)
    check_divides(heads, kv_heads, "model.heads", "model.kv_heads")
    check_divides(width, heads, "model.width", "model.heads")
    tied = parameters < TIED_BELOW if spec.tie_embeddings is None else spec.tie_embeddings
    return Qwen3Config(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=HEAD_DIM if spec.heads is None else width // heads,
        intermediate_size=spec.feedforward or shape.feedforward,
        max_position_embeddings=positions,
        rope_parameters={"rope_type": "default", "rope_theta": spec.rotary_base},
        attention_dropout=spec.dropout,
        initializer_range=round(0.5 * width**-0.5, 6),
        tie_word_embeddings=tied,
        **common,
    )

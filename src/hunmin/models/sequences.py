"""Configurations of encoder-decoders: mBART, which is pre-LN with learned positions."""

from __future__ import annotations

import math
from typing import Any

from transformers import MBartConfig, PreTrainedModel

from hunmin.models.divide import check_divides
from hunmin.models.presets import SEQUENCE_DIAL, SEQUENCE_PRESETS
from hunmin.models.shape import HEAD_DIM, checked_size, model_widths, preferred_aspect
from hunmin.models.spec import DEFAULT_SIZE, ModelSpec

PUBLISHED_STD = 0.02


def sequence_config(spec: ModelSpec, positions: int, common: dict[str, Any]) -> MBartConfig:
    """Derive the configuration of an encoder-decoder.

    Args:
        spec: What the user wrote; its preset is one of an encoder-decoder.
        positions: Tokens in a row, of the encoder and of the decoder.
        common: Vocabulary, special tokens and type of the weights.

    Returns:
        A configuration for AutoModelForSeq2SeqLM. The decoder begins with the boundary token.

    Raises:
        InputError: Sizes that do not divide.
    """
    layers, decoder_layers, width, heads = _shape(spec)
    check_divides(width, heads, "model.width", "model.heads")
    is_dial = spec.preset == SEQUENCE_DIAL
    feedforward = spec.feedforward or 4 * width
    return MBartConfig(
        encoder_layers=layers,
        decoder_layers=decoder_layers,
        d_model=width,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=feedforward,
        decoder_ffn_dim=feedforward,
        max_position_embeddings=positions,
        dropout=spec.dropout,
        attention_dropout=spec.dropout,
        init_std=round(0.5 * width**-0.5, 6) if is_dial else PUBLISHED_STD,
        tie_word_embeddings=is_dial if spec.tie_embeddings is None else spec.tie_embeddings,
        decoder_start_token_id=common["bos_token_id"],
        forced_eos_token_id=None,
        **common,
    )


def drop_unread_tables(model: PreTrainedModel) -> None:
    """Take the table `shared` out of an untied BART, in place; no forward pass reads it there.

    The name then means the table of the encoder, without being a second name in the state dict.

    Args:
        model: Any model.

    Note:
        transformers fills `shared` at random when it loads the folder, and says so.
    """
    if unread_tables(model):
        body: Any = model.model
        del body.shared
        object.__setattr__(body, "shared", body.encoder.embed_tokens)


def unread_tables(model: PreTrainedModel) -> set[str]:
    """Return the names of parameters that no forward pass reads: the table `shared` if untied."""
    body: Any = getattr(model, "model", None)
    is_unread = hasattr(body, "shared") and not model.config.tie_word_embeddings
    return {"model.shared.weight"} if is_unread else set()


def _shape(spec: ModelSpec) -> tuple[int, int, int, int]:
    """Return layers of encoder and decoder, width and heads."""
    if spec.preset != SEQUENCE_DIAL:
        preset = SEQUENCE_PRESETS[spec.preset]
        width, heads = spec.width or preset.width, spec.heads or preset.heads
        layers, decoder_layers = spec.layers or preset.layers, preset.decoder_layers
        return layers, spec.decoder_layers or decoder_layers, width, heads
    layers, width = _dial_shape(checked_size(spec.size or DEFAULT_SIZE))
    width = spec.width or width
    layers = spec.layers or layers
    return layers, spec.decoder_layers or layers, width, spec.heads or width // HEAD_DIM


def _dial_shape(wanted: int) -> tuple[int, int]:
    """Return layers, as many in the decoder, and width, nearest to the dial and the aspect ratio.

    A block of the encoder has 12 * width ** 2 parameters, one of the decoder 16 * width ** 2.
    """

    def misfit(shape: tuple[int, int]) -> float:
        layers, width = shape
        count_error = abs(math.log(28 * layers * width**2 / wanted))
        return 10 * count_error + abs(math.log(width / layers / preferred_aspect(wanted)))

    candidates = [(max(1, round(wanted / (28 * width**2))), width) for width in model_widths()]
    return min(candidates, key=misfit)

"""What kind of language model a configuration of transformers describes, and which class it is."""

from __future__ import annotations

from typing import Any

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
)

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Layout

_FAMILIES: dict[Layout, Any] = {
    Layout.ALIGNED: AutoModelForMaskedLM,
    Layout.NEXT_TOKEN: AutoModelForCausalLM,
    Layout.SEQUENCE: AutoModelForSeq2SeqLM,
}


def layout_of(config: PreTrainedConfig) -> Layout:
    """Tell how a model's targets stand to its inputs.

    Args:
        config: Of any text model of transformers.

    Returns:
        ALIGNED for encoders, NEXT_TOKEN for decoders, SEQUENCE for encoder-decoders. What both an
        encoder and a decoder can be (BERT) is a decoder if `is_decoder` is set.

    Raises:
        InputError: transformers has no language model of this kind.
    """
    if config.is_encoder_decoder:
        candidates = [Layout.SEQUENCE]
    elif getattr(config, "is_decoder", False):
        candidates = [Layout.NEXT_TOKEN]
    else:
        candidates = [Layout.ALIGNED, Layout.NEXT_TOKEN]
    for layout in candidates:
        if type(config) in _FAMILIES[layout]._model_mapping:
            return layout
    raise InputError(
        "transformers has no language model for this configuration",
        given=f"{type(config).__name__}, architectures {config.architectures}",
        allowed="a causal, masked or encoder-decoder language model of transformers",
        hint="check the folder, or install a newer transformers",
    )


def language_model_class(config: PreTrainedConfig) -> Any:
    """Return the class with the language model head for a configuration.

    Args:
        config: Of any text model of transformers; `architectures` does not matter.

    Returns:
        A class such as `ModernBertForMaskedLM`.

    Raises:
        InputError: transformers has no language model of this kind.
    """
    return _FAMILIES[layout_of(config)]._model_mapping[type(config)]


def attention_for(model_class: Any) -> str:
    """Return "sdpa" where a class of transformers can do its attention through it, else "eager"."""
    return "sdpa" if model_class._supports_sdpa else "eager"

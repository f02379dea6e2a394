"""The body of an NLU model: the encoder of any transformers folder, without its output head."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from hunmin.core.artifact import MANIFEST_NAME, load_artifact, read_manifest
from hunmin.core.errors import ArtifactMismatchError, CorruptArtifactError, InputError
from hunmin.models.load import load_unchanged
from hunmin.models.quiet import without_progress_bars

MODEL_KIND = "nlu-model"
# Names that families of models give the two kinds of dropout.
_HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout", "dropout_rate", "resid_pdrop", "mlp_dropout")
_EMBEDDING_DROPOUT = ("embd_pdrop", "embedding_dropout")
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")
# T5's encoder alone is not a model of its own: its embeddings lie beside it.
_ENCODER_CLASSES = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}


def load_body(path: Path) -> PreTrainedModel:
    """Load the body of a model: an encoder, the encoder of an encoder–decoder, or a decoder.

    Args:
        path: A model of hunmin, a trained NLU model, or any folder with config.json, which names
            the model's class, and safetensors.

    Returns:
        The body with weights in float32 on the CPU, in evaluation mode.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: The folder holds no model.
        InputError: Its weights are pickles, or its architecture is not one of transformers.
        CorruptArtifactError: A file is damaged.
    """
    if (path / MANIFEST_NAME).is_file() and read_manifest(path).kind == MODEL_KIND:
        load_artifact(path, MODEL_KIND)
        return open_body(path)
    return encoder_of(load_unchanged(path).float()).eval()


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    """Take the part of a model that turns ids into states.

    Args:
        model: A model with or without an output head.

    Returns:
        Its encoder if it has a decoder beside it, else its trunk; without a pooling layer, which
        nothing reads.
    """
    model_type = str(model.config.model_type)
    if model_type in _ENCODER_CLASSES:
        return _t5_encoder(model, _ENCODER_CLASSES[model_type])
    trunk = model.base_model
    if model.config.is_encoder_decoder:
        trunk = trunk.get_encoder()
    if getattr(trunk, "pooler", None) is not None:
        trunk.pooler = None
    return trunk


def _t5_encoder(model: PreTrainedModel, name: str) -> PreTrainedModel:
    encoder_class = _model_class(model.config, name)
    if isinstance(model, encoder_class):
        return model
    config = copy.deepcopy(model.config)
    config.is_encoder_decoder = False
    config.use_cache = False
    made = encoder_class(config)
    weights = model.state_dict()
    made.load_state_dict({key: weights[key] for key in made.state_dict()})
    return made


def open_body(path: Path) -> PreTrainedModel:
    """Open the body of a trained NLU model.

    Args:
        path: Its folder; config.json names the class.

    Returns:
        The body, float32 on the CPU, in evaluation mode.

    Raises:
        CorruptArtifactError: The folder does not hold all of its weights.
    """
    config = PreTrainedConfig.get_config_dict(path, local_files_only=True)[0]
    typed = _typed_config(path)
    name = str((config.get("architectures") or [""])[0])
    verbosity = logging.get_verbosity()
    # A pooling layer that we left out is said to be missing.
    logging.set_verbosity_error()
    try:
        with without_progress_bars():
            model, found = _model_class(typed, name).from_pretrained(
                path,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    finally:
        logging.set_verbosity(verbosity)
    missing = [key for key in found["missing_keys"] if not key.startswith("pooler.")]
    if missing:
        raise CorruptArtifactError(
            "weights are missing",
            where=path,
            given=", ".join(sorted(missing)[:3]),
            hint="train the model again",
        )
    return encoder_of(model).eval()


def _typed_config(path: Path) -> PreTrainedConfig:
    from transformers import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(
        path, local_files_only=True, trust_remote_code=False
    )
    return config


def _model_class(config: PreTrainedConfig, name: str) -> type[PreTrainedModel]:
    """Find a class of transformers in the module of its configuration; some are not exported."""
    place = type(config).__module__.replace(".configuration_", ".modeling_")
    found = getattr(importlib.import_module(place), name, None)
    # A name from a file: nothing but a model may be called.
    if isinstance(found, type) and issubclass(found, PreTrainedModel):
        return found
    raise InputError(
        "transformers has no model class of this name",
        where="config.json",
        given=name,
        allowed=f"a model of {place}",
        hint="check the folder, or install a newer transformers",
    )


def with_dropout(
    body: PreTrainedModel, hidden: float | None, attention: float | None
) -> PreTrainedModel:
    """Build the body again with other dropout rates.

    Args:
        body: The body.
        hidden: Rate on hidden states; None to leave it.
        attention: Rate on attention weights; None to leave it.

    Returns:
        A body with the same weights; the one given if nothing changes.

    Raises:
        ArtifactMismatchError: This architecture has no such dropout.
    """
    if hidden is None and attention is None:
        return body
    config = copy.deepcopy(body.config)
    wanted = {
        "hidden_dropout": ((*_HIDDEN_DROPOUT, *_EMBEDDING_DROPOUT), hidden),
        "attention_dropout": (_ATTENTION_DROPOUT, attention),
    }
    unknown = [
        key
        for key, (names, rate) in wanted.items()
        if rate is not None and not _set_rates(config, names, rate)
    ]
    if unknown:
        raise _without_dropout(config, unknown)
    made = _build(type(body), config)
    made.load_state_dict(body.state_dict())
    return made


def _set_rates(config: PreTrainedConfig, names: tuple[str, ...], rate: float) -> bool:
    """Set all rates of a kind that an architecture has; tell whether it has any."""
    present = [name for name in names if isinstance(getattr(config, name, None), float | int)]
    for name in present:
        setattr(config, name, rate)
    # T5 has one rate for both.
    return bool(present) or isinstance(getattr(config, "dropout_rate", None), float)


def _without_dropout(config: PreTrainedConfig, keys: Sequence[str]) -> ArtifactMismatchError:
    typed = " ".join(f"{key}=null" for key in keys)
    recipe = ", ".join(f"nlu.{key}: null" for key in keys)
    return ArtifactMismatchError(
        "this architecture has no dropout of this kind",
        where=", ".join(f"nlu.{key}" for key in keys),
        given=config.model_type,
        allowed="null",
        hint=f"add {typed} to the command ({recipe} in a recipe), or take another body",
    )


def _build(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    known = inspect.signature(model_class.__init__).parameters
    settings: dict[str, Any] = {"add_pooling_layer": False} if "add_pooling_layer" in known else {}
    return model_class(config, **settings)


def context_of(body: PreTrainedModel) -> int | None:
    """Return how many positions a body has; None if it has no limit."""
    positions = getattr(body.config, "max_position_embeddings", None)
    if positions is None:
        return None
    # RoBERTa counts positions from the one after its padding id.
    embeddings = getattr(body, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return int(positions) if padding is None else int(positions) - padding - 1

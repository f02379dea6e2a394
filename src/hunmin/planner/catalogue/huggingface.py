"""The shape of a Hugging Face model from its config.json; transformers is not needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hunmin.core.errors import InputError, MissingInputError, suggest
from hunmin.planner.catalogue.sizes import completed_sizes
from hunmin.planner.shape import AttentionBiases, ModelShape

_GPT2_KEYS = {
    "layers": "n_layer",
    "width": "n_embd",
    "heads": "n_head",
    "feedforward": "n_inner",
    "vocab_size": "vocab_size",
    "context": "n_positions",
}
_LLAMA_KEYS = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "feedforward": "intermediate_size",
    "vocab_size": "vocab_size",
    "context": "max_position_embeddings",
}
_LIKE_LLAMA: dict[str, Any] = {"is_gated": True, "has_biases": False}
_LIKE_GEMMA: dict[str, Any] = {**_LIKE_LLAMA, "is_tied": True}
_UNBIASED = {"attention_bias": False, "mlp_bias": False}


@dataclass(frozen=True)
class _Reader:
    """How one `model_type` is read.

    Args:
        keys: Name of ours -> key of config.json.
        traits: What the architecture decides; `is_tied` where config.json does not say.
        defaults: Values of keys that config.json may leave out or have as null.
        fixed: Keys with the one value that the formulas of `ModelShape` hold for.
        has_positions: Whether positions are learned.
    """

    keys: Mapping[str, str]
    traits: Mapping[str, Any]
    defaults: Mapping[str, int] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    has_positions: bool = False


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "gpt2": _Reader(_GPT2_KEYS, {}, fixed={"add_cross_attention": False}, has_positions=True),
        "gpt_neox": _Reader(_LLAMA_KEYS, {"is_tied": False}, fixed={"attention_bias": True}),
        "llama": _Reader(_LLAMA_KEYS, {**_LIKE_LLAMA, "is_tied": False}, fixed={"mlp_bias": False}),
        "mistral": _Reader(_LLAMA_KEYS, {**_LIKE_LLAMA, "is_tied": False}, fixed=_UNBIASED),
        "qwen2": _Reader(_LLAMA_KEYS, {**_LIKE_LLAMA, "is_tied": False, "attention_biases": "qkv"}),
        "qwen3": _Reader(
            _LLAMA_KEYS, {**_LIKE_LLAMA, "is_tied": False, "has_qk_norms": True}, {"head_dim": 128}
        ),
        "gemma": _Reader(_LLAMA_KEYS, _LIKE_GEMMA, {"head_dim": 256}),
        "gemma2": _Reader(_LLAMA_KEYS, {**_LIKE_GEMMA, "block_norms": 4}, {"head_dim": 256}),
        "gemma3_text": _Reader(
            _LLAMA_KEYS,
            {**_LIKE_GEMMA, "block_norms": 4, "has_qk_norms": True},
            {"head_dim": 256},
        ),
    }
)


def model_types() -> tuple[str, ...]:
    """Return the values of `model_type` that can be read."""
    return tuple(sorted(_READERS))


def read_config(path: Path) -> ModelShape:
    """Return the shape that a config.json describes.

    Args:
        path: The file, or the folder that it lies in.

    Returns:
        The shape, named after the folder; as many tokens in a row as it has positions.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is not JSON, of an unknown `model_type`, or has numbers that no model has.

    Note:
        Attention in a sliding window (Gemma, Mistral) counts as attention to the whole row, as
        `models.flops` does.
    """
    file = path / "config.json" if path.is_dir() else path
    return shape_of_config(_parse(file), file.resolve().parent.name, file)


def shape_of_config(config: Mapping[str, Any], name: str, where: Path) -> ModelShape:
    """Return the shape that the values of a config.json describe.

    Args:
        config: Its values.
        name: Of the model, for people.
        where: What the values are from, for messages.

    Returns:
        The shape.

    Raises:
        InputError: An unknown `model_type`, or numbers that no model has.
    """
    kind = config.get("model_type")
    reader = _READERS.get(str(kind))
    if reader is None:
        raise InputError(
            f"the planner knows no formulas for this kind of model.{suggest(str(kind), _READERS)}",
            where=f"{where}: model_type",
            given=repr(kind),
            allowed=", ".join(model_types()),
            hint="describe it in a YAML file with layers, width, heads, ... (see models.yaml)",
        )
    _refuse_variants(config, reader, where)
    values = _numbers(config, reader, where)
    traits = {**reader.traits, **_written_traits(config)}
    positions = values["context"] if reader.has_positions else 0
    return ModelShape(name=name, positions=positions, **{**values, **traits})


def _parse(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise MissingInputError(
            "there is no such model configuration",
            where=file,
            allowed="config.json of a Hugging Face model, or the folder that it lies in",
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"this is not JSON: {error}", where=file) from error
    if not isinstance(config, dict):
        raise InputError("not a model configuration", where=file, given=type(config).__name__)
    return config


def _refuse_variants(config: Mapping[str, Any], reader: _Reader, file: Path) -> None:
    for key, value in reader.fixed.items():
        if config.get(key, value) != value:
            raise InputError(
                "the planner has no formulas for this variant",
                where=f"{file}: {key}",
                given=config[key],
                allowed=value,
            )


def _numbers(config: Mapping[str, Any], reader: _Reader, file: Path) -> dict[str, int]:
    values = {ours: config.get(theirs) for ours, theirs in reader.keys.items()}
    given = {ours: value for ours, value in values.items() if value is not None}
    for ours, value in given.items():
        _check_whole(value, f"{file}: {reader.keys[ours]}")
    for ours in ("layers", "width", "heads", "vocab_size", "context"):
        if ours not in given:
            raise InputError("this key is required", where=f"{file}: {reader.keys[ours]}")
    return completed_sizes({**reader.defaults, **given}, str(file))


def _check_whole(value: object, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(
            "not a number that a model can have",
            where=where,
            given=repr(value),
            allowed="a whole number from 1",
        )


def _written_traits(config: Mapping[str, Any]) -> dict[str, Any]:
    traits: dict[str, Any] = {}
    if config.get("tie_word_embeddings") is not None:
        traits["is_tied"] = bool(config["tie_word_embeddings"])
    if config.get("attention_bias"):
        every: AttentionBiases = "all"
        traits["attention_biases"] = every
    return traits

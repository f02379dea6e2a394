"""Shapes of models by name, by size or from a file: `find_model("gpt3-175b")`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hunmin.core.errors import InputError
from hunmin.core.spec import Count, Spec
from hunmin.models.presets import DIAL_PRESET, PRESETS, Preset
from hunmin.models.shape import HEAD_DIM, shape_of_size
from hunmin.planner.catalogue.entries import (
    Entry,
    is_yaml_name,
    overlay,
    read_file,
    read_shipped,
    refuse_missing,
    unknown_name,
)
from hunmin.planner.catalogue.huggingface import read_config
from hunmin.planner.catalogue.sizes import completed_sizes
from hunmin.planner.shape import ModelShape

DIAL_VOCABULARY = 64_000
DIAL_CONTEXT = 2048
TIED_BELOW = 2_000_000_000
"""From this size on the hunmin family has an output matrix of its own, as `models.build` says."""
_SIZE = re.compile(rf"(?:{DIAL_PRESET}-)?([0-9][0-9_.]*[KMGBT])", re.IGNORECASE)
_NEEDED = ("layers", "width", "heads", "vocab_size", "context")
_DERIVED = ("kv_heads", "head_dim", "feedforward")
Size = Annotated[Count, Field(ge=1)]


class ModelEntry(Entry):
    """A shape in models.yaml, or in a file of your own."""

    aliases: tuple[str, ...] = ()
    """Other names."""
    layers: Size | None = None
    """Blocks."""
    width: Size | None = None
    """Size of a hidden state."""
    heads: Size | None = None
    """Query heads."""
    kv_heads: Size | None = None
    """Key and value heads, a divisor of `heads`; as many as heads if left out."""
    head_dim: Size | None = None
    """Width of a head; width / heads if left out."""
    feedforward: Size | None = None
    """Hidden size of the feed-forward layer; 4 x width if left out, to be given if gated."""
    vocab_size: Size | None = None
    """Rows of the embedding."""
    context: Size | None = None
    """Tokens in a row."""
    positions: Annotated[Count, Field(ge=0)] = 0
    """Rows of a learned position embedding; 0 for none."""
    is_gated: bool = False
    """Whether the feed-forward layer has a third matrix (SwiGLU)."""
    is_tied: bool = True
    """Whether the output matrix is the embedding."""
    is_causal: bool = True
    """Whether a token sees only those before it."""
    has_biases: bool = True
    """Whether matrices and norms have biases."""
    attention_biases: Literal["none", "qkv", "all"] = "none"
    """Which matrices of attention have biases where `has_biases` is false."""
    has_qk_norms: bool = False
    """Whether each head's queries and keys are normed."""
    block_norms: int = Field(default=2, ge=0, le=8)
    """Norms of a block besides these."""
    has_embedding_norm: bool = False
    """Whether the embedding is normed."""
    published_parameters: Size | None = None
    """What its authors count."""
    source: str | None = None
    """Paper or page that the shape is from."""


class _Models(Spec):
    families: dict[str, ModelEntry]
    """What the models of a family have in common."""
    models: dict[str, ModelEntry]
    """Models by name."""


def find_model(
    text: str,
    context: int | None = None,
    *,
    vocab_size: int | None = None,
    where: str = "model",
) -> ModelShape:
    """Return a shape of the catalogue, of hunmin's own family, or of a file.

    Args:
        text: A name (`gpt3-175b`), a preset of hunmin (`hyperclova-82b`), a size of its family
            (`13B`, non-embedding parameters), a folder or config.json of a Hugging Face model, or
            a YAML file (see `ModelEntry`; it may say `like: llama3-8b`).
        context: Tokens in a row; the model's own if None.
        vocab_size: Rows of the embedding; the model's own if None.
        where: What the text was given for, for messages.

    Returns:
        The shape.

    Raises:
        InputError: No such name or size, or a configuration that the planner has no formulas for.
        MissingInputError: No such file.
        RecipeError: A YAML file that does not say what it must.

    Note:
        A model with learned positions gets more of them where `context` is longer.
    """
    for name, value in (("context", context), ("vocab_size", vocab_size)):
        if value is not None and value < 1:
            raise InputError(
                f"{name} must be positive", where=where, given=value, allowed="a number from 1"
            )
    shape = _find(text.strip(), where)
    shape = shape if vocab_size is None else replace(shape, vocab_size=vocab_size)
    return shape if context is None else shape.with_context(context)


@functools.cache
def model_names() -> tuple[str, ...]:
    """Return the names of the catalogue and of hunmin's presets, small to large in a family."""
    return (*_library().models, *PRESETS)


def published_parameters(name: str) -> int | None:
    """Return what a model's authors count, or the size in its name; None if nobody does."""
    known = _canonical().get(name.lower())
    if known is None:
        return None
    entries: Mapping[str, Preset | ModelEntry] = {**_library().models, **PRESETS}
    return entries[known].published_parameters


def _find(text: str, where: str) -> ModelShape:
    entry = _known_entry(text, where)
    if entry is not None:
        return _build(entry, _canonical_name(text), where)
    if is_yaml_name(text):
        return _read_model(Path(text))
    if text.lower().endswith(".json") or "/" in text or (text and Path(text).is_dir()):
        return read_config(Path(text))
    raise unknown_name(
        text,
        model_names(),
        "model",
        where=where,
        others=_canonical(),
        also="; a size such as 13B; a folder with config.json; or a file such as my-model.yaml",
    )


def _known_entry(text: str, where: str) -> ModelEntry | None:
    """Return what a name, an alias or a size stands for."""
    name = _canonical().get(text.lower())
    size = _SIZE.fullmatch(text)
    if name is None:
        return _dial_entry(size[1], where) if size is not None else None
    return _preset_entry(name) if name in PRESETS else _with_family(_library().models[name])


@functools.cache
def _library() -> _Models:
    return read_shipped("models.yaml", _Models)


@functools.cache
def _canonical() -> Mapping[str, str]:
    """Return the name that each name and alias stands for."""
    aliases = {alias: name for name, entry in _library().models.items() for alias in entry.aliases}
    return {**aliases, **{name: name for name in model_names()}}


def _canonical_name(text: str) -> str:
    lowered = text.lower()
    dial = f"{DIAL_PRESET}-{lowered.removeprefix(f'{DIAL_PRESET}-')}"
    return _canonical().get(lowered, dial)


def _with_family(entry: ModelEntry) -> ModelEntry:
    """Lay an entry of models.yaml over its family, which may be like another."""
    if entry.like is None:
        return entry
    return overlay(_with_family(_library().families[entry.like]), entry)


def _preset_entry(name: str) -> ModelEntry:
    preset = PRESETS[name]
    return ModelEntry(
        layers=preset.layers,
        width=preset.width,
        heads=preset.heads,
        vocab_size=preset.vocab_size,
        context=preset.context,
        positions=preset.context,
    )


def _dial_entry(size: str, where: str) -> ModelEntry:
    """Return what `models.build` makes of a size: a Qwen3 model."""
    try:
        shape = shape_of_size(size)
    except InputError as error:
        raise InputError(
            error.problem,
            where=where,
            given=size,
            allowed=error.allowed,
            hint="for other shapes write a file such as my-model.yaml",
        ) from error
    return ModelEntry(
        layers=shape.layers,
        width=shape.width,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=HEAD_DIM,
        feedforward=shape.feedforward,
        vocab_size=DIAL_VOCABULARY,
        context=DIAL_CONTEXT,
        is_gated=True,
        is_tied=shape.non_embedding_parameters < TIED_BELOW,
        has_biases=False,
        has_qk_norms=True,
    )


def _read_model(path: Path) -> ModelShape:
    loaded = read_file(path, ModelEntry, "model")
    entry = loaded.spec
    if entry.like is not None:
        place = f"{loaded.origin(('like',))}: like"
        entry = overlay(_parent(entry.like, place), entry)
    return _build(entry, path.stem, str(path))


def _parent(name: str, where: str) -> ModelEntry:
    families = _library().families
    entry = _known_entry(name, where)
    if entry is not None:
        return entry
    if name.lower() in families:
        return _with_family(families[name.lower()])
    raise unknown_name(name, [*model_names(), *families], "model", where=where)


def _build(entry: ModelEntry, name: str, where: str) -> ModelShape:
    needed = (*_NEEDED, "feedforward") if entry.is_gated else _NEEDED
    hint = "or take the rest of a model with a line such as `like: llama3-8b`"
    refuse_missing({key: getattr(entry, key) for key in needed}, where, hint)
    _check_positions(entry, where)
    sizes = {key: getattr(entry, key) for key in (*_NEEDED, *_DERIVED)}
    given = {key: size for key, size in sizes.items() if size is not None}
    return ModelShape(
        name=name,
        **completed_sizes(given, where),
        positions=entry.positions,
        is_gated=entry.is_gated,
        is_tied=entry.is_tied,
        is_causal=entry.is_causal,
        has_biases=entry.has_biases,
        attention_biases=entry.attention_biases,
        has_qk_norms=entry.has_qk_norms,
        block_norms=entry.block_norms,
        has_embedding_norm=entry.has_embedding_norm,
    )


def _check_positions(entry: ModelEntry, where: str) -> None:
    if 0 < entry.positions < (entry.context or 0):
        raise InputError(
            "the rows are longer than the model has positions",
            where=where,
            given=f"context {entry.context}, positions {entry.positions}",
            allowed="positions from the context on, or 0 for a model without learned ones",
        )

"""What a trained NLU model is besides its weights: nlu.json. No torch here."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from hunmin.adapt.nlu.tags import TagSet
from hunmin.core.errors import ArtifactKindError, CorruptArtifactError
from hunmin.core.spec import Spec

CONFIG_FILE = "nlu.json"
HEADS_FILE = "heads.safetensors"

Pooling = Literal["first", "mean", "max", "last"]
Labelling = Literal["first", "all"]
TextForm = Literal["written", "lower", "spoken"]


class NluConfig(Spec):
    """Labels and shape of a joint model of intent and slots, and how it reads a text."""

    format: Literal[1] = 1
    """Version of this file."""
    intents: tuple[str, ...] = Field(min_length=1)
    """Intents by their number."""
    slot_types: tuple[str, ...]
    """Types of slots; tags are O, then B- and I- of each type in this order."""
    pooling: Pooling = "first"
    """Which states the intent is read from: of the first token (the boundary token, which begins
    every document in pretraining), the mean or the maximum over all tokens of the utterance, or
    the last token, which alone has seen the whole utterance in a decoder."""
    feature_layer: int | None = Field(None, ge=0)
    """States that the heads read: 0 the embeddings, n those after the n-th block; null for the
    last ones, after the final norm."""
    head_layers: int = Field(0, ge=0)
    """Hidden layers of each head."""
    head_width: int = Field(0, ge=0)
    """Width of these layers."""
    crf: bool = False
    """Whether tags are chosen together, by transitions that lie in heads.safetensors as
    crf.transitions, crf.start and crf.end."""
    labelling: Labelling = "all"
    """Which tokens have a tag: the first of each word, or all."""
    text_form: TextForm = "written"
    """How texts are written before they are encoded, see `encode.py`."""
    max_tokens: int = Field(128, ge=2)
    """Tokens of a text that are read, those before and after it included."""
    prefix_ids: tuple[int, ...] = ()
    """Ids before each text."""
    suffix_ids: tuple[int, ...] = ()
    """Ids after each text."""
    pad_id: int = Field(0, ge=0)
    """Id that fills rows; attended by nothing."""
    body_class: str = ""
    """Class of transformers that opens config.json and model.safetensors."""
    train_locales: tuple[str, ...] = ()
    """Locales whose labelled utterances it was trained on."""
    selection_locales: tuple[str, ...] = ()
    """Locales whose dev partition chose the epoch."""

    @model_validator(mode="after")
    def _check_names(self) -> NluConfig:
        for names in (self.intents, self.slot_types):
            if len(set(names)) < len(names):
                raise ValueError("a label occurs twice")
        if self.max_tokens <= len(self.prefix_ids) + len(self.suffix_ids):
            raise ValueError("max_tokens leaves no room for the text")
        return self

    @cached_property
    def tags(self) -> TagSet:
        """The tags of the slot types."""
        return TagSet(self.slot_types)

    @property
    def num_tags(self) -> int:
        """Columns of the slot logits."""
        return 1 + 2 * len(self.slot_types)

    def write(self, folder: Path) -> None:
        """Write nlu.json into a folder."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read_config(folder: Path) -> NluConfig:
    """Read the nlu.json of a folder.

    Args:
        folder: Of an NLU model, with torch weights or exported.

    Returns:
        The configuration.

    Raises:
        ArtifactKindError: There is no such file.
        CorruptArtifactError: It cannot be read.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise ArtifactKindError(
            f"this folder holds no NLU model (no {CONFIG_FILE})",
            where=folder,
            hint="train one with `hunmin finetune nlu`, or name its folder",
        )
    try:
        return NluConfig.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise CorruptArtifactError(
            f"{CONFIG_FILE} cannot be read: {first['msg']}",
            where=file,
            given=".".join(map(str, first["loc"])) or "no JSON",
            hint="copy the folder again, or train the model again",
        ) from error

"""Labels as text: `Annotate: wake me at nine am` -> `Other Other Other time time alarm_set`.

One label a word, then the intent, as in the text-to-text baselines of MASSIVE. No torch here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from hunmin.adapt.nlu.config import TextForm
from hunmin.adapt.nlu.decode import Parse, ParsedSlot
from hunmin.adapt.nlu.encode import check_text, in_form
from hunmin.adapt.nlu.utterances import Utterance, word_offsets
from hunmin.core.errors import ArtifactKindError, CorruptArtifactError
from hunmin.core.spec import Spec

TEXT_CONFIG_FILE = "nlu_text.json"
PROMPT = "Annotate: "
OUTSIDE_LABEL = "Other"


class TextConfig(Spec):
    """Labels of a model that writes them, and how it reads and writes."""

    format: Literal[1] = 1
    """Version of this file."""
    intents: tuple[str, ...] = Field(min_length=1)
    """Intents that count as a parse."""
    slot_types: tuple[str, ...]
    """Types of slots that count as a parse."""
    text_form: TextForm = "written"
    """How texts are written before they are encoded."""
    max_tokens: int = Field(128, ge=2)
    """Tokens of a prompt that are read."""
    prefix_ids: tuple[int, ...] = ()
    """Ids before each prompt."""
    suffix_ids: tuple[int, ...] = ()
    """Ids after each prompt."""
    start_id: int = Field(0, ge=0)
    """First id of what an encoder–decoder writes."""
    end_id: int = Field(0, ge=0)
    """Id that ends what is written."""
    pad_id: int = Field(0, ge=0)
    """Id that fills rows."""
    max_label_tokens: int = Field(32, ge=1)
    """Tokens of the longest label."""
    num_beams: int = Field(1, ge=1)
    """Beams of the search; 1 is greedy."""
    train_locales: tuple[str, ...] = ()
    """Locales that it was trained on."""
    selection_locales: tuple[str, ...] = ()
    """Locales whose dev partition chose the epoch."""

    def write(self, folder: Path) -> None:
        """Write nlu_text.json into a folder."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2)
        (folder / TEXT_CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read_text_config(folder: Path) -> TextConfig:
    """Read the nlu_text.json of a folder.

    Args:
        folder: Of a model that writes labels.

    Returns:
        The configuration.

    Raises:
        ArtifactKindError: There is no such file.
        CorruptArtifactError: It cannot be read.
    """
    file = folder / TEXT_CONFIG_FILE
    if not file.is_file():
        raise ArtifactKindError(
            f"this folder holds no model that writes labels (no {TEXT_CONFIG_FILE})",
            where=folder,
            hint="train one with `hunmin finetune nlu BODY … --preset mt5-text-full`",
        )
    try:
        return TextConfig.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise CorruptArtifactError(
            f"{TEXT_CONFIG_FILE} cannot be read",
            where=file,
            given=error.errors()[0]["msg"],
            hint="copy the folder again, or train the model again",
        ) from error


def prompt_of(text: str, locale: str, form: TextForm) -> str:
    """Return what the model is asked.

    Args:
        text: An utterance.
        locale: Its locale; in Japanese and Chinese each character is a word.
        form: How it is written.

    Returns:
        The prompt: words with single spaces between.

    Raises:
        InputError: The text is empty.
    """
    check_text(text)
    formed = in_form(text, form)
    words = [formed[start:end] for start, end in word_offsets(text, locale)]
    return PROMPT + " ".join(words)


def target_of(made: Utterance) -> str:
    """Return what the model shall write; of two slots on one word the first one counts."""
    labels = [OUTSIDE_LABEL] * len(made.words)
    for slot in reversed(made.slots):
        labels[slot.start : slot.end] = [slot.type] * (slot.end - slot.start)
    return " ".join([*labels, made.intent])


def read_output(
    written: str, text: str, locale: str, config: TextConfig, score: float
) -> Parse | None:
    """Read what a model has written.

    Args:
        written: Its output.
        text: The utterance.
        locale: Its locale.
        config: The labels.
        score: Probability of the output.

    Returns:
        The parse; None if the output has another number of labels than the text has words, or
        names no label of the model. Neighbouring words of one type are one slot.
    """
    offsets = word_offsets(text, locale)
    parts = written.split()
    labels, intent = parts[: len(offsets)], " ".join(parts[len(offsets) :])
    known = {OUTSIDE_LABEL, *config.slot_types}
    if len(labels) < len(offsets) or intent not in config.intents or not known.issuperset(labels):
        return None
    slots = tuple(_slots(labels, offsets, text, score))
    return Parse(intent, score, ((intent, score),), slots)


def _slots(
    labels: Sequence[str], offsets: Sequence[tuple[int, int]], text: str, score: float
) -> list[ParsedSlot]:
    found: list[ParsedSlot] = []
    for label, places in groupby(range(len(labels)), key=labels.__getitem__):
        words = list(places)
        if label != OUTSIDE_LABEL:
            start, end = offsets[words[0]][0], offsets[words[-1]][1]
            found.append(ParsedSlot(label, text[start:end], start, end, score))
    return found

"""An utterance with its words, the slots over them, and its intent."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hunmin.adapt.nlu.annotations import (
    NOWHERE,
    CharacterSpan,
    Place,
    align_spans,
    parse_annotation,
    write_annotation,
)
from hunmin.core.errors import InputError

_WORD = re.compile(r"\S+")
_CHARACTER = re.compile(r"\S")
LANGUAGES_WITHOUT_SPACES = frozenset({"ja", "zh"})
"""Each character is a word in these, as in the published scorer of MASSIVE."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Words from `start` up to, not including, `end`; exact characters beside them."""

    type: str
    start: int
    end: int
    first_character: int
    end_character: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled utterance.

    Words come from `utt` alone, never from the annotation: a model sees no more when it is used.
    A slot that covers a part of a word (Korean 거실의) counts as that whole word; its exact
    characters are kept.
    """

    id: str
    locale: str
    partition: str
    scenario: str
    intent: str
    utt: str
    annot_utt: str
    """As it was read: written back unchanged."""
    words: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    """First character and the one after the last, for each word."""
    slots: tuple[Slot, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the record, in its order."""

    def spans(self) -> list[CharacterSpan]:
        """Return the slots in characters of `utt`."""
        return [
            CharacterSpan(slot.type, slot.first_character, slot.end_character)
            for slot in self.slots
        ]


def word_offsets(utt: str, locale: str) -> list[tuple[int, int]]:
    """Find the words of an utterance.

    Args:
        utt: The utterance.
        locale: Its locale, such as ko-KR or ko.

    Returns:
        First character and the one after the last of each word: what whitespace separates;
        in Japanese and Chinese every character.
    """
    language = locale.replace("_", "-").split("-")[0].lower()
    pattern = _CHARACTER if language in LANGUAGES_WITHOUT_SPACES else _WORD
    return [found.span() for found in pattern.finditer(utt)]


def slots_on_words(
    spans: Sequence[CharacterSpan], offsets: Sequence[tuple[int, int]]
) -> tuple[Slot, ...]:
    """Give each slot the words that it touches.

    Args:
        spans: Slots in characters, none of whitespace only.
        offsets: Words in characters, in order.

    Returns:
        The slots in words; two that share a word both name it.
    """
    starts = [start for start, _ in offsets]
    return tuple(
        Slot(
            type=span.type,
            start=bisect_right(starts, span.start) - 1,
            end=bisect_left(starts, span.end),
            first_character=span.start,
            end_character=span.end,
        )
        for span in spans
    )


def make_utterance(
    *,
    id: str,
    locale: str,
    intent: str,
    utt: str,
    spans: Sequence[CharacterSpan] = (),
    annot_utt: str | None = None,
    partition: str = "test",
    scenario: str = "",
    extra: Mapping[str, Any] | None = None,
    place: Place = NOWHERE,
) -> Utterance:
    """Make an utterance from its slots in characters, or from its annotation.

    Args:
        id: Key of the utterance; the same in every locale for translations.
        locale: Locale, such as ko-KR.
        intent: Its intent.
        utt: The text, not empty.
        spans: Slots in order, not overlapping; only without `annot_utt`.
        annot_utt: The text with `[slot : value]`; kept as it is.
        partition: train, dev, test or another name.
        scenario: Domain of the intent.
        extra: Other fields to keep.
        place: Where it was found, for messages.

    Returns:
        The utterance with words and slots.

    Raises:
        InputError: The utterance is empty, the annotation is malformed or of another text.
    """
    if not utt.strip():
        raise InputError(
            "an empty utterance",
            where=place.at(),
            given=repr(utt),
            allowed="at least one character that is not whitespace",
            hint="remove the record or fill in utt",
        )
    if annot_utt is None:
        annot_utt = write_annotation(utt, spans, place)
    else:
        spans = align_spans(utt, *parse_annotation(annot_utt, place), place)
    offsets = word_offsets(utt, locale)
    return Utterance(
        id=id,
        locale=locale,
        partition=partition,
        scenario=scenario,
        intent=intent,
        utt=utt,
        annot_utt=annot_utt,
        words=tuple(utt[start:end] for start, end in offsets),
        offsets=tuple(offsets),
        slots=slots_on_words(spans, offsets),
        extra=dict(extra or {}),
    )

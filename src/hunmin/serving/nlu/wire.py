"""POST /v1/nlu: what a request may say, and what an answer says.

{"texts": ["거실 불 켜줘"], "locale": "ko-KR", "n_best": 2}
-> {"id": "nlu-…", "object": "list", "created": 1790000000, "model": "assistant",
"locale": "ko-KR", "is_trained_language": false,
"data": [{"index": 0, "text": "거실 불 켜줘", "intent": "HassTurnOn", "score": 0.98,
"n_best": [{"intent": "HassTurnOn", "score": 0.98}, {…}],
"slots": [{"type": "area", "value": "거실", "start": 0, "end": 2,
"score": 0.97}],
"truncated_at": null}]}
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.decode import NUM_BEST, Parse
from hunmin.adapt.nlu.encode import check_text
from hunmin.core.errors import InputError
from hunmin.serving.app import Limits
from hunmin.serving.nlu.records import parse_record
from hunmin.serving.wire import invalid
from hunmin.text.languages import base_language, normalize_tag

MAX_BEST = 100
Score = Annotated[float, Field(ge=0.0, le=1.0, description="A probability.")]


class NluRequest(BaseModel):
    """Body of POST /v1/nlu; keys that are not listed here are accepted and ignored."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"text": "거실 불 켜줘", "locale": "ko-KR"}]},
    )

    model: str | None = Field(None, description="The model's name; null for the one served.")
    text: str | None = Field(None, description="One utterance; either this or `texts`.")
    texts: list[str] | None = Field(None, description="Several utterances of one locale.")
    locale: str | None = Field(
        None, description="Their language as a BCP 47 tag, seen in training or not."
    )
    n_best: int | None = Field(
        None, ge=1, le=MAX_BEST, strict=True, description=f"Intents to name; null for {NUM_BEST}."
    )

    @property
    def field(self) -> str:
        """The name of the field that holds the utterances."""
        return "texts" if self.texts is not None else "text"

    def utterances(self, limits: Limits) -> list[str]:
        """Give the utterances.

        Args:
            limits: What one request may ask for.

        Returns:
            At least one; none empty.

        Raises:
            RequestValidationError: There is none, or one that cannot be parsed.
        """
        if (self.text is None) == (self.texts is None):
            raise invalid("text", "give either `text`, a string, or `texts`, a list of strings")
        texts = [self.text] if self.text is not None else self.texts or []
        if not texts:
            raise invalid("texts", "the list of utterances is empty")
        if len(texts) > limits.max_texts:
            problem = f"{len(texts)} utterances; at most {limits.max_texts} in one request"
            raise invalid("texts", problem, code="too_many_texts")
        for number, text in enumerate(texts):
            self._check(text, f"item {number}: " if self.texts is not None else "", limits)
        return texts

    def _check(self, text: str, place: str, limits: Limits) -> None:
        if len(text) > limits.max_characters:
            problem = (
                f"{place}an utterance of {len(text):,} characters; at most "
                f"{limits.max_characters:,} are read"
            )
            raise invalid(self.field, problem, code="utterance_too_long")
        try:
            check_text(text)
        except InputError as error:
            raise invalid(self.field, f"{place}{error.problem}") from error

    def language_tag(self) -> str:
        """Give the locale in its canonical form; empty if there is none.

        Returns:
            The tag.

        Raises:
            RequestValidationError: It is no language tag.
        """
        if self.locale is None:
            return ""
        try:
            return normalize_tag(self.locale)
        except InputError as error:
            raise invalid("locale", f"{error.problem} allowed: {error.allowed}") from error


class IntentReply(BaseModel):
    """An intent and its probability."""

    intent: str
    score: Score


class SlotReply(BaseModel):
    """A slot."""

    type: str
    value: str = Field(description="Its characters: text[start:end].")
    start: int = Field(description="Its first character, counted in Unicode code points from 0.")
    end: int = Field(description="The character after its last.")
    score: Score


class ParseReply(BaseModel):
    """What one utterance means."""

    index: int = Field(description="Number of the utterance in the request.")
    text: str
    intent: str
    score: Score
    n_best: list[IntentReply] = Field(description="The likeliest intents, best first.")
    slots: list[SlotReply] = Field(description="In the order of the text; they do not overlap.")
    truncated_at: int | None = Field(
        description="Character from which on nothing was read; null if all was."
    )


class NluReply(BaseModel):
    """Answer to POST /v1/nlu."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    locale: str | None
    is_trained_language: bool | None = Field(
        description="Whether labelled utterances of the locale's language were trained on; "
        "null without a locale."
    )
    data: list[ParseReply]


def write_reply(
    model_id: str, config: NluConfig, locale: str, texts: Sequence[str], parses: Sequence[Parse]
) -> NluReply:
    """Write an answer.

    Args:
        model_id: The model's name.
        config: Its configuration.
        locale: Canonical tag; empty for none.
        texts: The utterances.
        parses: One for each.

    Returns:
        The answer.
    """
    pairs = zip(texts, parses, strict=True)
    return NluReply(
        id=f"nlu-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=model_id,
        locale=locale or None,
        is_trained_language=is_trained_language(config, locale) if locale else None,
        data=[
            ParseReply.model_validate(parse_record(number, text, parse))
            for number, (text, parse) in enumerate(pairs)
        ],
    )


def is_trained_language(config: NluConfig, locale: str) -> bool:
    """Tell whether a model was trained on labelled utterances of a locale's language."""
    trained = {base_language(normalize_tag(name)) for name in config.train_locales}
    return base_language(locale) in trained

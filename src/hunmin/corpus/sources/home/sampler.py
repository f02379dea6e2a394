"""Drawing utterances from a template: a random walk over its parsed expression."""

from __future__ import annotations

import random
import re
from typing import Any, NamedTuple

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.intents import RangeSlotList, TextSlotList

from hunmin.corpus.sources.home.templates import Template, TemplateSet
from hunmin.corpus.sources.home.values import draw_number, names_for, texts_for
from hunmin.text.korean import fit_particle
from hunmin.text.languages import base_language
from hunmin.text.unicode import normalize

_WHITE_SPACE = re.compile(r"\s+")
_LEFT_OVER = re.compile(r"[\[\]{}<>|()\\]")
_MIN_ECHO = 3
_MIN_STEM = 4
_MAX_ENDING = 3
# Languages that write an apostrophe and the word after it together.
_ELIDING = frozenset({"ca", "fr", "it"})
_WRONG_ELISION = re.compile(r"\b(?:\w*l|d|s|n|m|qu)'[bcdfgjklmnpqrstvwxz\d]", re.IGNORECASE)
_NO_SPACE_BEFORE = (",", ".", "?", "!", ";", "،", "؟")


class Slot(NamedTuple):
    """A slot's value in an utterance."""

    name: str
    """Name of the slot, such as area or brightness."""
    start: int
    """First character."""
    end: int
    """One past the last character."""
    value: Any
    """What it means: a code, a number, or the text itself."""


class Utterance(NamedTuple):
    """A drawn sentence."""

    text: str
    """In NFC, single spaces, none around it."""
    slots: tuple[Slot, ...]
    """In order, not overlapping."""


class UtteranceSampler:
    """Draws utterances from the templates of one language.

    Args:
        templates: The language's templates, rules and lists.
    """

    def __init__(self, templates: TemplateSet) -> None:
        self._templates = templates
        self._language = templates.language

    def draw(self, template: Template, rng: random.Random) -> Utterance | None:
        """Draw one utterance.

        Args:
            template: One of the language's templates.
            rng: Source of chance; its state decides the utterance.

        Returns:
            An utterance; None if a slot on the way has no value in this language, or the words
            chosen do not go together.
        """
        walk = _Walk(self._templates, template, rng)
        line = _Line(base_language(self._language))
        if not walk.speak(template.expression, line):
            return None
        text = line.text()
        if not text or _LEFT_OVER.search(text) or normalize(text) != text:
            return None
        if base_language(self._language) in _ELIDING and _WRONG_ELISION.search(text):
            return None
        return Utterance(text, tuple(line.slots))


class _Line:
    """The words of an utterance so far: single spaces, and where the slots are."""

    def __init__(self, language: str) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._last = " "
        self._language = language
        self._slot_before = ""
        self._swallows = False
        self.slots: list[Slot] = []

    def add(self, text: str) -> None:
        text = self._without_echo(_WHITE_SPACE.sub(" ", text))
        if self._last == " ":
            text = text.lstrip(" ")
            if self._parts and text.startswith(_NO_SPACE_BEFORE):
                self._drop_last()
        elif self._language == "ko":
            text = fit_particle(self._last, text)
        elif self._language in _ELIDING and text.startswith(" "):
            text = self._joined(text)
        if text:
            self._parts.append(text)
            self._length += len(text)
            self._last = text[-1]

    def add_slot(self, name: str, text: str, value: Any) -> None:
        stripped = text.strip()
        self._swallows = False
        if text[:1].isspace():
            self.add(" ")
        start = self._length
        self.add(stripped)
        if self._length > start:
            self.slots.append(Slot(name, start, self._length, value))
            self._slot_before = stripped.casefold()
        if text[-1:].isspace():
            self.add(" ")

    def text(self) -> str:
        return "".join(self._parts).rstrip(" ")

    def _without_echo(self, text: str) -> str:
        """Drop a word that the slot before it ends with already: "first floor floor"."""
        if self._swallows:
            return self._after_word(text)
        slot, word = self._slot_before, text.strip().split(" ", 1)[0]
        if not slot or not word:
            return text
        self._slot_before = ""
        if not _is_echo(slot, word.casefold()):
            return text
        before, _, after = text.partition(word)
        return _WHITE_SPACE.sub(" ", before + self._after_word(after))

    def _after_word(self, text: str) -> str:
        """Swallow the rest of a dropped word, which may come in several pieces."""
        self._swallows = " " not in text
        return "" if self._swallows else text[text.index(" ") :]

    def _joined(self, text: str) -> str:
        """Close the gap after an apostrophe; drop a hyphen that joins nothing."""
        if self._last == "-":
            self._drop_last()
        return text.lstrip(" ") if self._last == "'" else text

    def _drop_last(self) -> None:
        self._parts[-1] = self._parts[-1][:-1]
        self._length -= 1


def _is_echo(slot: str, word: str) -> bool:
    """Whether a word repeats the end of a slot, perhaps with another ending of its own."""
    if len(word) < _MIN_ECHO or not word.isalpha():
        return False
    last = slot.rsplit(" ", 1)[-1]
    stem = max(_MIN_STEM, len(last) - _MAX_ENDING, len(word) - _MAX_ENDING)
    return last.endswith(word) or last[:stem] == word[:stem]


class _Walk:
    """One way through a template."""

    def __init__(self, templates: TemplateSet, template: Template, rng: random.Random) -> None:
        self._templates, self._template, self._rng = templates, template, rng

    def speak(self, expression: Expression, line: _Line) -> bool:
        """Add an expression's words to the line; False if a slot has no value."""
        if isinstance(expression, TextChunk):
            line.add(expression.original_text)
            return True
        if isinstance(expression, Alternative):
            return self.speak(self._rng.choice(expression.items), line)
        if isinstance(expression, Permutation):
            order = self._rng.sample(expression.items, len(expression.items))
            return all(self.speak(item, line) for item in order)
        if isinstance(expression, Group):
            return all(self.speak(item, line) for item in expression.items)
        if isinstance(expression, RuleReference):
            rule = self._templates.rules.get(expression.rule_name)
            return rule is not None and self.speak(rule, line)
        return isinstance(expression, ListReference) and self._speak_slot(expression, line)

    def _speak_slot(self, reference: ListReference, line: _Line) -> bool:
        drawn = self._value_of(reference)
        if drawn is None or not drawn[0].strip():
            return False
        line.add_slot(reference.slot_name, *drawn)
        return True

    def _value_of(self, reference: ListReference) -> tuple[str, Any] | None:
        name = reference.list_name
        values = self._templates.lists.get(name)
        inline = reference.get_inline_range()
        if inline is not None:
            values = RangeSlotList(name, *inline)
        if isinstance(values, RangeSlotList):
            return draw_number(values, name, self._templates.language, self._rng)
        if isinstance(values, TextSlotList):
            chosen = self._rng.choice(values.values)
            inner = _Line("")
            return (inner.text(), chosen.value_out) if self.speak(chosen.text_in, inner) else None
        texts = self._open_texts(name)
        text = self._rng.choice(texts) if texts else None
        return None if text is None else (text, text)

    def _open_texts(self, name: str) -> tuple[str, ...]:
        language = self._templates.language
        if name == "name":
            return names_for(language, self._template.domains)
        return texts_for(language, name)

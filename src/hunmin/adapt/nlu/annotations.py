r"""Annotated utterances, `wake me at [time : nine am]`, as spans of characters and back.

A literal bracket is written with a backslash before it, `\[`; backslashes before a bracket are
doubled. Text without brackets is written exactly as the MASSIVE data set has it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NoReturn

from hunmin.core.errors import InputError
from hunmin.text.annotations import BRACKETS, annotate

_FORM = "[slot : value], with \\[ and \\] for brackets that belong to the text"
_HEADER = re.compile(r"\s*([^\s:\[\]\\]+)\s*:\s*")
_SLOT_TYPE = re.compile(r"[^\s:\[\]\\]+")
_VISIBLE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an annotation stands, for messages: a file, a line and a record."""

    path: str = "annotation"
    line: int | None = None
    record: str | None = None

    def at(self, column: int | None = None) -> str:
        """Return `path:line:column (record id)`, as far as it is known."""
        numbers = [str(number) for number in (self.line, column) if number is not None]
        name = ":".join([self.path, *numbers])
        return name if self.record is None else f"{name} (record {self.record})"


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class CharacterSpan:
    """A slot's place in the text: characters from `start` up to, not including, `end`."""

    type: str
    start: int
    end: int


@dataclass(slots=True)
class _Reader:
    """Collects the plain text of one annotation from its left to its right."""

    annotated: str
    place: Place
    parts: list[str]
    spans: list[CharacterSpan]
    length: int = 0
    done: int = 0
    slot: tuple[str, int, int, int] | None = None
    """The open slot: type, first character and first part in the plain text, its bracket."""

    def take(self, end: int) -> None:
        """Move the text up to `end` of the annotation into the plain text."""
        self.add(self.annotated[self.done : end])
        self.done = end

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def mark(self, found: re.Match[str]) -> None:
        """Handle a bracket and the backslashes before it."""
        backslashes = len(found[1])
        self.take(found.start())
        self.add("\\" * (backslashes // 2))
        self.done = found.end()
        if backslashes % 2:
            self.add(found[2])
        elif found[2] == "[":
            self.open(found.start(2))
        else:
            self.close(found.start(2))

    def open(self, position: int) -> None:
        header = _HEADER.match(self.annotated, position + 1)
        if self.slot is not None:
            self.refuse("a slot opens inside another slot", position)
        if header is None:
            self.refuse("a bracket that opens no slot", position)
        self.slot = (header[1], self.length, len(self.parts), position)
        self.done = header.end()

    def close(self, position: int) -> None:
        if self.slot is None:
            self.refuse("a bracket closes, but no slot is open", position)
        kind, start, first_part, opened = self.slot
        value = "".join(self.parts[first_part:]).rstrip()
        if not value:
            self.refuse(f"the slot '{kind}' is empty", opened)
        self.spans.append(CharacterSpan(kind, start, start + len(value)))
        self.slot = None

    def refuse(self, problem: str, position: int) -> NoReturn:
        raise InputError(
            problem,
            where=self.place.at(position + 1),
            given=_excerpt(self.annotated, position),
            allowed=_FORM,
            hint="correct the annotation at this column",
        )


def _excerpt(text: str, position: int) -> str:
    start, end = max(0, position - 30), position + 30
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def parse_annotation(annotated: str, place: Place = NOWHERE) -> tuple[str, list[CharacterSpan]]:
    """Split an annotated utterance into its text and its slots.

    Args:
        annotated: Text with each slot as `[slot : value]`.
        place: Where it was found, for messages.

    Returns:
        The text without annotation, and the slots in order, in its characters. Whitespace around
        a value belongs to no slot.

    Raises:
        InputError: A literal bracket without backslash, an unclosed, nested or empty slot; the
            message names the column (from 1).
    """
    reader = _Reader(annotated, place, [], [])
    for found in BRACKETS.finditer(annotated):
        reader.mark(found)
    reader.take(len(annotated))
    if reader.slot is not None:
        kind, *_, position = reader.slot
        reader.refuse(f"the slot '{kind}' is never closed", position)
    return "".join(reader.parts), reader.spans


def write_annotation(text: str, spans: Sequence[CharacterSpan], place: Place = NOWHERE) -> str:
    """Write slots into a text; the inverse of `parse_annotation`.

    Args:
        text: The utterance.
        spans: Slots in order, not overlapping, none empty.
        place: Where they were found, for messages.

    Returns:
        The text with each value as `[slot : value]`, brackets of the text escaped.

    Raises:
        InputError: Slots overlap, lie outside of the text, are empty, begin or end with
            whitespace, or have a type that the form cannot hold.
    """
    done = 0
    for span in spans:
        _check_span(text, span, done, place)
        done = span.end
    return annotate(text, [(span.type, span.start, span.end) for span in spans])


def _check_span(text: str, span: CharacterSpan, done: int, place: Place) -> None:
    value = text[span.start : span.end]
    problem = None
    if not _SLOT_TYPE.fullmatch(span.type):
        problem = "the type of a slot has whitespace, a colon, a bracket or a backslash"
    elif not done <= span.start < span.end <= len(text):
        problem = "a slot is empty, outside of the text or overlaps the one before it"
    elif value != value.strip():
        problem = "a slot begins or ends with whitespace"
    if problem:
        raise InputError(
            problem,
            where=place.at(),
            given=f"{span} in a text of {len(text)} characters",
            allowed="slots in order, apart, with at least one character, such as date or person",
            hint="correct the span, or leave the slot out",
        )


def align_spans(
    utt: str, plain: str, spans: list[CharacterSpan], place: Place = NOWHERE
) -> list[CharacterSpan]:
    """Move spans of an annotation's text to the utterance itself.

    Args:
        utt: The utterance.
        plain: The annotation's text; may differ from `utt` in whitespace only.
        spans: Slots in characters of `plain`.
        place: Where both were found, for messages.

    Returns:
        The same slots in characters of `utt`.

    Raises:
        InputError: The annotation has other text than the utterance.
    """
    if utt == plain:
        return spans
    ours = [found.start() for found in _VISIBLE.finditer(utt)]
    theirs = [found.start() for found in _VISIBLE.finditer(plain)]
    if [utt[at] for at in ours] != [plain[at] for at in theirs]:
        _refuse_mismatch(utt, plain, place)
    bounds = [(bisect_left(theirs, span.start), bisect_left(theirs, span.end)) for span in spans]
    return [
        CharacterSpan(span.type, ours[first], ours[end - 1] + 1)
        for span, (first, end) in zip(spans, bounds, strict=True)
    ]


def _refuse_mismatch(utt: str, plain: str, place: Place) -> NoReturn:
    pairs = zip_longest(_VISIBLE.finditer(utt), _VISIBLE.finditer(plain))
    ours, theirs = next((a, b) for a, b in pairs if not (a and b and a[0] == b[0]))
    column = ours.start() if ours else len(utt)
    other = theirs.start() if theirs else len(plain)
    raise InputError(
        f"utt and annot_utt differ, first at character {column + 1} of utt",
        where=place.at(column + 1),
        given=f"utt '{_excerpt(utt, column)}', annot_utt without slots '{_excerpt(plain, other)}'",
        allowed="the same text in both, apart from whitespace",
        hint="correct one of them; brackets of the text itself are written \\[ and \\]",
    )

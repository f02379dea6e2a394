"""Masking of one text: find, decide by priority, put tokens in place."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from hunmin.corpus.privacy.folding import fold
from hunmin.corpus.privacy.patterns import Pattern, load_patterns
from hunmin.corpus.privacy.scan import SCANS, may_hold_data
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.corpus.privacy.tokens import token_of
from hunmin.corpus.privacy.validators import Candidate
from hunmin.text.languages import UNDETERMINED

_BEFORE, _AFTER = 40, 20
# Further than any window reaches around what a scan finds.
_NEAR = 250


class Span(NamedTuple):
    """Where personal data stand in a text."""

    start: int
    """Offset of the first character."""
    end: int
    """Offset behind the last one."""
    type: str
    """Of PRIVACY_TYPES."""
    pattern: str
    """Name of the pattern that found it."""


class TextMasker:
    """Masks texts; holds compiled patterns and nothing of what it saw.

    Args:
        spec: What to mask.
    """

    def __init__(self, spec: PrivacySpec) -> None:
        self.spec = spec
        patterns = load_patterns(spec.types)
        self._by_scan = {
            name: tuple(pattern for pattern in patterns if pattern.scan == name) for name in SCANS
        }
        self._rank = {pattern.name: rank for rank, pattern in enumerate(patterns)}

    def mask(self, text: str, language: str = UNDETERMINED) -> tuple[str, dict[str, int]]:
        """Put tokens in place of personal data.

        Args:
            text: Any text.
            language: BCP 47 tag; some national formats need no word beside them in their language.

        Returns:
            The text, the same object if nothing was found, and counts by type.

        Note:
            Runs until nothing more is found: a token is shorter or longer than what it replaces
            and brings words and numbers near each other, so one pass would not be a fixed point.
        """
        counts: dict[str, int] = {}
        spans = self.find(text, language)
        while spans:
            for span in spans:
                counts[span.type] = counts.get(span.type, 0) + 1
            text, places = _replace(text, spans)
            spans = self.find(text, language) if self._may_hold_more(text, places) else []
        return text, counts

    def _may_hold_more(self, text: str, places: list[int]) -> bool:
        """Tell whether a scan finds anything near the tokens; far from them nothing has changed."""
        return any(
            next(SCANS[name](text[max(0, place - _NEAR) : place + _NEAR]), None) is not None
            for place in places
            for name, patterns in self._by_scan.items()
            if patterns
        )

    def find(self, text: str, language: str = UNDETERMINED) -> list[Span]:
        """Find personal data in one pass.

        Args:
            text: Any text.
            language: BCP 47 tag.

        Returns:
            Spans in the order of the text; none overlaps another.
        """
        found: list[Span] = []
        if not may_hold_data(text):
            return found
        for name, patterns in self._by_scan.items():
            if patterns:
                for start, end in SCANS[name](text):
                    found += _matches(text, start, end, patterns, language)
        if len(found) < 2:
            return found
        return self._without_overlaps(found)

    def _without_overlaps(self, found: list[Span]) -> list[Span]:
        kept: list[Span] = []
        found.sort(key=lambda span: (self._rank[span.pattern], span.start, -span.end))
        taken: set[int] = set()
        for span in found:
            places = range(span.start, span.end)
            if taken.isdisjoint(places):
                taken.update(places)
                kept.append(span)
        return sorted(kept)


@functools.cache
def masker_for(spec: PrivacySpec) -> TextMasker:
    """Return the masker of a spec, made once in a process."""
    return TextMasker(spec)


def _matches(
    text: str, start: int, end: int, patterns: tuple[Pattern, ...], language: str
) -> Iterator[Span]:
    """Yield the accepted matches of a window, with offsets in the whole text."""
    folded = fold(text[start:end])
    for pattern in patterns:
        if not pattern.may_match(folded.text):
            continue
        position = 0
        while match := pattern.regex.search(folded.text, position):
            accepted = _accepted(pattern, match, language)
            if accepted is None:
                # What was refused as a whole may hold a number further on.
                position = match.start() + 1
                continue
            first, last = folded.original(_begin(accepted), accepted.end())
            yield Span(start + first, start + last, pattern.type, pattern.name)
            position = accepted.end()


def _accepted(pattern: Pattern, match: re.Match[str], language: str) -> re.Match[str] | None:
    """Return the match, or the longest part of it up to a space that is accepted."""
    shorter: re.Match[str] | None = match
    text, (start, end) = match.string, match.span()
    while shorter is None or not pattern.accepts(_candidate(shorter), language):
        end = text.rfind(" ", start, end)
        if end <= start:
            return None
        shorter = pattern.regex.fullmatch(text, start, end)
    return shorter


def _candidate(match: re.Match[str]) -> Candidate:
    text, (start, end) = match.string, match.span()
    return Candidate(match[0], text[max(0, start - _BEFORE) : start], text[end : end + _AFTER])


def _begin(match: re.Match[str]) -> int:
    """Return where the match begins, a parenthesis left out that is not closed in it."""
    return match.start() + (match[0].startswith("(") and ")" not in match[0])


def _replace(text: str, spans: list[Span]) -> tuple[str, list[int]]:
    """Return the text with tokens in place of spans, and the offsets of the tokens in it."""
    parts: list[str] = []
    places: list[int] = []
    position = length = 0
    for span in spans:
        parts += [text[position : span.start], token_of(span.type)]
        length += span.start - position
        places.append(length)
        length += len(parts[-1])
        position = span.end
    return "".join([*parts, text[position:]]), places

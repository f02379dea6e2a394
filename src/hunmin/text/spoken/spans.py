"""The spoken form of an utterance with slots: where each value stands afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from hunmin.text.spoken.form import spoken_form

Span = tuple[int, int]
"""First character and one past the last."""


def speak_spans(text: str, spans: Sequence[Span], language: str) -> tuple[str, list[Span]] | None:
    """Write an utterance as it is spoken and find its slots again.

    How a number is read depends on what is around it (3 is 세 before 시간, 삼 before 분), so the
    whole is spoken first. A slot then begins where the spoken form of what stands before it ends;
    it ends where that of all up to its end does, or, if its own reading depends on what follows,
    where the spoken form of what follows begins.

    Args:
        text: NFC, one line.
        spans: In order, not overlapping, none empty.
        language: A canonical language tag.

    Returns:
        The spoken form and the spans in it; None where a value cannot be found again, because its
        reading changes what is around it or it has no word.
    """
    spoken = spoken_form(text, language)
    found: list[Span] = []
    done = 0
    for start, end in spans:
        before, through, after = (
            spoken_form(part, language) for part in (text[:start], text[:end], text[end:])
        )
        first = _after(spoken, before)
        last = _end(spoken, through, after)
        if first is None or last is None or not done <= first < last:
            return None
        found.append((first, last))
        done = last
    return spoken, found


def _after(spoken: str, before: str) -> int | None:
    """Where what follows `before` begins."""
    if not spoken.startswith(before):
        return None
    return len(spoken) - len(spoken[len(before) :].lstrip(" "))


def _end(spoken: str, through: str, after: str) -> int | None:
    if spoken.startswith(through):
        return len(through)
    if not spoken.endswith(after):
        return None
    return len(spoken[: len(spoken) - len(after)].rstrip(" "))

"""Slots in utterances: brackets and backslashes of the text stay what they are."""

from __future__ import annotations

import pytest

from hunmin.text.annotations import annotate


@pytest.mark.parametrize(
    ("text", "slots", "annotated"),
    [
        ("wake me at nine", [("time", 11, 15)], "wake me at [time : nine]"),
        ("play [live] a [b]", [("song", 12, 17)], r"play \[live\] [song : a \[b\]]"),
        ("open c:\\ now", [("path", 5, 8)], "open [path : c:\\\\] now"),
        ("거실을 밝게", [("area", 0, 2)], "[area : 거실]을 밝게"),
        ("no slots [x", [], r"no slots \[x"),
    ],
)
def test_brackets_of_the_text_are_escaped(
    text: str, slots: list[tuple[str, int, int]], annotated: str
) -> None:
    assert annotate(text, slots) == annotated

"""The place of a document where an evaluation item stands, for people to look at."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\S+")
_RUN, _STEPS = 15, 8
_AROUND = 40
_MOST = 240


def excerpt(text: str, item: str) -> str:
    """Return the document around an item, on one line.

    Args:
        text: The document.
        item: The item, as it is written in its set.

    Returns:
        Up to about 240 characters; the beginning of the document if the item cannot be placed,
        because the search knows more about letters than this.
    """
    wanted, found = " ".join(item.split()), _first_run(_folded(text), item)
    start = 0 if found is None else max(0, found - _AROUND)
    end = min(len(text), start + min(_MOST, len(wanted) + len(wanted) // 4 + 2 * _AROUND))
    shown = " ".join(text[start:end].split())
    return ("…" if start else "") + shown + ("…" if end < len(text) else "")


def _folded(text: str) -> str:
    """Lower case of the same length, so that places stay places."""
    lower = unicodedata.normalize("NFC", text).lower()
    return lower if len(lower) == len(text) else text


def _first_run(text: str, item: str) -> int | None:
    """Where one of some runs of the item stands, white space left out on both sides."""
    letters, visible = "".join(_folded(item).split()), "".join(text.split())
    last = max(0, len(letters) - _RUN)
    for start in dict.fromkeys(last * step // _STEPS for step in range(_STEPS + 1)):
        place = visible.find(letters[start : start + _RUN]) if letters else -1
        if place >= 0:
            return _place_with_space(text, max(0, place - start))
    return None


def _place_with_space(text: str, place: int) -> int:
    """Where the visible character of a number stands in the text."""
    seen = 0
    for word in _WORD.finditer(text):
        if seen + len(word[0]) > place:
            return word.start() + place - seen
        seen += len(word[0])
    return len(text)

"""Copies of real texts with known changes, to measure how many of them are found."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence

import pyarrow as pa

from hunmin.core.errors import InputError, suggest
from hunmin.core.hashing import seed_from

Change = Callable[[str, random.Random], str]


def exact(text: str, _draw: random.Random) -> str:
    """Return the text itself."""
    return text


def decomposed(text: str, _draw: random.Random) -> str:
    """Return the text in NFD: jamo for Hangul, letters and marks apart."""
    return unicodedata.normalize("NFD", text)


def edited(share: float) -> Change:
    """Return a change that replaces this share of the words by others of the text."""

    def change(text: str, draw: random.Random) -> str:
        words = text.split(" ")
        for place in draw.sample(range(len(words)), round(share * len(words))):
            words[place] = draw.choice(words)[::-1]
        return " ".join(words)

    return change


def spaces_lost(share: float) -> Change:
    """Return a change that takes this share of the spaces out."""

    def change(text: str, draw: random.Random) -> str:
        parts = text.split(" ")
        lost = set(draw.sample(range(1, len(parts)), round(share * (len(parts) - 1))))
        joined = ["" if place in lost else " " for place in range(1, len(parts))]
        return "".join(part + gap for part, gap in zip(parts, [*joined, ""], strict=True))

    return change


def padded(text: str, draw: random.Random) -> str:
    """Return the text between lines of a page's frame, about a twentieth as long as itself."""
    frame = [f"menu {draw.randrange(10**6)}" for _ in range(max(1, len(text) // 400))]
    return "\n".join([*frame, text, f"page {draw.randrange(10**6)}"])


CHANGES: dict[str, Change] = {
    "exact": exact,
    "nfd": decomposed,
    "edited 1%": edited(0.01),
    "edited 3%": edited(0.03),
    "spaces lost 3%": spaces_lost(0.03),
    "spaces lost 15%": spaces_lost(0.15),
    "padded": padded,
}
"""Ways in which copies of one text differ in real collections."""


def plant(
    documents: pa.Table, counts: dict[str, int], *, seed: int = 0, min_characters: int = 200
) -> pa.Table:
    """Add changed copies of documents.

    Args:
        documents: Columns `id`, `text` and `language`.
        counts: How many copies of each kind of CHANGES.
        seed: Another seed copies other documents.
        min_characters: Shorter documents are not copied.

    Returns:
        The copies: `id`, `text`, `language`, `origin` (id of the document) and `change`.

    Raises:
        InputError: A kind is not known, or there are fewer documents than copies of a kind.
    """
    rows = [row for row in documents.to_pylist() if len(row["text"]) >= min_characters]
    rows.sort(key=lambda row: str(row["id"]))
    copies = [
        _copy(row, change, seed)
        for change, count in counts.items()
        for row in _drawn(rows, change, count, seed)
    ]
    names = ("id", "text", "language", "origin", "change")
    return pa.Table.from_pylist(copies, schema=pa.schema([(name, pa.string()) for name in names]))


def _drawn(
    rows: Sequence[dict[str, str]], change: str, count: int, seed: int
) -> list[dict[str, str]]:
    if change not in CHANGES:
        raise InputError(
            f"this is no kind of copy.{suggest(change, CHANGES)}",
            given=repr(change),
            allowed=", ".join(CHANGES),
        )
    if count > len(rows):
        raise InputError("too few documents to copy", given=f"{len(rows):,} for {count:,} copies")
    return random.Random(seed_from("plant", seed, change)).sample(rows, count)


def _copy(row: dict[str, str], change: str, seed: int) -> dict[str, str]:
    draw = random.Random(seed_from("copy", seed, change, row["id"]))
    return {
        "id": f"{row['id']}/{change}",
        "text": CHANGES[change](row["text"], draw),
        "language": row["language"],
        "origin": row["id"],
        "change": change,
    }

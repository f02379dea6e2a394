"""Showing text out of a corpus: what cannot be seen is named, what changed is marked."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from hunmin.corpus.report.blocks import Piece

# Controls, marks of direction, zero-width characters, private use and surrogates. Joiners
# (U+200C, U+200D) stay: Persian, Indic scripts and emoji need them. Line feeds and tabs stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e007f]"
)
MAX_SPELLED = 6
_ODD_SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SPACE_SIGNS = {ord(" "): "\u2423", ord("\t"): "\u21e5\t", ord("\n"): "\u21b5\n"}
_TOKEN = re.compile(r"\s+|\w+|[^\w\s]+")
WINDOW = 400
"""Samples are cut to this many characters."""


def visible(text: str) -> str:
    """Name the characters that a page would hide, or that would change how it is laid out.

    Args:
        text: Any text, lone surrogates included.

    Returns:
        The text with such characters as `[U+200B]`; line feeds and tabs stay.
    """
    return _HIDDEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def plain(text: str) -> tuple[Piece, ...]:
    """Return a text of one stretch, its hidden characters named."""
    return (Piece(visible(text)),) if text else ()


def mark_changes(
    before: str, after: str, *, window: int = WINDOW
) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Mark what a text lost and what it got.

    Args:
        before: At most some hundred characters.
        after: The same stretch of the text later.
        window: Characters at which samples were cut off.

    Returns:
        The pieces of both texts. Words are compared; within a word that changed only the part
        between the common beginning and end is marked. At the end of a sample that was cut off,
        text of one side only is no change: the other was cut off elsewhere.
    """
    old, new = _tokens(before), _tokens(after)
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    left: list[Piece] = []
    right: list[Piece] = []
    is_cut = max(len(before), len(after)) >= window
    for kind, i, j, k, m in steps:
        is_end = is_cut and (j, m) == (len(old), len(new))
        one, other = _pair("".join(old[i:j]), "".join(new[k:m]), kind, is_end=is_end)
        left += one
        right += other
    return _joined(left), _joined(right)


def _tokens(text: str) -> list[str]:
    """Words, spaces and signs; a combining mark stays with what it stands on."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if tokens and _combines(token[0]):
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens


def _pair(old: str, new: str, kind: str, *, is_end: bool) -> tuple[list[Piece], list[Piece]]:
    """Pieces of a stretch of both texts; `is_end` where samples were cut off."""
    start, end = _common(old, new)
    is_more = is_end and start == min(len(old), len(new))
    if kind == "equal" or is_more:
        return [Piece(old)], [Piece(new)]
    one, other = _between(old, start, end), _between(new, start, end)
    if looks_the_same(one[1].text, other[1].text):
        one[1], other[1] = _spelled(one[1]), _spelled(other[1])
    return one, other


def _spelled(piece: Piece) -> Piece:
    """Write the code points behind what two Unicode forms show alike, if they are few."""
    codes = " ".join(f"{ord(character):04X}" for character in piece.text)
    few = len(piece.text) <= MAX_SPELLED
    return Piece(f"{piece.text} [{codes}]" if few else piece.text, is_marked=True)


def _between(text: str, start: int, end: int) -> list[Piece]:
    stop = len(text) - end
    return [Piece(text[:start]), Piece(text[start:stop], is_marked=True), Piece(text[stop:])]


def _common(old: str, new: str) -> tuple[int, int]:
    """Lengths of the common beginning and end; no base is parted from its combining marks."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most)
    while start and (_combines(old[start : start + 1]) or _combines(new[start : start + 1])):
        start -= 1
    rest = most - start
    end = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    while end and _combines(old[-end]):
        end -= 1
    return start, end


def _combines(character: str) -> bool:
    if not character:
        return False
    is_jamo = "\u1160" <= character <= "\u11ff"
    return is_jamo or unicodedata.category(character).startswith("M")


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Join neighbours of the same kind; characters are named only now, so that all compare."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and piece.text and joined[-1].is_marked == piece.is_marked:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.is_marked)
        elif piece.text:
            joined.append(piece)
    return tuple(Piece(_told(piece), piece.is_marked) for piece in joined)


def _told(piece: Piece) -> str:
    """Name what is hidden; where white space is all that changed, show it too."""
    text = visible(piece.text)
    if not piece.is_marked:
        return text
    text = _ODD_SPACE.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)
    return text.translate(_SPACE_SIGNS) if text.isspace() else text


def looks_the_same(before: str, after: str) -> bool:
    """Tell whether two texts differ in their Unicode form only."""
    forms = {unicodedata.normalize("NFC", text) for text in (before, after)}
    return before != after and len(forms) == 1

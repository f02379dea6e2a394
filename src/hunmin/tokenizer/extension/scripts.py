"""Which pieces can occur only in texts of some scripts, also when they hold parts of characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from hunmin.text.scripts import script_characters

_LEAD_LENGTHS = ((0xC2, 0xE0, 2), (0xE0, 0xF0, 3), (0xF0, 0xF5, 4))
_SURROGATES = range(0xD800, 0xE000)


_UNDECIDED = ("Zyyy", "Zinh")


class PieceRule:
    """Decides which pieces an extension may add.

    Args:
        scripts: Codes of scripts; a piece must then hold or begin a character of one of them.
            Empty for no such condition.

    Note:
        A piece is either whole characters, or ends within its first character that is not ASCII:
        pieces that hold a character and a part of the next one are never admitted.

        A piece that begins a character is admitted with scripts if all assigned characters that it
        can begin are of these scripts, or signs shared by all scripts, such as the baht sign among
        the Thai letters. Two bytes of four begin 4,096 characters of many scripts; they need only
        begin one. `shared` tells which other characters are concerned.
    """

    def __init__(self, scripts: tuple[str, ...] = ()) -> None:
        self.scripts = scripts
        self._characters = script_characters(scripts)
        self._allowed = self._characters | script_characters(_UNDECIDED)

    def admits(self, piece: bytes) -> bool:
        """Tell whether a piece may be added."""
        complete, rest = split_partial(piece)
        try:
            text = complete.decode()
        except UnicodeDecodeError:
            return False
        if rest:
            return text.isascii() and self._begins_one(rest)
        return self.holds(text)

    def holds(self, text: str) -> bool:
        """Tell whether a text has a character of the scripts; True if there is no condition."""
        return not self.scripts or not self._characters.isdisjoint(text)

    def shared(self, pieces: Iterable[bytes]) -> frozenset[str]:
        """Return the characters outside the scripts that one of these pieces can begin."""
        rests = {rest for rest in (split_partial(piece)[1] for piece in pieces) if rest}
        begun = frozenset(character for rest in rests for character in possible_characters(rest))
        return begun - self._characters if self.scripts else frozenset()

    def _begins_one(self, rest: bytes) -> bool:
        if not self.scripts:
            return True
        possible = possible_characters(rest)
        begins = not self._characters.isdisjoint(possible)
        is_half = len(rest) == 2 and _length(rest[0]) == 4
        return begins and (is_half or self._allowed.issuperset(possible))


def split_partial(piece: bytes) -> tuple[bytes, bytes]:
    """Cut off the character that a piece begins and does not end.

    Args:
        piece: Bytes of a piece.

    Returns:
        What comes before it, and its bytes; the second is empty if the last character is whole.
    """
    for length in range(1, min(3, len(piece)) + 1):
        wanted = _length(piece[-length])
        if wanted:
            return (piece[:-length], piece[-length:]) if wanted > length else (piece, b"")
    return piece, b""


def _length(lead: int) -> int:
    return next((size for low, high, size in _LEAD_LENGTHS if low <= lead < high), 0)


@lru_cache(maxsize=4096)
def possible_characters(rest: bytes) -> str:
    """Return all assigned characters whose UTF-8 begins with these bytes.

    Args:
        rest: A lead byte and fewer continuation bytes than it asks for.

    Returns:
        The characters in order, without those for private use.
    """
    missing = _length(rest[0]) - len(rest)
    low, high = (_code(rest, missing, filler) for filler in (0x80, 0xBF))
    candidates = (chr(code) for code in range(low, high + 1) if code not in _SURROGATES)
    begin = (c for c in candidates if c.encode().startswith(rest))
    return "".join(c for c in begin if unicodedata.category(c) not in ("Cn", "Co"))


def _code(rest: bytes, missing: int, filler: int) -> int:
    """Return the code point of a character of which the last bytes are the filler."""
    size = len(rest) + missing
    code = rest[0] & (0x7F >> size)
    for byte in [*rest[1:], *[filler] * missing]:
        code = (code << 6) | (byte & 0x3F)
    return min(code, 0x10FFFF)

"""Pieces of a text with their ids, bytes and offsets, right also when a character is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from hunmin.tokenizer.load import TextTokenizer

_VISIBLE = {" ": "␠", "\n": "␊", "\r": "␍", "\t": "␉"}


@dataclass(frozen=True)
class Piece:
    """One token of a text.

    Args:
        id: Its id.
        data: Its bytes; may begin or end within a character.
        byte_start: Offset of its first byte in the UTF-8 text.
        start: Offset of the first character it touches.
        end: Offset after the last character it touches; neighbours that share a character overlap.
        label: Its text with invisible characters made visible and partial characters as <EA>.
    """

    id: int
    data: bytes
    byte_start: int
    start: int
    end: int
    label: str

    @property
    def hex(self) -> str:
        """Its bytes in hexadecimal, separated by spaces."""
        return self.data.hex(" ").upper()

    def as_dict(self) -> dict[str, Any]:
        """Return the piece as JSON values."""
        return asdict(self) | {"data": self.hex}


def bytes_per_token(pieces: Sequence[Piece]) -> float:
    """Return the UTF-8 bytes per token of a text, higher is denser; 0 if it has no pieces."""
    return sum(len(piece.data) for piece in pieces) / len(pieces) if pieces else 0.0


def inspect_pieces(tokenizer: TextTokenizer, text: str) -> tuple[Piece, ...]:
    """Show what a tokenizer does to a text.

    Args:
        tokenizer: The tokenizer.
        text: Any text without lone surrogates.

    Returns:
        The pieces; their bytes joined are the text (as normalized, if the tokenizer normalizes).

    Raises:
        TextEncodingError: The text holds a lone surrogate.
    """
    ids = tokenizer.encode(text)
    tokens = [tokenizer.token_bytes(token) for token in ids]
    seen = b"".join(tokens).decode("utf-8", errors="replace")
    # Offset of each character's first byte, and the end.
    borders = [0, *accumulate(len(character.encode()) for character in seen)]
    pieces, byte_start, start = [], 0, 0
    for token, data in zip(ids, tokens, strict=True):
        byte_end = byte_start + len(data)
        while borders[start + 1] <= byte_start:
            start += 1
        end = start + 1
        while borders[end] < byte_end:
            end += 1
        label = _label(data, byte_start, seen[start:end], borders[start : end + 1])
        pieces.append(Piece(token, data, byte_start, start, end, label))
        byte_start = byte_end
    return tuple(pieces)


def _label(data: bytes, byte_start: int, characters: str, borders: Sequence[int]) -> str:
    parts = []
    byte_end = byte_start + len(data)
    for character, first, last in zip(characters, borders, borders[1:], strict=False):
        if byte_start <= first and last <= byte_end:
            parts.append(visible_character(character))
        else:
            part = data[max(first - byte_start, 0) : last - byte_start]
            parts.append("".join(f"<{byte:02X}>" for byte in part))
    return "".join(parts)


def visible_character(character: str) -> str:
    """Return a character so that it can be seen: white space as a symbol, controls as <U+0007>."""
    if character in _VISIBLE:
        return _VISIBLE[character]
    return character if character.isprintable() else f"<U+{ord(character):04X}>"


def render_pieces(pieces: Sequence[Piece]) -> str:
    """Return a plain-text table of the pieces, one a line, and a line of totals.

    Args:
        pieces: Pieces of one text.

    Returns:
        Lines joined by newlines: id, characters touched (start:end), bytes in hexadecimal, text.
    """
    rows = [("id", "chars", "bytes", "text")]
    rows += [(str(p.id), f"{p.start}:{p.end}", p.hex, p.label) for p in pieces]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{row[0]:>{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}"
        for row in rows
    ]
    num_bytes = sum(len(piece.data) for piece in pieces)
    total = f"{len(pieces)} tokens, {num_bytes} bytes, {bytes_per_token(pieces):.2f} bytes a token"
    return "\n".join([*lines, total])

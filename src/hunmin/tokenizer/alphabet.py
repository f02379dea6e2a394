"""The byte <-> character table of GPT-2, in which byte-level vocabularies are written down."""

from __future__ import annotations

from functools import cache

NUM_BYTES = 256


@cache
def byte_to_character() -> tuple[str, ...]:
    """Return the printable character that stands for each byte value.

    Returns:
        256 characters, indexed by the byte.

    Source:
        `bytes_to_unicode` in openai/gpt-2 `src/encoder.py`: printable Latin-1 stands for itself,
        the other bytes for the characters from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(NUM_BYTES) if byte not in printable]
    shifted = {byte: chr(0x100 + index) for index, byte in enumerate(others)}
    return tuple(shifted.get(byte, chr(byte)) for byte in range(NUM_BYTES))


@cache
def character_to_byte() -> dict[str, int]:
    """Return the inverse of `byte_to_character`."""
    return {character: byte for byte, character in enumerate(byte_to_character())}


def bytes_to_piece(data: bytes) -> str:
    """Return the vocabulary entry that stands for some bytes, such as "Ġthe"."""
    table = byte_to_character()
    return "".join(table[byte] for byte in data)


def piece_to_bytes(piece: str) -> bytes:
    """Return the bytes that a vocabulary entry such as "Ġthe" stands for."""
    table = character_to_byte()
    return bytes(table[character] for character in piece)

"""Token ids to text as they arrive: whole characters only, stop strings found across tokens."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer; `hunmin.tokenizer.load.TextTokenizer` has it."""

    @property
    def size(self) -> int:
        """Number of ids, special tokens included."""

    @property
    def boundary_id(self) -> int:
        """Id that begins every document and thereby ends the one before."""

    @property
    def special_ids(self) -> Collection[int]:
        """Ids that stand for no text."""

    def encode(self, text: str, /) -> list[int]:
        """Return the ids of a text, without adding special tokens."""

    def token_bytes(self, token_id: int, /) -> bytes:
        """Return the bytes that an id stands for."""


class ByteTable:
    """The bytes of each id, read from the tokenizer once; special tokens stand for no bytes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special_ids = frozenset(tokenizer.special_ids)
        self._bytes: dict[int, bytes] = {}

    def __getitem__(self, token_id: int) -> bytes:
        known = self._bytes.get(token_id)
        if known is None:
            known = b"" if self.is_special(token_id) else self._tokenizer.token_bytes(token_id)
            self._bytes[token_id] = known
        return known

    def is_special(self, token_id: int) -> bool:
        """Return whether the id stands for no text."""
        return token_id in self._special_ids

    def piece(self, token_id: int) -> str:
        r"""Return a readable name of a token that differs from every other byte sequence's.

        Args:
            token_id: Any id of the tokenizer.

        Returns:
            Its text; `bytes:\xeb\x84` for bytes that are no text by themselves, because all such
            tokens would print as the same replacement character.
        """
        token = self._tokenizer.token_bytes(token_id)
        try:
            return token.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)


class TextStream:
    """Turns ids into text that never has to be taken back.

    Args:
        table: Bytes of each id.
        stop: Strings that end the text.

    Note:
        Held back are the bytes of an unfinished character and any end of the text that may begin a
        stop string. The text does not depend on how it was cut into tokens: among stop strings,
        the one whose last character comes first counts.
    """

    def __init__(self, table: ByteTable, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._table = table
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held_back = ""

    def feed(self, token_id: int) -> str:
        """Add a token and return the text that is now certain."""
        return self._release(self._decoder.decode(self._table[token_id]))

    def flush(self) -> str:
        """Return what was held back; one U+FFFD stands for a character that was cut."""
        if self.stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True)) + self._held_back
        self._held_back = ""
        return text

    def _release(self, decoded: str) -> str:
        text = self._held_back + decoded
        ends = [
            (text.find(stop) + len(stop), text.find(stop)) for stop in self._stop if stop in text
        ]
        if ends:
            self.stopped = True
            self._held_back = ""
            return text[: min(ends)[1]]
        certain = len(text) - self._num_characters_that_may_begin_a_stop(text)
        self._held_back = text[certain:]
        return text[:certain]

    def _num_characters_that_may_begin_a_stop(self, text: str) -> int:
        longest = max((len(stop) for stop in self._stop), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0

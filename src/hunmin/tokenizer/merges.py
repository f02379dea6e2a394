"""Which merges made the tokens of a word, for any BPE `tokenizer.json`."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from typing import Any

from tokenizers import Tokenizer

from hunmin.core.errors import ArtifactKindError, InputError
from hunmin.tokenizer.cutting import TextCutter
from hunmin.tokenizer.inspect import visible_character
from hunmin.tokenizer.pieces import BYTE_ENTRIES, Spelling, read_merges, read_spelling

Pair = tuple[str, str]
MAX_WORD_SYMBOLS = 1_000
"""The time to trace a word grows with the square of its length."""


@dataclass(frozen=True)
class Merge:
    """One merge: two neighbours become one.

    Args:
        left: The first, as it is read.
        right: The second.
        result: Both together.
        rank: Place in the list of merges, from 0; a lower one is applied first.
        within_character: Whether the result is no more than one character, in bytes.
    """

    left: str
    right: str
    result: str
    rank: int
    within_character: bool


@dataclass(frozen=True)
class MergedWord:
    """A word of the text (what merges cannot cross) and how it became tokens.

    Args:
        tokens: Its tokens, as they are read.
        ids: Their ids.
        merges: The merges in the order they were applied.
        is_whole_entry: The word was taken from the vocabulary without merging.
    """

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    merges: tuple[Merge, ...]
    is_whole_entry: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the word as JSON values."""
        return asdict(self)


class MergeTracer:
    """Repeats the merges of a BPE tokenizer and records them.

    Args:
        definition: Content of `tokenizer.json`.
        cutter: Cuts texts into parts that no merge crosses; usually none.

    Raises:
        ArtifactKindError: The tokenizer has no merges.
    """

    def __init__(self, definition: str, cutter: TextCutter | None = None) -> None:
        self._parsed: dict[str, Any] = json.loads(definition)
        self._model = self._parsed["model"]
        if self._model.get("merges") is None:
            raise ArtifactKindError(
                "this tokenizer has no merges to show",
                given=f"model {self._model.get('type')}",
                allowed="model BPE",
                hint="leave --merges out to see its pieces",
            )
        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._cutter = cutter
        self._ranks = _ranks(self._model)
        self._prefix: str = self._model.get("continuing_subword_prefix") or ""
        self._suffix: str = self._model.get("end_of_word_suffix") or ""
        self._spelling = _spelling(self._parsed)

    def trace(self, text: str) -> list[MergedWord]:
        """Return the words of a text with the merges that made their tokens.

        Args:
            text: Any text without lone surrogates.

        Returns:
            The words in order; their ids joined are those of the text.
        """
        parts = [text] if self._cutter is None else self._cutter.cut([text])[0]
        return [word for part in parts for word in self._trace_part(part)]

    def _trace_part(self, text: str) -> Iterator[MergedWord]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        rows = zip(encoding.word_ids, encoding.tokens, encoding.ids, strict=True)
        for _, group in groupby(rows, key=lambda row: row[0]):
            _, tokens, ids = zip(*group, strict=True)
            yield self._trace_word(tokens, ids)

    def _trace_word(self, tokens: Sequence[str], ids: Sequence[int]) -> MergedWord:
        symbols = self._first_symbols(tokens)
        if len(symbols) > MAX_WORD_SYMBOLS:
            raise InputError(
                "a word is too long to show its merges",
                given=f"{len(symbols):,} bytes or characters without a break",
                allowed=f"up to {MAX_WORD_SYMBOLS:,}",
                hint="show a part of it",
            )
        merges = []
        while True:
            ranked = [
                (self._ranks[pair], place)
                for place, pair in enumerate(pairwise(symbols))
                if pair in self._ranks
            ]
            if not ranked:
                break
            rank, place = min(ranked)
            left, right = symbols[place : place + 2]
            result = left + right.removeprefix(self._prefix)
            symbols[place : place + 2] = [result]
            merges.append(self._merge(left, right, result, rank))
        # With `ignore_merges` (Llama 3) a word that is an entry is never merged.
        is_whole = len(tokens) == 1 and symbols != list(tokens)
        shown = tuple(self._show(token) for token in (tokens if is_whole else symbols))
        return MergedWord(shown, tuple(ids), () if is_whole else tuple(merges), is_whole)

    def _first_symbols(self, tokens: Sequence[str]) -> list[str]:
        """Return what the merging of these tokens began with."""
        symbols: list[str] = []
        for token in tokens:
            if token in BYTE_ENTRIES or token == self._model.get("unk_token"):
                symbols.append(token)
                continue
            plain = token.removeprefix(self._prefix) if symbols else token
            ends_word = bool(self._suffix) and plain.endswith(self._suffix)
            characters = list(plain.removesuffix(self._suffix) if ends_word else plain)
            if ends_word and characters:
                characters[-1] += self._suffix
            symbols += [
                self._prefix + character if symbols or number else character
                for number, character in enumerate(characters)
            ]
        return symbols

    def _merge(self, left: str, right: str, result: str, rank: int) -> Merge:
        within = _num_touched(self._bytes(result)) <= 1
        return Merge(
            self._show(left), self._show(right), self._show(result), rank, within_character=within
        )

    def _bytes(self, symbol: str) -> bytes:
        return symbol.encode() if self._spelling is None else self._spelling.to_bytes(symbol)

    def _show(self, symbol: str) -> str:
        return show_bytes(self._bytes(symbol))


def _ranks(model: Mapping[str, Any]) -> dict[Pair, int]:
    # Of equal pairs the last one counts, as in the library.
    return {(left, right): rank for rank, (left, right) in enumerate(read_merges(model))}


def _spelling(definition: Mapping[str, Any]) -> Spelling | None:
    try:
        return read_spelling(definition)
    except ArtifactKindError:
        return None


def _num_touched(data: bytes) -> int:
    """Return how many characters some bytes belong to."""
    continued = [byte & 0xC0 == 0x80 for byte in data]
    return continued.count(False) + any(continued[:1])


def show_bytes(data: bytes) -> str:
    """Return bytes as text, with what cannot be seen made visible and stray bytes as <EA>."""
    marked = data.decode("utf-8", errors=_STRAY_BYTES)
    return "".join(visible_character(character) for character in marked)


def _mark_stray_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return "".join(f"<{byte:02X}>" for byte in stray), error.end


_STRAY_BYTES = "hunmin-stray-bytes"
codecs.register_error(_STRAY_BYTES, _mark_stray_bytes)


def render_merges(words: Sequence[MergedWord]) -> str:
    """Return lines that tell how each word became its tokens.

    Args:
        words: Words of a text.

    Returns:
        For each word its tokens, then a line for each merge. Merges that only put the bytes of one
        character together are counted, not shown.
    """
    return "\n".join(line for word in words for line in _word_lines(word))


def _word_lines(word: MergedWord) -> Iterator[str]:
    yield " | ".join(word.tokens)
    if word.is_whole_entry:
        yield "    an entry as a whole: taken without merging"
    for merge in word.merges:
        if not merge.within_character:
            yield f"    {merge.left} + {merge.right} → {merge.result}  (rank {merge.rank:,})"
    hidden = sum(merge.within_character for merge in word.merges)
    if hidden:
        yield f"    and {hidden} {'merges' if hidden > 1 else 'merge'} of bytes to characters"

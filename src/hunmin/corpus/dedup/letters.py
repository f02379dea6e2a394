"""Texts as sequences of letters: one canonical spelling, no white space, straight from Arrow.

What two copies of a text may differ in without being two texts: Unicode normal form, case, white
space, and characters that nobody sees (control and format characters, zero-width spaces and
joiners, soft hyphens, variation selectors), which web pages and editors add and lose. Digits,
punctuation and marks stay: tables that differ in their numbers, and words that differ in a vowel
sign, are different texts.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.corpus.hashes import Hashes, Positions, mix
from hunmin.text.scripts import UNSPACED_SCRIPTS, script_characters

CHUNK_BYTES = 1 << 20
_HIDDEN, _SPACE, _LETTER, _UNSPACED, _SIGN = range(5)
# Set in the kind of characters without which a text is in NFC.
_MAY_COMPOSE = 8
# Characters with an upper and a lower case stand below; nothing beyond needs folding.
_LAST_CASED = 0x1FFFF
# So do those that are written in several ways, behind the ideographs for compatibility.
_LAST_COMPOSED = 0x2FFFF
_FORMAT_BLOCKS = (range(_LAST_CASED + 1), range(0xE0000, 0xE1000))
# Turkish pairs I with ı and İ with i, other languages I with i: one letter here, so that copies in
# capitals are found in every language.
_DOTTED_AND_DOTLESS = (0x0130, 0x0131)
# Invisible though they count as letters or marks: see Default_Ignorable_Code_Point in Unicode.
_INVISIBLE = (
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
)


@dataclass(frozen=True)
class Letters:
    """The visible characters of some texts, one after the other."""

    codes: Positions
    """Code point of each visible character as written, shape (letters,)."""
    kinds: npt.NDArray[np.uint8]
    """What each character is, shape (letters,)."""
    offsets: Positions
    """Text i has the letters offsets[i]…offsets[i + 1], shape (texts + 1,)."""
    after_space: npt.NDArray[np.bool_]
    """Whether white space or the text's start stands before the letter, shape (letters,)."""

    @property
    def hashes(self) -> Hashes:
        """A hash of each letter after case folding, shape (letters,)."""
        return _tables()[0].take(self.codes)

    @property
    def is_sign(self) -> npt.NDArray[np.bool_]:
        """Whether each is punctuation or a symbol: no letter, mark or digit, shape (letters,)."""
        is_sign: npt.NDArray[np.bool_] = self.kinds == _SIGN
        return is_sign

    @property
    def parts_words(self) -> npt.NDArray[np.bool_]:
        """Whether words can begin and end at a place, shape (letters + 1,).

        A place is the one before a letter, or the end. They can beside white space, at the ends of
        a text, beside punctuation and symbols, and between letters of scripts without spaces.
        """
        is_free = self.kinds >= _UNSPACED
        parts = np.ones(len(self.codes) + 1, np.bool_)
        parts[:-1] = self.after_space | is_free
        parts[1:] |= is_free
        return parts

    @property
    def lengths(self) -> Positions:
        """Letters of each text, shape (texts,)."""
        return np.diff(self.offsets)


def letters_of(texts: pa.Array) -> Letters:
    """Read the letters of a column of texts.

    Args:
        texts: Arrow strings of any layout, without nulls.

    Returns:
        Their letters.

    Raises:
        InputError: The column holds something else than texts.
        TextEncodingError: The column's bytes are not UTF-8.

    Note:
        Memory: about 40 bytes for each character; see `chunks` for large columns.
    """
    texts = text_column(texts)
    whole = _decoded(texts)
    codes, kinds = _characters(whole)
    if len(kinds) and kinds.max() >= _MAY_COMPOSE:
        if not unicodedata.is_normalized("NFC", whole):
            texts = _composed(texts)
            codes, kinds = _characters(_decoded(texts))
        kinds &= _MAY_COMPOSE - 1
    offsets = np.concatenate([[0], np.cumsum(pc.utf8_length(texts).to_numpy())])
    if len(kinds) and kinds.min() == _HIDDEN:
        kept = np.flatnonzero(kinds != _HIDDEN)
        codes, kinds, offsets = codes.take(kept), kinds.take(kept), kept.searchsorted(offsets)
    kept = np.flatnonzero(kinds != _SPACE)
    offsets = kept.searchsorted(offsets)
    after_space = np.ones(len(kept) + 1, np.bool_)
    after_space[1:-1] = np.diff(kept) > 1
    after_space[offsets] = True
    return Letters(codes.take(kept), kinds.take(kept), offsets, after_space[:-1])


def chunks(texts: pa.Array, num_bytes: int = CHUNK_BYTES) -> Iterator[pa.Array]:
    """Cut a column into slices of about `num_bytes` of text, at least one text each."""
    texts = text_column(texts)
    offsets = _offsets(texts)
    start = 0
    while start < len(texts):
        stop = int(np.searchsorted(offsets, offsets[start] + num_bytes, side="right")) - 1
        stop = max(stop, start + 1)
        yield texts.slice(start, stop - start)
        start = stop


def text_column(texts: pa.Array) -> pa.Array:
    """Return a column of texts in a layout with offsets.

    Args:
        texts: Arrow strings of any layout, without nulls.

    Returns:
        The same texts as `string` or `large_string`; views are copied.

    Raises:
        InputError: The column holds something else, or a text is missing.
    """
    if pa.types.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise InputError(
            "this column does not hold texts", given=str(texts.type), allowed="Arrow strings"
        )
    if texts.null_count:
        raise InputError(
            "a column of texts has empty places",
            given=f"{texts.null_count:,} nulls in {len(texts):,} rows",
            hint="drop the rows without a text first, with a reason",
        )
    return texts


def _offsets(texts: pa.Array) -> Positions:
    """Byte offsets of a slice, shape (texts + 1,)."""
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    buffer = texts.buffers()[1]
    if buffer is None or len(texts) == 0:
        return np.zeros(1, np.int64)
    start = texts.offset
    return np.frombuffer(buffer, width)[start : start + len(texts) + 1].astype(np.int64)


def _content(texts: pa.Array, offsets: Positions) -> memoryview:
    buffer = texts.buffers()[2]
    return memoryview(b"" if buffer is None else buffer)[int(offsets[0]) : int(offsets[-1])]


def _decoded(texts: pa.Array) -> str:
    """All texts of a column as one."""
    try:
        return str(_content(texts, _offsets(texts)), "utf-8")
    except UnicodeDecodeError as error:
        raise TextEncodingError(
            "a column of texts holds bytes that are not UTF-8",
            given=f"{error.reason} at byte {error.start:,} of the batch",
            hint="decode the source with its own encoding first",
        ) from error


def _composed(texts: pa.Array) -> pa.Array:
    """Bring every text into NFC."""
    composed = [unicodedata.normalize("NFC", text) for text in texts.to_pylist()]
    return pa.array(composed, pa.large_string())


def _characters(text: str) -> tuple[Positions, npt.NDArray[np.uint8]]:
    """Code points of a text and their kinds."""
    codec = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
    codes = np.frombuffer(text.encode(codec), np.uint32).astype(np.int64)
    return codes, _tables()[1].take(codes)


@functools.cache
def _tables() -> tuple[Hashes, npt.NDArray[np.uint8]]:
    """For every code point, the hash of its folded form, and its kind with `_MAY_COMPOSE`."""
    return mix(_folded()), _kinds()


def _folded() -> Hashes:
    """Code points after simple case folding, as uint64; a folding to several stays as it is."""
    folded = np.arange(sys.maxunicode + 1, dtype=np.uint64)
    for code in range(_LAST_CASED + 1):
        character = chr(code)
        fold = character.casefold()
        fold = fold if len(fold) == 1 else character.lower()
        if len(fold) == 1:
            folded[code] = ord(fold)
    folded[list(_DOTTED_AND_DOTLESS)] = ord("i")
    return folded


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.full(sys.maxunicode + 1, _LETTER, np.uint8)
    for block in _FORMAT_BLOCKS:
        for code in block:
            kinds[code] = _kind(chr(code))
    unspaced = np.asarray([ord(c) for c in script_characters(UNSPACED_SCRIPTS)])
    kinds[unspaced[kinds[unspaced] == _LETTER]] = _UNSPACED
    kinds[list(_INVISIBLE)] = _HIDDEN
    kinds[_composing()] |= _MAY_COMPOSE
    return kinds


def _composing() -> list[int]:
    """Characters without which every text is in NFC: they change, move, or join another."""
    found = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]
    for code in range(_LAST_COMPOSED + 1):
        character = chr(code)
        if unicodedata.combining(character):
            found.append(code)
        parts = unicodedata.decomposition(character)
        if parts and not parts.startswith("<"):
            found += [int(part, 16) for part in parts.split()[1:]]
            if not unicodedata.is_normalized("NFC", character):
                found.append(code)
    return found


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace():
        return _SPACE
    if category in ("Cc", "Cf"):
        return _HIDDEN
    return _SIGN if category[0] in "PS" else _LETTER

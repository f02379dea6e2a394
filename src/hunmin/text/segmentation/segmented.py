r"""Files with segmented words or sentences, and where their segments lie in what is written.

Formats, told by the columns (separated by tabs) of each row:

    word    turn @@ing [category]          SIGMORPHON 2022, words
    text    They turn @@ed back            SIGMORPHON 2022, sentences
    word    turn ing                       plain
    lemma   word   features   turn|ing     MorphyNet, inflection; UniMorph 4 (`-`: not segmented)
    source  word   pos   pos   ly   suffix MorphyNet, derivation
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.files import read_text_lines

CONTINUES = "@@"
Segments = tuple[str, ...]


class SegmentedRow(NamedTuple):
    """One row of a file."""

    text: str
    """A word or a sentence, NFC."""
    words: tuple[Segments, ...]
    """The segments of each of its words; fewer or more than words where the file is wrong."""


def read_segmented(path: Path) -> Iterator[SegmentedRow]:
    """Read a file of segmented words or sentences.

    Args:
        path: A text file in one of the formats above; may be packed.

    Yields:
        Every row that says something; blank lines and comments (`# `) are left out.

    Raises:
        InputError: A row has no segmentation.
        MissingInputError: There is no such file.
    """
    for line in read_text_lines(path):
        text = unicodedata.normalize("NFC", line.text)
        if not text.strip() or text.startswith("# "):
            continue
        row = _parse(text.split("\t"))
        if row is None:
            raise InputError(
                "this row has no segmentation",
                where=f"{path}, line {line.number}",
                given=line.text[:80],
                allowed="word<TAB>turn @@ing; lemma<TAB>word<TAB>features<TAB>turn|ing; "
                "source<TAB>word<TAB>pos<TAB>pos<TAB>affix<TAB>prefix or suffix",
                hint="UniMorph files with three columns hold no segments; those of MorphyNet and "
                "UniMorph 4 have a fourth",
            )
        if row.words:
            yield row


def _parse(columns: Sequence[str]) -> SegmentedRow | None:
    if len(columns) >= 6 and columns[5].strip() in ("prefix", "suffix"):
        source, word, affix = columns[0], columns[1], columns[4].strip("-")
        segments = (affix, source) if columns[5].strip() == "prefix" else (source, affix)
        return SegmentedRow(word, (segments,))
    if len(columns) == 4:
        word, written = columns[1], columns[3].strip()
        return SegmentedRow(word, () if written == "-" else (tuple(written.split("|")),))
    if len(columns) == 2 or (len(columns) == 3 and columns[2].strip().isdigit()):
        return SegmentedRow(columns[0], _split(columns[0], columns[1]))
    return None


def _split(text: str, written: str) -> tuple[Segments, ...]:
    pieces = written.split()
    if len(text.split()) < 2:
        return (tuple(piece.removeprefix(CONTINUES) for piece in pieces),)
    words: list[list[str]] = []
    for piece in pieces:
        if piece.startswith(CONTINUES) and words:
            words[-1].append(piece.removeprefix(CONTINUES))
        else:
            words.append([piece])
    return tuple(map(tuple, words))


def join_exactly(word: str, segments: Sequence[str]) -> tuple[int, ...] | None:
    """Return where segments meet in a word that is spelled like all of them joined.

    Args:
        word: As it is written.
        segments: Its segments in order.

    Returns:
        Character offsets between segments, or None if the word is spelled otherwise. Upper and
        lower case count as the same.
    """
    joined = "".join(segments)
    if len(joined) != len(word) or (joined != word and joined.casefold() != word.casefold()):
        return None
    positions, end = [], 0
    for segment in segments[:-1]:
        end += len(segment)
        positions.append(end)
    return tuple(position for position in positions if 0 < position < len(word))

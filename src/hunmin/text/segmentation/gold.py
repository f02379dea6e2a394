"""Human segmentations to judge tokenizers by.

Only words that are spelled like their morphemes joined can be judged: in 했다 (하 + 았 + 다) nobody
can say where 하 ends. How many words that leaves is counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.files import read_text_lines
from hunmin.text.lines import Line
from hunmin.text.segmentation.boundaries import Boundaries, BoundaryKind
from hunmin.text.segmentation.segmented import SegmentedRow, join_exactly, read_segmented
from hunmin.text.segmentation.tags import TagKind, kaist_kind, sejong_kind
from hunmin.text.segmentation.words import IsLetter, is_hangul_syllable, is_letter


@dataclass(frozen=True, slots=True)
class GoldText:
    """A text whose boundaries people have marked.

    Args:
        text: NFC.
        judged: Character offsets at which a boundary is right or wrong, ascending: between two
            letters (Korean: two Hangul syllables) within a word that can be judged.
        boundaries: The right ones, all of them judged.
    """

    text: str
    judged: tuple[int, ...]
    boundaries: Boundaries


@dataclass(frozen=True)
class Gold:
    """A gold standard.

    Args:
        texts: Its texts, also those without a judged word.
        num_words: Words in them.
        num_judged_words: Words that are spelled like their morphemes joined.
    """

    texts: tuple[GoldText, ...]
    num_words: int
    num_judged_words: int

    @property
    def judged_share(self) -> float:
        """Share of the words that can be judged; 0 without words."""
        return self.num_judged_words / self.num_words if self.num_words else 0.0


class _Word(NamedTuple):
    surface: str
    morphemes: Sequence[str]
    kinds: Sequence[BoundaryKind]


def read_gold(path: Path) -> Gold:
    """Read a gold standard in whatever format it is.

    Args:
        path: CoNLL-U with morphemes in the lemmas (`.conllu` in its name), a dependency file of
            KLUE (its first line begins with `## `), or a table of segmented words or sentences,
            see `segmented.py`. May be packed.

    Returns:
        The gold standard.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is not in the format, or has no word.
    """
    if ".conllu" in path.suffixes:
        return read_conllu(path)
    first = next(iter(read_text_lines(path)), None)
    is_klue = first is not None and first.text.startswith("## ")
    return read_klue_dp(path) if is_klue else read_segmentations(path)


def read_klue_dp(path: Path) -> Gold:
    """Read a dependency file of KLUE: morphemes separated by spaces, Sejong tags."""
    sentences = []
    for block in _blocks(path):
        text = [line.text.split("\t", 1)[1] for line in block if _is_klue_text(line)]
        rows = [_columns(path, line, 4) for line in block if not line.text.startswith("##")]
        words = [_word(row[1], row[2].split(" "), row[3], sejong_kind) for row in rows]
        if words:
            sentences.append((text[0] if text else " ".join(row[1] for row in rows), words))
    return _gold(path, sentences, is_hangul_syllable)


def _is_klue_text(line: Line) -> bool:
    return line.text.startswith("## klue-dp") and "\t" in line.text


def read_conllu(path: Path) -> Gold:
    """Read a Korean treebank with morphemes in lemma and XPOS, joined by `+`: GSD, KAIST.

    Args:
        path: CoNLL-U. XPOS tags in lower case are KAIST's, others Sejong's.

    Returns:
        The gold standard; a boundary where two tokens meet without a space is one too.
    """
    sentences = []
    for block in _blocks(path):
        text = [line.text[9:] for line in block if line.text.startswith("# text = ")]
        rows = [_columns(path, line, 10) for line in block if not line.text.startswith("#")]
        words = [
            _word(
                row[1], row[2].split("+"), row[4], kaist_kind if row[4].islower() else sejong_kind
            )
            for row in rows
            if row[0].isdigit()
        ]
        if words:
            sentences.append((text[0] if text else _spell(rows), words))
    return _gold(path, sentences, is_hangul_syllable)


def _spell(rows: Iterable[Sequence[str]]) -> str:
    return "".join(
        row[1] + ("" if "SpaceAfter=No" in row[9].split("|") else " ")
        for row in rows
        if row[0].isdigit()
    ).strip()


def read_segmentations(path: Path) -> Gold:
    """Read a table of segmented words or sentences, see `segmented.py`; kinds are not labelled."""
    sentences = ((row.text, list(_segmented_words(row))) for row in read_segmented(path))
    return _gold(path, sentences, is_letter)


def _segmented_words(row: SegmentedRow) -> Iterator[_Word]:
    surfaces = row.text.split()
    segments = row.words if len(row.words) == len(surfaces) else ((),) * len(surfaces)
    for surface, parts in zip(surfaces, segments, strict=True):
        yield _Word(surface, parts, [BoundaryKind.UNLABELLED] * len(parts))


def _word(surface: str, morphemes: Sequence[str], tags: str, kind: TagKind) -> _Word:
    kinds = [kind(tag) for tag in tags.split("+")]
    if len(kinds) != len(morphemes):
        kinds = [BoundaryKind.UNLABELLED] * len(morphemes)
    return _Word(surface, morphemes, kinds)


def _blocks(path: Path) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in read_text_lines(path):
        if line.text.strip():
            block.append(line._replace(text=unicodedata.normalize("NFC", line.text)))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _columns(path: Path, line: Line, num_columns: int) -> list[str]:
    columns = line.text.split("\t")
    if len(columns) < num_columns:
        raise InputError(
            "this row has too few columns",
            where=f"{path}, line {line.number}",
            given=f"{len(columns)} of {num_columns}: {line.text[:80]}",
            hint="columns are separated by tabs; is this the right kind of file?",
        )
    return columns


def _gold(
    path: Path, sentences: Iterable[tuple[str, Sequence[_Word]]], is_letter: IsLetter
) -> Gold:
    texts, num_words, num_judged = [], 0, 0
    for text, words in sentences:
        found = list(_place(text, words))
        texts.append(_judge(text, found, is_letter))
        num_words += len(words)
        num_judged += len(found)
    if not num_words:
        raise InputError("there is no segmented word in this file", where=path)
    return Gold(tuple(texts), num_words, num_judged)


class _Placed(NamedTuple):
    start: int
    end: int
    kinds: dict[int, BoundaryKind]
    """Kind of what begins at each boundary, and at the start of the word."""


def _place(text: str, words: Iterable[_Word]) -> Iterator[_Placed]:
    """Find the words that are spelled like their morphemes, in order."""
    end = 0
    for surface, morphemes, kinds in words:
        start = text.find(surface, end)
        inner = join_exactly(surface, morphemes)
        if start < 0:
            continue
        end = start + len(surface)
        if inner is not None:
            starts = (start, *(start + position for position in inner))
            yield _Placed(start, end, dict(zip(starts, kinds, strict=False)))


def _judge(text: str, words: Sequence[_Placed], is_letter: IsLetter) -> GoldText:
    judged = [position for word in words for position in range(word.start + 1, word.end)]
    kinds = {position: kind for word in words for position, kind in word.kinds.items()}
    # Tokens of a treebank that stand together without a space.
    joints = {after.start for before, after in pairwise(words) if before.end == after.start}
    for word in words:
        if word.start not in joints:
            del kinds[word.start]
    letters = sorted(
        position
        for position in {*judged, *joints}
        if is_letter(text[position - 1]) and is_letter(text[position])
    )
    right = tuple(position for position in letters if position in kinds)
    return GoldText(
        text, tuple(letters), Boundaries(right, tuple(kinds[position] for position in right))
    )

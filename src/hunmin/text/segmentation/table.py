"""Any language by a table of segmented words: SIGMORPHON, MorphyNet, UniMorph or plain."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.hashing import sha256_file
from hunmin.text.segmentation.alignment import align_segments
from hunmin.text.segmentation.segmented import Segments, read_segmented
from hunmin.text.segmentation.windows import WindowCutter
from hunmin.text.segmentation.words import WordAnalyser

RULE_VERSION = 1


class TableAnalyser(WordAnalyser):
    """Looks words up; those it lacks are cut like similar ones, see `windows.py`.

    A word is looked up as it is written, then regardless of case. Segments in canonical spelling
    (ingenuity + s) are aligned with the word, see `alignment.py`. Where a word occurs twice in the
    table, the first counts. Sentences add their words.

    Args:
        path: A file in a format of `segmented.py`; may be packed.

    Raises:
        MissingInputError: There is no such file.
        InputError: It holds no segmented word.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._segments = _read(path)
        self._by_folded = {
            word.casefold(): word for word in reversed(self._segments) if word.casefold() != word
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return TableAnalyser, (self.path,)

    @cached_property
    def identity(self) -> str:
        """The table's hash and our rules."""
        return f"table {sha256_file(self.path)} rules {RULE_VERSION}"

    @cached_property
    def _cutter(self) -> WindowCutter:
        return WindowCutter(
            {word: align_segments(word, parts) for word, parts in self._segments.items()}
        )

    def __len__(self) -> int:
        """Number of words in the table."""
        return len(self._segments)

    def __contains__(self, word: str) -> bool:
        """Whether the table has the word, in whatever case."""
        return self._find(word) is not None

    def cuts(self, word: str) -> tuple[int, ...]:
        """Return where the morphemes of a word meet."""
        segments = self._find(word)
        return self._cutter.cuts(word) if segments is None else align_segments(word, segments)

    def _find(self, word: str) -> Segments | None:
        folded = word.casefold()
        for written in (word, folded, self._by_folded.get(folded)):
            if written is not None and written in self._segments:
                return self._segments[written]
        return None


def _read(path: Path) -> dict[str, Segments]:
    table: dict[str, Segments] = {}
    for row in read_segmented(path):
        words = row.text.split()
        if len(words) == len(row.words):
            for word, segments in zip(words, row.words, strict=True):
                table.setdefault(word, segments)
    if not table:
        raise InputError(
            "there is no segmented word in this table",
            where=path,
            allowed="rows such as turning<TAB>turn @@ing",
        )
    return table

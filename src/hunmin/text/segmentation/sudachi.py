"""Japanese by Sudachi: short units by default."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import Any, Literal

from hunmin.core.extras import require
from hunmin.text.segmentation.boundaries import Boundaries
from hunmin.text.segmentation.morphemes import RULE_VERSION, Morpheme, join_morphemes
from hunmin.text.segmentation.tags import unidic_kind

EXTRA = "japanese"
Mode = Literal["A", "B", "C"]


class SudachiAnalyser:
    """SudachiPy with its core dictionary, which is loaded with the first text.

    Args:
        mode: Length of the units: A short (選挙|管理|委員|会), B middle, C named entities whole.

    Raises:
        MissingExtraError: SudachiPy or its dictionary is not installed.

    Note:
        Sudachi refuses texts of more than 49,149 bytes; `segment_texts` cuts longer lines.
    """

    needs_context = True

    def __init__(self, mode: Mode = "A") -> None:
        self.mode: Mode = mode
        require("sudachipy", extra=EXTRA)
        require("sudachidict_core", extra=EXTRA)

    def __reduce__(self) -> tuple[Any, ...]:
        return SudachiAnalyser, (self.mode,)

    @cached_property
    def identity(self) -> str:
        """Versions of the program, its dictionary and our rules."""
        versions = [metadata.version(name) for name in ("sudachipy", "sudachidict_core")]
        return f"sudachi {self.mode} {' '.join(versions)} rules {RULE_VERSION}"

    @cached_property
    def _tokenizer(self) -> Any:
        sudachi = require("sudachipy", extra=EXTRA)
        dictionary = sudachi.Dictionary(dict="core")
        # The older name works in all versions, but warns in newer ones.
        create = getattr(dictionary, "tokenizer", None) or dictionary.create
        return create(mode=getattr(sudachi.SplitMode, self.mode))

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        """Return the boundaries of each text.

        Args:
            texts: Japanese in NFC, a line each.

        Returns:
            One for each text.
        """
        return [self._analyse(text) for text in texts]

    def _analyse(self, text: str) -> Boundaries:
        morphemes = (
            Morpheme(m.begin(), m.end() - m.begin(), unidic_kind(m.part_of_speech()[0]))
            for m in self._tokenizer.tokenize(text)
        )
        return join_morphemes(text, morphemes)

"""Korean by Kiwi: the best boundaries, about 0.2 MB of text a second on one core."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import Any

from hunmin.core.extras import require
from hunmin.text.segmentation.boundaries import Boundaries
from hunmin.text.segmentation.morphemes import RULE_VERSION, Morpheme, join_morphemes
from hunmin.text.segmentation.tags import sejong_kind

EXTRA = "korean"


class KiwiAnalyser:
    """Kiwi with its default model; the model is loaded with the first text.

    Raises:
        MissingExtraError: kiwipiepy is not installed.

    Note:
        Kiwi counts characters as Python does, also beyond the basic plane (tested). A copy in
        another process loads its own model: about 500 MB of memory each.
    """

    needs_context = True

    def __init__(self) -> None:
        require("kiwipiepy", extra=EXTRA)
        require("kiwipiepy_model", extra=EXTRA)

    def __reduce__(self) -> tuple[Any, ...]:
        return KiwiAnalyser, ()

    @cached_property
    def identity(self) -> str:
        """Versions of the program, its model and our rules."""
        versions = [metadata.version(name) for name in ("kiwipiepy", "kiwipiepy_model")]
        return f"kiwi {' '.join(versions)} rules {RULE_VERSION}"

    @cached_property
    def _kiwi(self) -> Any:
        # One thread: the work is spread over processes.
        return require("kiwipiepy", extra=EXTRA).Kiwi(num_workers=1)

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        """Return the boundaries of each text.

        Args:
            texts: Korean in NFC, a line each.

        Returns:
            One for each text.
        """
        return [self._analyse(text) for text in texts]

    def _analyse(self, text: str) -> Boundaries:
        tokens = self._kiwi.tokenize(text)
        return join_morphemes(text, (Morpheme(t.start, t.len, sejong_kind(t.tag)) for t in tokens))

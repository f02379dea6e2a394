"""Ends of Korean sentences by Kiwi, which reads the morphemes; slow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.text.languages import base_language

EXTRA = "korean"


class KiwiSplitter:
    """Kiwi's sentence splitter, for text without punctuation.

    Args:
        language: Korean.

    Raises:
        MissingExtraError: kiwipiepy is not installed.
        InputError: Another language.
    """

    def __init__(self, language: str) -> None:
        if base_language(language) != "ko":
            raise InputError(
                "the sentence splitter 'kiwi' is for Korean", given=language, allowed="ko"
            )
        require("kiwipiepy", extra=EXTRA)
        self.language = language

    def __reduce__(self) -> tuple[type[KiwiSplitter], tuple[str]]:
        return KiwiSplitter, (self.language,)

    @cached_property
    def _kiwi(self) -> Any:
        return require("kiwipiepy", extra=EXTRA).Kiwi(num_workers=1)

    def ends(self, texts: Sequence[str]) -> list[list[int]]:
        """Return where the sentences of each text end, see `RuleSplitter.ends`."""
        return [self._ends(text) for text in texts]

    def _ends(self, text: str) -> list[int]:
        starts = [sentence.start for sentence in self._kiwi.split_into_sents(text)]
        return [*(start for start in starts[1:]), len(text)] if text else []

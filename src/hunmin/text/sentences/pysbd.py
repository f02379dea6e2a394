"""Ends of sentences by pysbd, for the languages it serves; slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.text.languages import base_language

EXTRA = "sentences"


@dataclass(frozen=True)
class PysbdSplitter:
    """pysbd with its rules for a language.

    Args:
        language: A canonical language tag.

    Raises:
        MissingExtraError: pysbd is not installed.
        InputError: It has no rules for the language.

    Note:
        pysbd rewrites texts while it works. Where a sentence it returns does not stand in the text,
        it is joined to the next one.
    """

    language: str

    def __post_init__(self) -> None:
        known = require("pysbd.languages", extra=EXTRA).LANGUAGE_CODES
        if base_language(self.language) not in known:
            raise InputError(
                "pysbd has no rules for this language",
                given=self.language,
                allowed=f"{', '.join(sorted(known))}; or the splitter 'rules'",
            )

    def ends(self, texts: Sequence[str]) -> list[list[int]]:
        """Return where the sentences of each text end, see `RuleSplitter.ends`."""
        segmenter = require("pysbd", extra=EXTRA).Segmenter(
            language=base_language(self.language), clean=False
        )
        return [_ends(text, segmenter) for text in texts]


def _ends(text: str, segmenter: Any) -> list[int]:
    ends: list[int] = []
    position = 0
    for sentence in segmenter.segment(text) if text.strip() else []:
        wanted = sentence.strip()
        start = text.find(wanted, position)
        if start < 0 or not wanted:
            continue
        position = start + len(wanted)
        end = position + len(text[position:]) - len(text[position:].lstrip())
        ends.append(end)
    return [*(end for end in ends if end < len(text)), len(text)] if text else []

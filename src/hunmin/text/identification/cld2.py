"""pycld2: Google's compact detector, quick and less exact on short texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from hunmin.core.extras import require
from hunmin.text.identification.classifier import EXTRA, NO_GUESS, Guess
from hunmin.text.identification.labels import tag_of_label
from hunmin.text.languages import UNDETERMINED

# A verdict that the detector itself calls unreliable counts half.
_UNRELIABLE = 0.5
_PREFIX = "xx"


class Cld2:
    """CLD2 with the tables in its package.

    Raises:
        MissingExtraError: pycld2 is not installed.
    """

    name = "pycld2"

    def __init__(self) -> None:
        require("pycld2", extra=EXTRA)

    def __reduce__(self) -> tuple[type[Cld2], tuple[()]]:
        return Cld2, ()

    @cached_property
    def languages(self) -> frozenset[str]:
        """Canonical tags of the languages it can return."""
        codes = {code for _, code in require("pycld2", extra=EXTRA).LANGUAGES}
        tags = {tag_of_label(code) for code in codes if not code.startswith(_PREFIX)}
        return frozenset(tags - {UNDETERMINED})

    def classify(
        self, excerpts: Sequence[str], candidates: Sequence[frozenset[str]]
    ) -> list[Guess]:
        """Return the best candidate for each text, see `Classifier`."""
        return [
            self._classify(text, allowed)
            for text, allowed in zip(excerpts, candidates, strict=True)
        ]

    def _classify(self, text: str, allowed: frozenset[str]) -> Guess:
        detect = require("pycld2", extra=EXTRA).detect
        reliable, _, details = detect(_printable(text), isPlainText=True, bestEffort=True)
        weight = 1.0 if reliable else _UNRELIABLE
        for _, code, percent, _ in details:
            tag = tag_of_label(code)
            if tag in allowed:
                return Guess(tag, weight * percent / 100)
        return NO_GUESS


def _printable(text: str) -> bytes:
    """Return UTF-8 without what the detector refuses: surrogates, controls, noncharacters."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.encode("utf-8", "replace")

"""What a classifier of languages is: excerpts and candidates in, tags and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hunmin.text.languages import UNDETERMINED

EXTRA = "corpus"


class Guess(NamedTuple):
    """What a classifier takes a text for."""

    language: str
    """Canonical tag; `und` if it cannot say."""
    score: float
    """How sure it is, in [0, 1]; comparable between texts of one classifier only."""


NO_GUESS = Guess(UNDETERMINED, 0.0)


class Classifier(Protocol):
    """A closed set of languages and a way to tell them apart."""

    @property
    def name(self) -> str:
        """Its name in recipes."""

    @property
    def languages(self) -> frozenset[str]:
        """Canonical tags of the languages it knows."""

    def classify(
        self, excerpts: Sequence[str], candidates: Sequence[frozenset[str]]
    ) -> list[Guess]:
        """Return the best candidate for each text.

        Args:
            excerpts: Texts, see `excerpt`.
            candidates: Canonical tags, for each text; never empty.

        Returns:
            One guess a text, independent of the texts beside it.
        """

"""A fastText model that the user brings: GlotLID, lid.176, or one of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hunmin.core.errors import InputError, MissingInputError
from hunmin.core.extras import require
from hunmin.text.identification.classifier import NO_GUESS, Guess
from hunmin.text.identification.labels import tag_of_label
from hunmin.text.languages import UNDETERMINED

EXTRA = "fasttext"
_MAGIC = (793_712_314).to_bytes(4, "little")
_NUM_LABELS = 16


@dataclass(frozen=True)
class FastText:
    """A supervised fastText model whose labels name languages; loaded with the first text.

    Args:
        path: The model, `.bin` or `.ftz`.

    Raises:
        MissingExtraError: No package that reads such models is installed.
        MissingInputError: There is no such file.
        InputError: It is not a fastText model.

    Note:
        A copy in another process reads the file again.
    """

    path: Path
    name = "fasttext"

    def __post_init__(self) -> None:
        require("fasttext", extra=EXTRA)
        if not self.path.is_file():
            raise MissingInputError(
                "there is no language identification model here",
                where=self.path,
                hint="download one, such as GlotLID's model.bin, and give its path",
            )
        with self.path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise InputError(
                    "this is not a fastText model",
                    where=self.path,
                    allowed="a .bin or .ftz file that fastText has written",
                )

    def __reduce__(self) -> tuple[type[FastText], tuple[Path]]:
        return FastText, (self.path,)

    @cached_property
    def _model(self) -> Any:
        return require("fasttext", extra=EXTRA).load_model(str(self.path))

    @cached_property
    def languages(self) -> frozenset[str]:
        """Canonical tags of the model's labels."""
        # All labels: the packages do not offer them in one way, but all predict. The text may be
        # unknown: the end of the line is a word, too.
        labels, _ = self._model.predict("a", k=-1, threshold=-1.0)
        if not labels:
            raise InputError(
                "this fastText model names no language",
                where=self.path,
                allowed="a supervised model with a label for each language",
            )
        return frozenset(tag_of_label(label) for label in labels) - {UNDETERMINED}

    def classify(
        self, excerpts: Sequence[str], candidates: Sequence[frozenset[str]]
    ) -> list[Guess]:
        """Return the best candidate for each text, see `Classifier`."""
        return [
            self._classify(text, allowed)
            for text, allowed in zip(excerpts, candidates, strict=True)
        ]

    def _classify(self, text: str, allowed: frozenset[str]) -> Guess:
        line = " ".join(text.encode("utf-8", "replace").decode().split())
        labels, scores = self._model.predict(line, k=_NUM_LABELS)
        shares: dict[str, float] = {}
        for label, score in zip(labels, scores, strict=True):
            tag = tag_of_label(label)
            if tag in allowed:
                shares[tag] = shares.get(tag, 0.0) + float(score)
        if not shares:
            return NO_GUESS
        best = max(shares, key=shares.__getitem__)
        return Guess(best, min(shares[best], 1.0))

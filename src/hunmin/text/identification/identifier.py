"""The language of texts: script first, then a classifier among the languages it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.identification.classifier import NO_GUESS, Classifier, Guess
from hunmin.text.identification.excerpt import excerpt
from hunmin.text.identification.letters import count_letters
from hunmin.text.identification.naive_bayes import Py3LangId
from hunmin.text.identification.prior import (
    UNKNOWN_SCRIPT,
    ScriptRule,
    candidates,
    main_scripts,
    script_rules,
)
from hunmin.text.identification.thresholds import Thresholds, load_thresholds
from hunmin.text.languages import UNDETERMINED

_HALF = 0.5
_SURE = 1.0


class Identified(NamedTuple):
    """The languages of some texts, as columns."""

    languages: list[str]
    """Canonical tags; `und` where nothing was accepted."""
    guesses: list[str]
    """Canonical tags before thresholds."""
    scores: list[float]
    """How sure the guess is, in [0, 1]; 1 where the script decides."""
    scripts: list[str]
    """Codes; `Jpan` for kana with Han characters, `Zyyy` for texts without letters."""


@dataclass(frozen=True)
class Identifier:
    """Finds the language of texts.

    Args:
        classifier: Decides where the script leaves several languages.
        thresholds: Lowest score to accept, by language; None for those of the classifier.
        num_letters: Characters of each text to look at, counted without code and addresses.
        min_letters: Texts with fewer letters are not given to the classifier: they are `und`.
        min_script_letters: The same for texts whose script decides.

    Raises:
        InputError: A number is not positive.
    """

    classifier: Classifier = field(default_factory=Py3LangId)
    thresholds: Thresholds | None = None
    num_letters: int = 1000
    min_letters: int = 12
    min_script_letters: int = 2

    def __post_init__(self) -> None:
        for name in ("num_letters", "min_letters", "min_script_letters"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1", given=getattr(self, name), allowed="1 or more"
                )
        if self.thresholds is None:
            object.__setattr__(self, "thresholds", load_thresholds(self.classifier.name))

    def identify(self, texts: Sequence[str]) -> Identified:
        """Return the language of each text.

        Args:
            texts: Texts in NFC; may be empty.

        Returns:
            Columns as long as `texts`. What is said of a text does not depend on the others.
        """
        excerpts = [excerpt(text, self.num_letters) for text in texts]
        scripts, letters = main_scripts(count_letters(excerpts), script_rules())
        guesses = self._guess(excerpts, scripts, letters.tolist())
        thresholds = self.thresholds or Thresholds()
        languages = [
            guess.language if guess.score >= thresholds.of(guess.language) else UNDETERMINED
            for guess in guesses
        ]
        return Identified(
            languages, [g.language for g in guesses], [g.score for g in guesses], scripts
        )

    def _guess(
        self, excerpts: Sequence[str], scripts: Sequence[str], letters: Sequence[int]
    ) -> list[Guess]:
        guesses = [NO_GUESS] * len(excerpts)
        open_rows = []
        for row, script in enumerate(scripts):
            if script == UNKNOWN_SCRIPT:
                continue
            decided = self._decided(script)
            if decided is None:
                open_rows.append(row)
            elif letters[row] >= self.min_script_letters:
                guesses[row] = decided
        asked = [row for row in open_rows if letters[row] >= self.min_letters]
        answers = self.classifier.classify(
            [excerpts[row] for row in asked], [self._candidates(scripts[row]) for row in asked]
        )
        for row, answer in zip(asked, answers, strict=True):
            guesses[row] = answer
        return guesses

    def _candidates(self, script: str) -> frozenset[str]:
        return candidates(script, self.classifier.languages)

    def _decided(self, script: str) -> Guess | None:
        """Return what the script alone says, or None if the classifier has to be asked."""
        rule = script_rules().rules.get(script, ScriptRule(()))
        if len(rule.languages) == 1 and not rule.also:
            return Guess(rule.languages[0], _SURE)
        known = self._candidates(script)
        if len(known) >= 2:
            return None
        if not rule.languages:
            return NO_GUESS
        # A classifier with one language for a script would take the others for it, quite sure.
        return Guess(rule.languages[0], _SURE if len(rule.languages) == 1 else _HALF)

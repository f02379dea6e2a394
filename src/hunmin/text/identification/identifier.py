"""The language of texts: script first, then a classifier among the languages it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.identification.classifier import NO_GUESS, Classifier, Guess
from hunmin.text.identification.excerpt import excerpt, is_plain
from hunmin.text.identification.naive_bayes import Py3LangId
from hunmin.text.identification.prior import (
    ScriptRule,
    candidates,
    main_scripts,
    script_rules,
)
from hunmin.text.identification.thresholds import Thresholds, load_thresholds
from hunmin.text.languages import UNDETERMINED
from hunmin.text.scripts import LetterCounts, count_letters

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
        heads = [
            text if is_plain(text, self.num_letters) else excerpt(text, self.num_letters)
            for text in texts
        ]
        scripts, letters = main_scripts(count_letters(heads), script_rules())
        guesses = self._script_guesses(scripts, letters)
        for row, answer in self._answers(texts, heads, scripts, letters):
            guesses[row] = answer
        names = [guess.language for guess in guesses]
        scores = [guess.score for guess in guesses]
        thresholds = self.thresholds or Thresholds()
        needed = {name: thresholds.of(name) for name in set(names)}
        languages = [
            name if score >= needed[name] else UNDETERMINED
            for name, score in zip(names, scores, strict=True)
        ]
        return Identified(languages, names, scores, scripts)

    def _script_guesses(self, scripts: Sequence[str], letters: LetterCounts) -> list[Guess]:
        decided = {script: self._decided(script) or NO_GUESS for script in set(scripts)}
        enough = (letters >= self.min_script_letters).tolist()
        return [
            decided[script] if is_enough else NO_GUESS
            for script, is_enough in zip(scripts, enough, strict=True)
        ]

    def _answers(
        self,
        texts: Sequence[str],
        heads: Sequence[str],
        scripts: Sequence[str],
        letters: LetterCounts,
    ) -> Iterator[tuple[int, Guess]]:
        """Yield what the classifier says, for the texts whose script leaves several languages."""
        is_open = {script: self._decided(script) is None for script in set(scripts)}
        enough = (letters >= self.min_letters).tolist()
        asked = [row for row, script in enumerate(scripts) if enough[row] and is_open[script]]
        excerpts = [
            excerpt(texts[row], self.num_letters) if heads[row] is texts[row] else heads[row]
            for row in asked
        ]
        options = [self._candidates(scripts[row]) for row in asked]
        yield from zip(asked, self.classifier.classify(excerpts, options), strict=True)

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

"""How well a list of labelled sentences is masked: precision and recall by type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.corpus.privacy.mask import TextMasker

_LABEL = re.compile(r"\[\[([a-z]+)\|(.*?)\]\]")


class LabelledText(NamedTuple):
    """A sentence whose personal data are known."""

    language: str
    """BCP 47 tag."""
    text: str
    """Without the marks."""
    spans: frozenset[tuple[int, int, str]]
    """Start, end and type of what must be masked."""


@dataclass(frozen=True)
class Score:
    """Counts of exact spans of one type."""

    found: int
    """Labelled and masked, from the same character to the same character."""
    extra: int
    """Masked and not labelled so."""
    missed: int
    """Labelled and not masked so."""

    @property
    def precision(self) -> float:
        """Share of the masked spans that were labelled; 1 if nothing was masked."""
        return self.found / (self.found + self.extra) if self.found + self.extra else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled spans that were masked; 1 if nothing was labelled."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0


def read_labelled(lines: Iterable[str]) -> list[LabelledText]:
    """Read a labelled list.

    Args:
        lines: `language<TAB>text`, personal data in the text as [[type|original]]; lines that begin
            with # and empty lines are skipped.

    Returns:
        The sentences in their order.

    Raises:
        InputError: A line has no tab.
    """
    cases = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line or line.startswith("#"):
            continue
        language, tab, marked = line.partition("\t")
        if not tab:
            raise InputError(
                "a line of the labelled list has no tab",
                where=f"line {number}",
                given=line,
                allowed="language<TAB>text with [[type|original]]",
            )
        cases.append(LabelledText(language, *_without_marks(marked)))
    return cases


def _without_marks(marked: str) -> tuple[str, frozenset[tuple[int, int, str]]]:
    text, position = "", 0
    spans = set()
    for match in _LABEL.finditer(marked):
        text += marked[position : match.start()]
        spans.add((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        position = match.end()
    return text + marked[position:], frozenset(spans)


def score(cases: Iterable[LabelledText], masker: TextMasker) -> dict[str, Score]:
    """Compare what a masker finds with what is labelled.

    Args:
        cases: Labelled sentences.
        masker: The masker to judge.

    Returns:
        A score for each type of the masker's spec.
    """
    found: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for case in cases:
        spans = {(s.start, s.end, s.type) for s in masker.find(case.text, case.language)}
        found.update(kind for _, _, kind in spans & case.spans)
        extra.update(kind for _, _, kind in spans - case.spans)
        missed.update(kind for _, _, kind in case.spans - spans)
    return {kind: Score(found[kind], extra[kind], missed[kind]) for kind in masker.spec.types}

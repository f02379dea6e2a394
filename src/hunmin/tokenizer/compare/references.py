"""Boundaries to compare with: marked by people, or found by an analyser."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hunmin.text.segmentation.boundaries import Analyser, Boundaries
from hunmin.text.segmentation.gold import GoldText, read_gold
from hunmin.text.segmentation.words import is_hangul_syllable, is_letter
from hunmin.tokenizer.compare.measures import is_word_list
from hunmin.tokenizer.compare.results import Reference
from hunmin.tokenizer.compare.texts import Texts

MAX_ANALYSED_BYTES = 200_000
"""Of each source: analysers are slow, and recall is known to a percent from this much."""
KOREAN = "ko"
ENDINGS = (".zst", ".gz", ".tsv", ".txt", ".conllu")


@dataclass(frozen=True)
class ReferenceTexts:
    """Texts with the boundaries to compare with.

    Args:
        name: What it is called in the report.
        texts: The texts.
        is_human: Whether people marked the boundaries.
        judged_share: Share of the words that can be judged; None for an analyser.
    """

    name: str
    texts: tuple[GoldText, ...]
    is_human: bool = True
    judged_share: float | None = None

    def facts(self) -> Reference:
        """Return what the report says about it."""
        kinds = Counter(str(kind) for text in self.texts for kind in text.boundaries.kinds)
        return Reference(
            name=self.name,
            is_human=self.is_human,
            num_texts=len(self.texts),
            is_word_list=is_word_list([text.text for text in self.texts]),
            judged_share=self.judged_share,
            boundaries_by_kind=dict(kinds.most_common()),
        )


def read_reference(path: Path, name: str | None = None) -> ReferenceTexts:
    """Read a gold standard.

    Args:
        path: A file of KLUE-DP, a Korean treebank (CoNLL-U) or a table of segmented words or
            sentences, see `text/segmentation/gold.py`.
        name: What it is called in the report; the file's name without its endings by default.

    Returns:
        Its texts.

    Raises:
        MissingInputError: There is no such file.
        InputError: It is in no format that is known.
    """
    gold = read_gold(path)
    return ReferenceTexts(name or _stem(path), gold.texts, judged_share=gold.judged_share)


def _stem(path: Path) -> str:
    while path.suffix in ENDINGS:
        path = path.with_suffix("")
    return path.name


def analyse_texts(name: str, analyser: Analyser, texts: Texts) -> list[ReferenceTexts]:
    """Let an analyser find the boundaries of texts.

    Args:
        name: Name of the analyser.
        analyser: The analyser.
        texts: Texts in a language it knows; of each source up to 200 KB are analysed.

    Returns:
        One reference for each source.
    """
    references = []
    for source, chosen in texts.by_source().items():
        numbers = np.flatnonzero(chosen).tolist()
        lines = _first_lines([texts.texts[number] for number in numbers])
        is_korean = all(texts.languages[number] == KOREAN for number in numbers)
        found = analyser.boundaries(lines)
        judged = [
            _judge(line, boundaries, is_korean=is_korean)
            for line, boundaries in zip(lines, found, strict=True)
        ]
        references.append(ReferenceTexts(f"{name} on {source}", tuple(judged), is_human=False))
    return references


def _first_lines(texts: Sequence[str]) -> list[str]:
    lines: list[str] = []
    num_bytes = 0
    for text in texts:
        for line in unicodedata.normalize("NFC", text).splitlines():
            num_bytes += len(line.encode())
            if num_bytes > MAX_ANALYSED_BYTES and lines:
                return lines
            lines += [line] if line.strip() else []
    return lines


def _judge(text: str, boundaries: Boundaries, *, is_korean: bool) -> GoldText:
    """Judge the positions between two letters; in Korean between two Hangul syllables."""
    fits = is_hangul_syllable if is_korean else is_letter
    are_letters = [fits(character) for character in text]
    judged = tuple(
        position
        for position in range(1, len(text))
        if are_letters[position - 1] and are_letters[position]
    )
    among = set(judged)
    pairs = zip(boundaries.positions, boundaries.kinds, strict=True)
    kept = [(position, kind) for position, kind in pairs if position in among]
    right = Boundaries(tuple(p for p, _ in kept), tuple(k for _, k in kept))
    return GoldText(text, judged, right)

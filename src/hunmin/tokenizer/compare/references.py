"""Boundaries to compare with: marked by people, or found by an analyser."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from hunmin.core.errors import InputError
from hunmin.text.languages import base_language, normalize_tag
from hunmin.text.segmentation.boundaries import Analyser, Boundaries
from hunmin.text.segmentation.gold import GoldText, read_gold
from hunmin.text.segmentation.registry import ANALYSERS, ANY_LANGUAGE, load_analyser
from hunmin.text.segmentation.segment import find_boundaries
from hunmin.text.segmentation.words import (
    IsLetter,
    is_hangul_syllable,
    is_letter,
    word_pattern,
)
from hunmin.tokenizer.compare.measures import is_word_list
from hunmin.tokenizer.compare.results import Reference
from hunmin.tokenizer.compare.subject import Flags
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


def analyse_texts(written: str, texts: Texts) -> list[ReferenceTexts]:
    """Let an analyser find the boundaries of texts.

    Args:
        written: `kiwi`, `table:FILE`, or with the language of the texts it is for `tr=table:FILE`.
        texts: Of each source, up to 200 KB in the analyser's languages are analysed.

    Returns:
        One reference for each source.

    Raises:
        InputError: No such analyser, or no text for it.
        MissingExtraError: Its package is not installed.
        MissingInputError: There is no such table.
    """
    tag, name, path = _split_analyser(written)
    chosen = _for_analyser(name, tag, texts)
    if not chosen.any():
        raise InputError(
            "there is no text that this analyser could be compared on",
            where=f"--analyser {written}",
            given=f"languages {', '.join(sorted(set(texts.languages))) or '(no texts)'}",
            hint="name texts in its language, such as --texts ko=wiki.txt",
        )
    language = tag or texts.languages[int(np.argmax(chosen))]
    lines = [line for some in _lines_by_source(texts, chosen).values() for line in some]
    analyser = load_analyser(name, language, path=path, words=_count_words(lines))
    return judge_by_analyser(name, analyser, language, texts, chosen)


def judge_by_analyser(
    name: str, analyser: Analyser, language: str, texts: Texts, chosen: Flags
) -> list[ReferenceTexts]:
    """Return the boundaries that an analyser finds in texts.

    Args:
        name: What the analyser is called in the report.
        analyser: The analyser.
        language: The language tag of the texts.
        texts: Of each source, up to 200 KB are analysed.
        chosen: Which texts are in the language.

    Returns:
        One reference for each source.
    """
    fits = is_hangul_syllable if base_language(language) == KOREAN else is_letter
    return [
        ReferenceTexts(f"{name} on {source}", _analyse(analyser, some, fits), is_human=False)
        for source, some in _lines_by_source(texts, chosen).items()
    ]


def _lines_by_source(texts: Texts, chosen: Flags) -> dict[str, list[str]]:
    return {
        source: _first_lines(texts, chosen & flags)
        for source, flags in texts.by_source().items()
        if (chosen & flags).any()
    }


def _split_analyser(written: str) -> tuple[str | None, str, Path | None]:
    tag, equals, rest = written.partition("=")
    # A path may have an equals sign too: table:runs/a=1.tsv.
    if not equals or ":" in tag:
        tag, rest = "", written
    name, _, path = rest.partition(":")
    language = None if tag in ("", ANY_LANGUAGE) else normalize_tag(tag)
    return language, name, Path(path) if path else None


def _for_analyser(name: str, tag: str | None, texts: Texts) -> Flags:
    """Return which texts are in the analyser's languages, or in the one that was named."""
    known = ANALYSERS[name].languages if name in ANALYSERS else ()
    wanted = {base_language(tag)} if tag is not None else set(known)
    fits = [not wanted or base_language(language) in wanted for language in texts.languages]
    return np.array(fits, np.bool_)


def _count_words(lines: Sequence[str]) -> Counter[str]:
    return Counter(match[0] for line in lines for match in word_pattern().finditer(line))


def _analyse(analyser: Analyser, lines: Sequence[str], fits: IsLetter) -> tuple[GoldText, ...]:
    found = find_boundaries(analyser, lines)
    return tuple(_judge(*pair, fits) for pair in zip(lines, found, strict=True))


def _first_lines(texts: Texts, chosen: Flags) -> list[str]:
    lines: list[str] = []
    num_bytes = 0
    for number in np.flatnonzero(chosen).tolist():
        for line in unicodedata.normalize("NFC", texts.texts[number]).splitlines():
            num_bytes += len(line.encode())
            if num_bytes > MAX_ANALYSED_BYTES and lines:
                return lines
            lines += [line] if line.strip() else []
    return lines


def _judge(text: str, boundaries: Boundaries, fits: IsLetter) -> GoldText:
    """Judge the positions between two letters; in Korean between two Hangul syllables."""
    are_letters = [fits(character) for character in text]
    pairs = enumerate(pairwise(are_letters), start=1)
    judged = tuple(position for position, (before, after) in pairs if before and after)
    among = set(judged)
    kinds = dict(zip(boundaries.positions, boundaries.kinds, strict=True))
    kept = tuple(position for position in boundaries.positions if position in among)
    return GoldText(text, judged, Boundaries(kept, tuple(kinds[position] for position in kept)))

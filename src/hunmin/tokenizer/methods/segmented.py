"""The sample with morpheme boundaries: what every method that respects morphemes reads."""

from __future__ import annotations

import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hunmin.core.logs import get_logger
from hunmin.text.languages import base_language
from hunmin.text.segmentation.boundaries import Analyser
from hunmin.text.segmentation.registry import ANALYSERS, load_analyser
from hunmin.text.segmentation.segment import SegmentationCounts, segment_texts
from hunmin.tokenizer.consistent.word_types import UnitCounter
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.spec import ANY_LANGUAGE, AnalyserSpec, MorphemeSpec

logger = get_logger(__name__)

Cuts = tuple[int, ...]
# Of each analysed text of one language its boundaries, packed: millions of them are kept.
_Known: TypeAlias = "dict[str, array[int]]"


@dataclass(frozen=True)
class SegmentedTexts:
    """Some texts of the sample and where their morphemes meet.

    Args:
        texts: The texts, as they are in the sample.
        languages: The language tag of each.
        boundaries: Of each text the character offsets of the boundaries that count, ascending, as
            `Boundaries.positions`; None for a text that was not analysed, because its language
            has no analyser, because enough text had been analysed, or because it is not in NFC.
    """

    texts: list[str]
    languages: list[str]
    boundaries: list[Cuts | None]


def segmented_batches(task: TrainingTask) -> Iterator[SegmentedTexts]:
    """Read the whole sample, a part of it analysed.

    Args:
        task: Spec and sample. Its facts get the analysers and how much they analysed.

    Yields:
        All texts of the sample, in its order. About `morphemes.sample_max_bytes` of them,
        spread evenly and in proportion over the languages that have an analyser, come with the
        boundaries of the kinds that `morphemes.boundaries` names. A text that is repeated is
        analysed once.

    Raises:
        InputError: An analyser does not exist, or not for its language.
        MissingExtraError: An analyser is not installed.
        StageFailedError: An analyser failed at every line, or a process died.

    Note:
        The sample is read two or three times. Memory: the analysed text and four bytes for each
        of its boundaries.
    """
    yield from Segmentation(task).batches()


class Segmentation:
    """The boundaries of a sample, found once.

    Args:
        task: Spec and sample; its facts get the analysers and how much they analysed.

    Raises:
        InputError: An analyser does not exist, or not for its language.
        MissingExtraError: An analyser is not installed.
        StageFailedError: An analyser failed at every line, or a process died.
    """

    def __init__(self, task: TrainingTask) -> None:
        self.task = task
        self.analysers = open_analysers(task)
        _warn_of_unused(task)
        self._known = _analyse_sample(task, self.analysers)

    def batches(self) -> Iterator[SegmentedTexts]:
        """Read the sample as `segmented_batches` does, without analysing it again."""
        for batch in self.task.batches():
            found = (
                self._known[language].get(text) if language in self._known else None
                for text, language in zip(batch.texts, batch.languages, strict=True)
            )
            cuts = [None if packed is None else tuple(packed) for packed in found]
            yield SegmentedTexts(batch.texts, batch.languages, cuts)


def segment_words(task: TrainingTask, language: str, words: Sequence[str]) -> list[Cuts]:
    """Analyse words on their own: those of the sample that stand in no analysed text.

    Args:
        task: Spec; says the analyser of the language and the kinds of boundaries that count.
        language: Language tag.
        words: Distinct words, most with a space before them (" 먹었습니다").

    Returns:
        The boundaries of each word, as offsets into it as given (the space counts); empty for
        each if the language has no analyser, and for words that are not in NFC.

    Raises:
        InputError: The analyser does not exist, or not for this language.
        MissingExtraError: The analyser is not installed.
        StageFailedError: The analyser failed at every word, or a process died.
    """
    analyser = open_analysers(task).get(language)
    fit = [word for word in words if unicodedata.is_normalized("NFC", word)]
    if analyser is None or not fit:
        return [()] * len(words)
    found = segment_texts([fit], analyser, total_bytes=sum(len(word.encode()) for word in fit))
    kinds = task.spec.morphemes.boundary_kinds
    cuts = {word: result.of_kinds(kinds) for word, result in zip(fit, found, strict=True)}
    return [cuts.get(word, ()) for word in words]


def find_analyser(spec: MorphemeSpec, language: str) -> AnalyserSpec | None:
    """Return the analyser of a language: its own, its base language's, or that for any."""
    named = (spec.analysers.get(key) for key in (language, base_language(language), ANY_LANGUAGE))
    return next((found for found in named if found is not None), None)


def open_analysers(task: TrainingTask) -> Mapping[str, Analyser]:
    """Open the analysers that the sample needs, once for each task.

    Args:
        task: Spec and sample.

    Returns:
        Analysers by language tag; languages without one are left out.

    Raises:
        InputError: An analyser does not exist, or not for its language.
        MissingExtraError: An analyser is not installed.
    """
    wanted = {
        language: found
        for language, num_bytes in sorted(task.sample.bytes_by_language.items())
        if num_bytes and (found := find_analyser(task.spec.morphemes, language)) is not None
    }
    missing = {name: spec for name, spec in wanted.items() if name not in task.analysers}
    if missing:
        words = _count_words(task, [name for name, spec in missing.items() if _learns(spec)])
        for language, spec in missing.items():
            task.analysers[language] = load_analyser(
                spec.name, language, path=spec.path, words=words.get(language)
            )
    return task.analysers


def _learns(spec: AnalyserSpec) -> bool:
    """Tell whether an analyser learns from words; a name that is wrong is refused later."""
    return spec.name in ANALYSERS and ANALYSERS[spec.name].needs == "words"


def _count_words(task: TrainingTask, languages: Sequence[str]) -> dict[str, Mapping[str, int]]:
    counters = {language: UnitCounter() for language in languages}
    for batch in task.batches("counting words") if languages else ():
        for text, language in zip(batch.texts, batch.languages, strict=True):
            if language in counters:
                counters[language].add(text)
    return {language: counter.counts for language, counter in counters.items()}


def _warn_of_unused(task: TrainingTask) -> None:
    if task.spec.morphemes.analysers and not task.analysers:
        logger.warning(
            "no analyser is used: the sample has text in %s, the recipe has analysers for %s",
            ", ".join(sorted(task.sample.bytes_by_language)),
            ", ".join(sorted(task.spec.morphemes.analysers)),
        )


def _analyse_sample(task: TrainingTask, analysers: Mapping[str, Analyser]) -> dict[str, _Known]:
    if not analysers:
        return {}
    chosen = _choose_texts(task, analysers)
    kinds = task.spec.morphemes.boundary_kinds
    record: dict[str, dict[str, object]] = {}
    for language, texts in chosen.items():
        counts, num_bytes = SegmentationCounts(), sum(len(text.encode()) for text in texts)
        logger.info("analysing %s with %s", language, analysers[language].identity)
        results = segment_texts(
            [list(texts)], analysers[language], counts=counts, total_bytes=num_bytes
        )
        for text, result in zip(texts, results, strict=True):
            texts[text] = array("I", result.of_kinds(kinds))
        record[language] = _record(analysers[language], texts, counts)
    task.facts["morphemes"] = record
    return chosen


def _record(analyser: Analyser, texts: _Known, counts: SegmentationCounts) -> dict[str, object]:
    return {
        "analyser": analyser.identity,
        "analysed_bytes": counts.num_bytes,
        "boundaries": sum(map(len, texts.values())),
        "failed_lines": counts.num_failed_lines,
    }


def _choose_texts(task: TrainingTask, languages: Iterable[str]) -> dict[str, _Known]:
    """Choose texts evenly, up to the bytes to analyse, in proportion over these languages.

    The last text of a language may be too large by a part of it: of one large text all is analysed.
    """
    chosen: dict[str, _Known] = {language: {} for language in languages}
    available = sum(task.sample.bytes_by_language[language] for language in chosen)
    share = min(1.0, task.spec.morphemes.sample_max_bytes / available)
    seen: defaultdict[str, int] = defaultdict(int)
    taken: defaultdict[str, int] = defaultdict(int)
    for batch in task.batches("choosing text to analyse"):
        for text, language in zip(batch.texts, batch.languages, strict=True):
            if language not in chosen or text in chosen[language]:
                continue
            size = len(text.encode())
            seen[language] += size
            has_room = taken[language] < share * seen[language]
            if has_room and unicodedata.is_normalized("NFC", text):
                chosen[language][text] = array("I")
                taken[language] += size
    return chosen

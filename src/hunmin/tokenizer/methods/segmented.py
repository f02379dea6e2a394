"""The sample with morpheme boundaries: what every method that respects morphemes reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hunmin.tokenizer.methods.base import TrainingTask

Cuts = tuple[int, ...]


@dataclass(frozen=True)
class SegmentedTexts:
    """Some texts of the sample and where their morphemes meet.

    Args:
        texts: The texts, as they are in the sample.
        languages: The language tag of each.
        boundaries: Of each text the character offsets of the boundaries that count, ascending, as
            `Boundaries.positions`; None for a text that was not analysed, because its language
            has no analyser or because enough text had been analysed.
    """

    texts: list[str]
    languages: list[str]
    boundaries: list[Cuts | None]


def segmented_batches(task: TrainingTask) -> Iterator[SegmentedTexts]:
    """Read the whole sample, a part of it analysed.

    Args:
        task: Spec and sample.

    Yields:
        All texts of the sample, in its order. At most `morphemes.sample_max_bytes` of them,
        spread evenly and in proportion over the languages that have an analyser, come with the
        boundaries of the kinds that `morphemes.boundaries` names.

    Raises:
        MissingExtraError: An analyser is not installed.
    """
    raise NotImplementedError


def segment_words(task: TrainingTask, language: str, words: Sequence[str]) -> list[Cuts]:
    """Analyse words on their own: those of the sample that stand in no analysed text.

    Args:
        task: Spec; says the analyser of the language and the kinds of boundaries that count.
        language: Language tag.
        words: Distinct words, most with a space before them (" 먹었습니다").

    Returns:
        The boundaries of each word, as offsets into it as given (the space counts); empty for
        each if the language has no analyser.

    Raises:
        MissingExtraError: The analyser is not installed.
    """
    raise NotImplementedError

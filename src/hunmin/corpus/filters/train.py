"""A quality classifier from named samples: training, threshold, evaluation, a folder of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hunmin.core.atomic import atomic_folder, atomic_write_text
from hunmin.core.errors import ArtifactKindError, InputError
from hunmin.core.hashing import seed_from
from hunmin.core.progress import progress
from hunmin.corpus.filters.classifier import (
    QualityClassifier,
    Sample,
    TrainingOptions,
    split_samples,
    train_classifier,
)
from hunmin.corpus.filters.measures import Evaluation
from hunmin.corpus.privacy.mask import masker_for
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.corpus.sources.named import NamedText

REPORT_NAME = "report.md"
_CLASSIFIER_FILE = "classifier.json"
_SHOWN = 5
_UNBALANCED = 3
_SHOWN_CHARACTERS = 200


class ScoredSample(NamedTuple):
    """A held-out sample and what the classifier says of it."""

    score: float
    """Probability of being good."""
    is_good: bool
    """What is known."""
    source: str
    """Where it comes from."""
    text: str
    """Its first characters, on one line, personal data masked."""


@dataclass(frozen=True)
class Training:
    """A trained classifier and how good it is."""

    classifier: QualityClassifier
    """Weights, threshold and facts."""
    evaluation: Evaluation
    """Samples neither trained on nor used to choose the threshold."""
    threshold_by: str
    """How the threshold was chosen."""
    samples: Mapping[str, Mapping[str, float]]
    """Number, sources and median length by kind, `good` and `bad`."""
    contradictory: int
    """Texts that were given as good and as bad, and left out."""
    kept: float
    """Share of the evaluated samples at or above the threshold."""
    precision: float
    """Share of good among what is kept; NaN if nothing is."""
    recall: float
    """Share of the good that is kept."""
    highest: tuple[ScoredSample, ...]
    """Held-out samples with the highest scores."""
    lowest: tuple[ScoredSample, ...]
    """Held-out samples with the lowest scores."""
    mistaken: tuple[ScoredSample, ...]
    """Good samples that score lowest and bad ones that score highest, if judged wrongly."""
    notes: tuple[str, ...]
    """What to know before trusting it."""

    def as_json(self) -> dict[str, Any]:
        """Return everything but the weights as plain values."""
        return {
            "threshold": self.classifier.threshold,
            "threshold_by": self.threshold_by,
            "samples": {kind: dict(counts) for kind, counts in self.samples.items()},
            "contradictory": self.contradictory,
            "kept": self.kept,
            "precision": self.precision if np.isfinite(self.precision) else None,
            "recall": self.recall,
            "trained_on": self.classifier.facts["trained_on"],
            "held_out": self.evaluation.as_json(),
            "highest": [sample._asdict() for sample in self.highest],
            "lowest": [sample._asdict() for sample in self.lowest],
            "mistaken": [sample._asdict() for sample in self.mistaken],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class ThresholdChoice:
    """How the threshold is chosen; at 0.5 if nothing is given."""

    keep_share: float | None = None
    """Share to keep of the texts that it will filter."""
    keep_of: tuple[NamedText, ...] = ()
    """Texts such as it will filter; the held-out samples if there are none."""
    precision: float | None = None
    """Share of good among what is kept."""

    def __post_init__(self) -> None:
        for name, value in (("--keep-share", self.keep_share), ("--precision", self.precision)):
            if value is not None and not 0 < value < 1:
                raise InputError(f"{name} lies between 0 and 1", given=value)
        if self.keep_share is not None and self.precision is not None:
            raise InputError(
                "the threshold follows from one wish only",
                given="--keep-share and --precision",
                hint="leave out one of them",
            )


def train_from_texts(
    good: Sequence[NamedText],
    bad: Sequence[NamedText],
    *,
    choice: ThresholdChoice | None = None,
    options: TrainingOptions | None = None,
) -> Training:
    """Train a classifier on good and bad texts and evaluate it on texts of the same sources.

    Args:
        good: Texts like those that are wanted.
        bad: Texts like those that are not.
        choice: How the threshold is chosen; at 0.5 by default.
        options: How to train.

    Returns:
        The classifier and its evaluation.

    Raises:
        InputError: Too few samples of a kind, or a wish that no threshold fulfils.

    Note:
        Equal texts count once. A threshold for a precision is chosen on one half of the held-out
        samples and evaluated on the other.
    """
    choice, options = choice or ThresholdChoice(), options or TrainingOptions()
    samples, contradictory = _samples(good, bad)
    with progress("training", total=len(samples), unit="samples") as bar:
        classifier, _ = train_classifier(samples, options)
        bar.advance(len(samples))
    held_out = split_samples(_cut(samples, options), options.held_out)[1]
    classifier, told, test = _with_threshold(classifier, choice, held_out)
    evaluation = classifier.evaluate(test)
    facts = {
        **classifier.facts,
        "held_out": evaluation.as_json(),
        "threshold_by": told,
    }
    return _described(
        replace(classifier, facts=facts), evaluation, told, samples, contradictory, test
    )


def _samples(good: Sequence[NamedText], bad: Sequence[NamedText]) -> tuple[list[Sample], int]:
    """Different texts, those left out that are said to be both."""
    wanted = {text.text: text.source for text in good}
    unwanted = {text.text: text.source for text in bad}
    both = wanted.keys() & unwanted.keys()
    samples = [Sample(text, True, source) for text, source in wanted.items() if text not in both]
    samples += [Sample(t, False, source) for t, source in unwanted.items() if t not in both]
    return samples, len(both)


def _cut(samples: Sequence[Sample], options: TrainingOptions) -> list[Sample]:
    return [replace(sample, text=sample.text[: options.max_characters]) for sample in samples]


def _with_threshold(
    classifier: QualityClassifier, choice: ThresholdChoice, held_out: list[Sample]
) -> tuple[QualityClassifier, str, list[Sample]]:
    """The classifier, how its threshold was found, and the samples left to evaluate with."""
    if choice.keep_share is not None:
        texts = [text.text for text in choice.keep_of] or [sample.text for sample in held_out]
        of = "the texts to filter" if choice.keep_of else "the held-out samples"
        told = f"keeps {choice.keep_share:.0%} of {of}"
        return classifier.keeping(texts, choice.keep_share), told, held_out
    if choice.precision is not None:
        half, rest = _halves(held_out)
        told = f"precision of {choice.precision:.0%} on half of the held-out samples"
        return classifier.with_precision(half, choice.precision), told, rest
    return classifier, "0.5, where good and bad are equally likely", held_out


def _halves(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    sides: tuple[list[Sample], list[Sample]] = ([], [])
    for sample in samples:
        sides[seed_from("threshold", sample.text) % 2].append(sample)
    return sides


def _described(
    classifier: QualityClassifier,
    evaluation: Evaluation,
    told: str,
    samples: Sequence[Sample],
    contradictory: int,
    test: Sequence[Sample],
) -> Training:
    scored = _scored(classifier, test)
    wrong = [s for s in scored if (s.score >= classifier.threshold) != s.is_good]
    kept = [s.is_good for s in scored if s.score >= classifier.threshold]
    surely_wrong = sorted(wrong, key=lambda s: -abs(s.score - classifier.threshold))
    kinds = {kind: _counts(samples, is_good) for kind, is_good in (("good", True), ("bad", False))}
    return Training(
        classifier=classifier,
        evaluation=evaluation,
        threshold_by=told,
        samples=kinds,
        contradictory=contradictory,
        kept=len(kept) / len(scored),
        precision=sum(kept) / len(kept) if kept else float("nan"),
        recall=sum(kept) / max(1, sum(s.is_good for s in scored)),
        highest=_shown(scored[:_SHOWN]),
        lowest=_shown(scored[::-1][:_SHOWN]),
        mistaken=_shown(surely_wrong[:_SHOWN]),
        notes=tuple(_notes(evaluation, kinds, contradictory)),
    )


def _scored(classifier: QualityClassifier, samples: Sequence[Sample]) -> list[ScoredSample]:
    """Samples with a score, the best first."""
    scores = classifier.scores([sample.text for sample in samples]).tolist()
    found = [
        ScoredSample(score, sample.is_good, sample.source, sample.text)
        for score, sample in zip(scores, samples, strict=True)
        if np.isfinite(score)
    ]
    return sorted(found, key=lambda sample: (-sample.score, sample.text))


def _shown(samples: Sequence[ScoredSample]) -> tuple[ScoredSample, ...]:
    """Samples fit to be shown: short, on one line, without personal data."""
    masker = masker_for(PrivacySpec())
    return tuple(
        sample._replace(text=" ".join(masker.mask(sample.text)[0].split())[:_SHOWN_CHARACTERS])
        for sample in samples
    )


def _counts(samples: Sequence[Sample], is_good: bool) -> dict[str, float]:
    own = [sample for sample in samples if sample.is_good == is_good]
    return {
        "samples": len(own),
        "sources": len({sample.source for sample in own}),
        "median_characters": float(np.median([len(sample.text) for sample in own])),
    }


def _notes(
    evaluation: Evaluation, kinds: Mapping[str, Mapping[str, float]], contradictory: int
) -> list[str]:
    notes = []
    if contradictory:
        notes.append(f"{contradictory:,} texts were given as good and as bad; they are left out")
    lengths = sorted(kinds[kind]["median_characters"] for kind in ("good", "bad"))
    if lengths[1] > 4 * lengths[0]:
        notes.append(
            f"good and bad samples differ in length ({lengths[0]:,.0f} and {lengths[1]:,.0f} "
            "characters): the classifier may have learnt what short texts are about"
        )
    numbers = sorted(kinds[kind]["samples"] for kind in ("good", "bad"))
    if numbers[1] > _UNBALANCED * numbers[0]:
        notes.append(
            f"one kind has {numbers[1] / numbers[0]:.0f} times as many samples as the other; both "
            "weigh the same in training, so a score says how likely a text is good among as many "
            "good as bad ones"
        )
    if evaluation.auc > 0.995:
        notes.append(
            "good and bad are told apart almost without fail: check that they differ in quality, "
            "not in topic or source; try it on texts of sources that it has not seen"
        )
    if evaluation.accuracy <= evaluation.majority:
        notes.append("it judges no better than always giving the commoner answer: do not use it")
    return notes


def check_classifier_folder(path: Path) -> None:
    """Refuse, before any work, a folder whose content a classifier would replace.

    Args:
        path: Where the classifier goes.

    Raises:
        ArtifactKindError: Something that is no classifier is there.
    """
    if not path.name:
        raise ArtifactKindError(
            "the folder that this runs in cannot be replaced",
            where=path,
            hint="name a new folder, such as classifiers/mine",
        )
    is_free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not is_free and not (path / _CLASSIFIER_FILE).is_file():
        raise ArtifactKindError(
            "something else is here; a classifier would replace it",
            where=path,
            allowed="a new folder, an empty one, or an older classifier",
            hint="choose another place or move it away",
        )


def write_training(training: Training, path: Path, report: str) -> None:
    """Write classifier.safetensors, classifier.json and report.md, whole or not at all.

    Args:
        training: What to write.
        path: The folder; an older classifier there is replaced.
        report: Content of report.md.
    """
    check_classifier_folder(path)
    with atomic_folder(path) as draft:
        inner = draft / "classifier"
        training.classifier.save(inner)
        for file in sorted(inner.iterdir()):
            file.rename(draft / file.name)
        inner.rmdir()
        atomic_write_text(draft / REPORT_NAME, report)

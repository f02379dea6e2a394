"""A quality classifier of one's own: good and bad samples in, a score for every document out.

HyperCLOVA's corpus was filtered with such a model. It is linear in hashed n-grams of characters and
words, so it scores text as fast as it can be hashed, and it is saved as plain numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.atomic import atomic_folder
from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.core.hashing import seed_from
from hunmin.corpus.filters.features import FeatureSpace, rows_of, score_sums
from hunmin.corpus.filters.logistic import fit, sigmoid
from hunmin.corpus.filters.measures import Evaluation, evaluate, threshold_for_precision

LOW_QUALITY = "low quality"
_WEIGHTS, _FACTS = "classifier.safetensors", "classifier.json"
_FORMAT = "hunmin quality classifier 2"
_MIN_SAMPLES = 10


@dataclass(frozen=True)
class Sample:
    """A text that is known to be good or bad."""

    text: str
    """Normalised text."""
    is_good: bool
    """Whether documents like it are wanted."""
    source: str = ""
    """Where it comes from; evaluations are told by source."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a classifier is trained."""

    space: FeatureSpace = field(default_factory=FeatureSpace)
    """Which features texts have."""
    scale: float = 100.0
    """Factor on the shares that features are."""
    l2: float = 1.0
    """Pull of the weights towards zero."""
    steps: int = 100
    """Most steps of L-BFGS."""
    held_out: float = 0.2
    """Share of the samples to evaluate with, chosen by a hash of their text."""
    max_characters: int = 4000
    """Samples are cut to this length, so that long ones do not outvote short ones."""


@dataclass(frozen=True, eq=False)
class QualityClassifier:
    """A trained classifier; documents below the threshold are of low quality."""

    space: FeatureSpace
    """Which features texts have."""
    weights: npt.NDArray[np.float32]
    """Weight of each feature, shape (2**bits,)."""
    bias: float
    """Logit of a text without features."""
    threshold: float = 0.5
    """Smallest score that is kept, (0, 1)."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained and what it scored on held-out samples; any mapping will do."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def __reduce__(self) -> tuple[type[QualityClassifier], tuple[Any, ...]]:
        own = (self.space, self.weights, self.bias, self.threshold, dict(self.facts))
        return QualityClassifier, own

    def scores(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return how good texts are.

        Args:
            texts: Normalised texts.

        Returns:
            Probabilities in [0, 1], NaN for a text without any n-gram; each depends on its text
            alone.
        """
        return sigmoid(score_sums(texts, self.space, self.weights) + self.bias)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the reason `low quality` to documents below the threshold that have none yet.

        Args:
            batch: With `text` and `reason`, such as RECORD_SCHEMA.

        Returns:
            The same rows followed by a column `quality`, float64, null for texts without n-grams.
        """
        scores = self.scores(batch["text"].to_pylist())
        low = (scores < self.threshold).tolist()
        known = batch["reason"].to_pylist()
        reasons = [
            LOW_QUALITY if old is None and is_low else old
            for old, is_low in zip(known, low, strict=True)
        ]
        index = batch.schema.get_field_index("reason")
        batch = batch.set_column(index, batch.schema.field(index), pa.array(reasons, pa.string()))
        quality = pa.array(scores, pa.float64(), from_pandas=True)
        schema = batch.schema.append(pa.field("quality", pa.float64()))
        return pa.RecordBatch.from_arrays([*batch.columns, quality], schema=schema)

    def keeping(self, texts: Sequence[str], share: float) -> QualityClassifier:
        """Return the classifier with the threshold that keeps a share of some texts.

        Args:
            texts: A sample of what will be filtered.
            share: Share to keep, (0, 1).

        Returns:
            The same classifier with another threshold.
        """
        if not 0 < share < 1:
            raise InputError("a share to keep lies between 0 and 1", given=share)
        scores = self.scores(texts)
        scores = scores[np.isfinite(scores)]
        if not len(scores):
            raise InputError("there is no text to choose a threshold with")
        return replace(self, threshold=float(np.quantile(scores, 1 - share)))

    def with_precision(self, samples: Sequence[Sample], precision: float) -> QualityClassifier:
        """Return the classifier with the lowest threshold that reaches a precision on samples."""
        scores = self.scores([sample.text for sample in samples])
        is_good = np.asarray([sample.is_good for sample in samples], np.bool_)
        return replace(self, threshold=threshold_for_precision(scores, is_good, precision))

    def evaluate(self, samples: Sequence[Sample]) -> Evaluation:
        """Score samples that were not trained on; see `measures.evaluate`."""
        scores = self.scores([sample.text for sample in samples])
        is_good = np.asarray([sample.is_good for sample in samples], np.bool_)
        return evaluate(scores, is_good, [sample.source for sample in samples], self.threshold)

    def save(self, path: Path) -> None:
        """Write a folder with `classifier.safetensors` and `classifier.json`."""
        numpy = require("safetensors.numpy", extra="train")
        facts = {
            "format": _FORMAT,
            "bits": self.space.bits,
            "characters": list(self.space.characters),
            "words": list(self.space.words),
            "bias": self.bias,
            "threshold": self.threshold,
            "facts": dict(self.facts),
        }
        with atomic_folder(path) as draft:
            numpy.save_file({"weights": self.weights}, draft / _WEIGHTS)
            text = json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True)
            (draft / _FACTS).write_text(text + "\n", encoding="utf-8")


def load_classifier(path: Path) -> QualityClassifier:
    """Read a classifier from its folder.

    Args:
        path: What `QualityClassifier.save` wrote.

    Returns:
        The classifier as it was.

    Raises:
        InputError: The folder holds none, or one of another format.
    """
    numpy = require("safetensors.numpy", extra="train")
    if not (path / _FACTS).is_file() or not (path / _WEIGHTS).is_file():
        raise InputError(
            "this folder holds no quality classifier", where=path, allowed=f"{_FACTS}, {_WEIGHTS}"
        )
    facts = json.loads((path / _FACTS).read_text("utf-8"))
    if facts.get("format") != _FORMAT:
        raise InputError(
            "a quality classifier of another format",
            where=path / _FACTS,
            given=facts.get("format"),
            allowed=_FORMAT,
            hint="train it again with this version",
        )
    space = FeatureSpace(facts["bits"], tuple(facts["characters"]), tuple(facts["words"]))
    weights = numpy.load_file(path / _WEIGHTS)["weights"]
    if weights.shape != (space.size,):
        raise InputError(
            "the weights do not fit the features",
            where=path,
            given=weights.shape,
            allowed=(space.size,),
        )
    return QualityClassifier(space, weights, facts["bias"], facts["threshold"], facts["facts"])


def split_samples(samples: Sequence[Sample], held_out: float) -> tuple[list[Sample], list[Sample]]:
    """Part samples into those to train on and those to evaluate with, by a hash of their text."""
    limit = int(held_out * 2.0**64)
    sides: tuple[list[Sample], list[Sample]] = ([], [])
    for sample in samples:
        sides[seed_from("classifier", sample.text) < limit].append(sample)
    return sides


def train_classifier(
    samples: Sequence[Sample], options: TrainingOptions | None = None
) -> tuple[QualityClassifier, Evaluation]:
    """Train a classifier on good and bad samples.

    Args:
        samples: At least ten of each kind on each side of the split; equal texts stay together.
        options: How to train.

    Returns:
        The classifier, its threshold at 0.5, and its evaluation on the held-out samples.

    Raises:
        InputError: Too few samples of a kind.
    """
    options = options or TrainingOptions()
    cut = [replace(sample, text=sample.text[: options.max_characters]) for sample in samples]
    train, held_out = split_samples(cut, options.held_out)
    for name, part in (("train", train), ("held out", held_out)):
        _check_samples(name, part)
    rows = rows_of([sample.text for sample in train], options.space)
    is_good = np.asarray([sample.is_good for sample in train], np.bool_)
    weights, bias = fit(
        rows,
        is_good,
        options.space.size,
        scale=options.scale,
        l2=options.l2,
        steps=options.steps,
    )
    classifier = QualityClassifier(options.space, weights.astype(np.float32), bias)
    evaluation = classifier.evaluate(held_out)
    facts = {"trained_on": len(train), "held_out": evaluation.as_json()}
    return replace(classifier, facts=facts), evaluation


def _check_samples(name: str, samples: Sequence[Sample]) -> None:
    for is_good, kind in ((True, "good"), (False, "bad")):
        count = sum(sample.is_good == is_good for sample in samples)
        if count < _MIN_SAMPLES:
            raise InputError(
                f"too few {kind} samples to learn from",
                where=f"{name} samples",
                given=count,
                allowed=f"{_MIN_SAMPLES} or more",
                hint="give more samples, or hold out another share",
            )

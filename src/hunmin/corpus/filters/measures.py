"""How well scores part good from bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
_BINS = 10


@dataclass(frozen=True)
class SourceScore:
    """What became of the samples of one source."""

    samples: int
    """Number of samples."""
    good: int
    """Those that are good."""
    accuracy: float
    """Share judged rightly."""
    kept: float
    """Share at or above the threshold."""
    mean_score: float
    """Mean score."""


@dataclass(frozen=True)
class Bin:
    """Samples of one tenth of the scores, for a reliability diagram."""

    samples: int
    """Number of samples."""
    mean_score: float
    """What the classifier says."""
    good: float
    """Share that is good."""


@dataclass(frozen=True)
class Evaluation:
    """How well scores part good from bad."""

    samples: int
    """Samples with a score."""
    accuracy: float
    """Share judged rightly at the threshold."""
    majority: float
    """Accuracy of always saying the commoner answer."""
    auc: float
    """Probability that a good sample scores higher than a bad one."""
    calibration_error: float
    """Mean distance between score and share of good samples over ten bins, by their size."""
    bins: tuple[Bin, ...]
    """Bins that hold any samples."""
    sources: dict[str, SourceScore]
    """By source."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def auc(scores: Scores, is_good: Labels) -> float:
    """Return the area under the ROC curve; ties count half. NaN without both kinds."""
    good, bad = int(is_good.sum()), int((~is_good).sum())
    if not good or not bad:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[is_good].sum() - good * (good + 1) / 2) / (good * bad))


def threshold_for_precision(scores: Scores, is_good: Labels, precision: float) -> float:
    """Return the lowest threshold at which the share of good among what is kept is high enough.

    Args:
        scores: Scores, shape (samples,).
        is_good: What is known.
        precision: Share of good that is wanted, (0, 1].

    Returns:
        A score that one of the samples has.

    Raises:
        InputError: No threshold reaches the precision.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    reached = np.cumsum(is_good[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    fits = np.flatnonzero((reached >= precision) & last_of_ties)
    if not len(fits):
        raise InputError(
            "no threshold reaches this precision",
            given=precision,
            allowed=f"at most {reached.max(initial=0.0):.4f} on these samples",
        )
    return float(ordered[fits[-1]])


def evaluate(
    scores: Scores, is_good: Labels, sources: Sequence[str], threshold: float
) -> Evaluation:
    """Compare scores with what is known.

    Args:
        scores: Probabilities of being good; NaN is left out.
        is_good: What is known.
        sources: Source of each sample.
        threshold: Smallest score that is kept.

    Returns:
        The comparison, told by source and by tenth of the scores too.
    """
    known = np.isfinite(scores)
    names = np.asarray(sources, object)[known]
    scores, is_good = scores[known], is_good[known]
    if not len(scores):
        raise InputError("there is no sample to evaluate with")
    right = (scores >= threshold) == is_good
    bins = _bins(scores, is_good)
    error = sum(part.samples * abs(part.mean_score - part.good) for part in bins) / len(scores)
    by_source = {
        name: SourceScore(
            int((names == name).sum()),
            int(is_good[names == name].sum()),
            float(right[names == name].mean()),
            float((scores[names == name] >= threshold).mean()),
            float(scores[names == name].mean()),
        )
        for name in sorted(set(names))
    }
    share = float(is_good.mean())
    return Evaluation(
        len(scores),
        float(right.mean()),
        max(share, 1 - share),
        auc(scores, is_good),
        float(error),
        bins,
        by_source,
    )


def _bins(scores: Scores, is_good: Labels) -> tuple[Bin, ...]:
    places = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    return tuple(
        Bin(
            int((places == place).sum()),
            float(scores[places == place].mean()),
            float(is_good[places == place].mean()),
        )
        for place in np.unique(places)
    )

"""What a model has to beat: the most frequent intent, and a linear model of character n-grams.

Neither predicts slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.adapt.nlu.scores import Prediction
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import EmptyCorpusError

Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_LENGTHS = (1, 2, 3, 4, 5)
_NUM_BUCKETS = 1 << 17
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HIGH_BITS = np.uint64(64 - 17)
_BATCH = 256
_LEARNING_RATE = 0.5
_SMALLEST_STEP = 1e-8


@dataclass(frozen=True, slots=True)
class ConstantBaseline:
    """Always says the most frequent intent."""

    intent: str

    def predict(self, utterances: Sequence[Utterance]) -> list[Prediction]:
        """Return one prediction for each utterance, without slots."""
        return [Prediction(made.id, made.locale, self.intent) for made in utterances]


@dataclass(frozen=True, slots=True)
class LinearBaseline:
    """Multinomial logistic regression over hashed character n-grams."""

    intents: tuple[str, ...]
    weights: Floats32
    """Shape (buckets, intents)."""
    bias: Floats32
    """Shape (intents)."""

    def predict(self, utterances: Sequence[Utterance]) -> list[Prediction]:
        """Return one prediction for each utterance, without slots."""
        grams = _Grams.of([made.utt for made in utterances])
        best: list[int] = []
        for rows in _batches(np.arange(len(utterances))):
            buckets, features = grams.features(rows)
            scores = features @ self.weights[buckets] + self.bias
            best += scores.argmax(1).tolist()
        return [
            Prediction(made.id, made.locale, self.intents[number])
            for made, number in zip(utterances, best, strict=True)
        ]


def fit_constant(utterances: Sequence[Utterance]) -> ConstantBaseline:
    """Find the most frequent intent, the first by name among equals.

    Args:
        utterances: Labelled utterances.

    Returns:
        The baseline.

    Raises:
        EmptyCorpusError: There is no utterance.
    """
    _check_some(utterances)
    counts = Counter(made.intent for made in utterances)
    return ConstantBaseline(min(counts, key=lambda intent: (-counts[intent], intent)))


def fit_linear(
    utterances: Sequence[Utterance], *, num_epochs: int = 10, seed: int = 0
) -> LinearBaseline:
    """Fit the intents of utterances to their character n-grams.

    Args:
        utterances: Labelled utterances.
        num_epochs: Passes over them.
        seed: Order of the utterances in each pass.

    Returns:
        The baseline.

    Raises:
        EmptyCorpusError: There is no utterance.

    Note:
        AdaGrad on batches of 256; n-grams of one to five characters in lower case, with a space
        at both ends, in 131,072 buckets; each utterance's counts have length one. Deterministic
        on one machine.
    """
    _check_some(utterances)
    names, labels = np.unique([made.intent for made in utterances], return_inverse=True)
    grams = _Grams.of([made.utt for made in utterances])
    fit = _Fit.start(len(names))
    generator = np.random.default_rng(seed)
    for _ in range(num_epochs):
        for rows in _batches(generator.permutation(len(utterances))):
            fit.step(*grams.features(rows), labels[rows])
    return LinearBaseline(tuple(names.tolist()), fit.weights, fit.bias)


def _check_some(utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise EmptyCorpusError(
            "no utterance to fit a baseline to", hint="choose a partition that has some"
        )


def _batches(rows: Integers) -> Iterator[Integers]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


@dataclass(slots=True)
class _Fit:
    """Weights while they are fitted, with AdaGrad's sums of squared gradients."""

    weights: Floats32
    bias: Floats32
    weight_squares: Floats32
    bias_squares: Floats32

    @staticmethod
    def start(num_intents: int) -> _Fit:
        shape = (_NUM_BUCKETS, num_intents)
        table, row = np.zeros(shape, np.float32), np.zeros(num_intents, np.float32)
        return _Fit(table, row, table.copy(), row.copy())

    def step(self, buckets: Integers, features: Floats32, labels: Integers) -> None:
        """Move down the gradient of the mean cross-entropy of a batch."""
        scores = features @ self.weights[buckets] + self.bias
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        shares[np.arange(len(labels)), labels] -= 1.0
        shares /= len(labels)
        gradient = features.T @ shares
        self.weight_squares[buckets] += gradient**2
        size = np.sqrt(self.weight_squares[buckets]) + _SMALLEST_STEP
        self.weights[buckets] -= _LEARNING_RATE * gradient / size
        down = shares.sum(0)
        self.bias_squares += down**2
        self.bias -= _LEARNING_RATE * down / (np.sqrt(self.bias_squares) + _SMALLEST_STEP)


@dataclass(frozen=True, slots=True)
class _Grams:
    """The buckets of every n-gram of some texts, those of text i from starts[i] on."""

    buckets: Integers
    starts: Integers

    @staticmethod
    def of(texts: Sequence[str]) -> _Grams:
        padded = [f" {text.lower()} " for text in texts]
        points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32)
        rows = np.repeat(np.arange(len(texts)), [len(text) for text in padded])
        found = [_hashed(points.astype(np.uint64), rows, length) for length in _LENGTHS]
        gram_rows = np.concatenate([row for row, _ in found])
        buckets = np.concatenate([bucket for _, bucket in found])
        order = np.argsort(gram_rows, kind="stable")
        starts = np.searchsorted(gram_rows[order], np.arange(len(texts) + 1))
        return _Grams(buckets[order], starts)

    def features(self, rows: Integers) -> tuple[Integers, Floats32]:
        """Return the buckets that occur in some texts, and each text's share of them.

        Args:
            rows: Numbers of the texts.

        Returns:
            Buckets, shape (buckets); features, shape (rows, buckets), each row of length one.
        """
        sizes = self.starts[rows + 1] - self.starts[rows]
        text = np.repeat(np.arange(len(rows)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = self.buckets[self.starts[rows][text] + within]
        buckets, column = np.unique(found, return_inverse=True)
        cells = np.bincount(text * len(buckets) + column, minlength=len(rows) * len(buckets))
        counts = cells.reshape(len(rows), len(buckets)).astype(np.float32)
        return buckets, counts / np.linalg.norm(counts, axis=1, keepdims=True)


def _hashed(
    points: npt.NDArray[np.uint64], rows: Integers, length: int
) -> tuple[Integers, Integers]:
    """Return text and bucket of each n-gram of a length that lies within one text."""
    num_grams = max(0, len(points) - length + 1)
    code = np.full(num_grams, length, dtype=np.uint64)
    for shift in range(length):
        code = (code ^ points[shift : shift + num_grams]) * _MULTIPLIER
        code ^= code >> np.uint64(29)
    first, last = rows[:num_grams], rows[length - 1 : length - 1 + num_grams]
    inside = first == last
    buckets = ((code[inside] * _MULTIPLIER) >> _HIGH_BITS).astype(np.int64)
    return first[inside], buckets

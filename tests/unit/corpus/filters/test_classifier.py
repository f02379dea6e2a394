"""The classifier: learns, scores each text alone, comes back from its folder as it was."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.errors import InputError
from hunmin.corpus.filters import chunks
from hunmin.corpus.filters.classifier import (
    LOW_QUALITY,
    QualityClassifier,
    Sample,
    TrainingOptions,
    load_classifier,
    split_samples,
    train_classifier,
)
from hunmin.corpus.filters.features import FeatureSpace, rows_of, score_sums
from hunmin.corpus.filters.logistic import minimize
from hunmin.corpus.filters.measures import auc, evaluate, threshold_for_precision


def batch_of(texts: list[str], reason: str | None = None) -> pa.RecordBatch:
    columns = {"text": pa.array(texts, pa.string()), "reason": [reason] * len(texts)}
    schema = pa.schema([("text", pa.string()), ("reason", pa.string())])
    return pa.RecordBatch.from_pydict(columns, schema=schema)


SPACE = FeatureSpace(bits=12)
OPTIONS = TrainingOptions(space=SPACE)


def samples() -> list[Sample]:
    generator = np.random.default_rng(7)
    words = " ".join(SENTENCES["ko"] + SENTENCES["en"]).split()
    good = [" ".join(generator.choice(words, 20)) for _ in range(120)]
    bad = ["".join(generator.choice(list("ㅁㄴㅇㄹ ㅋasdf"), 80)) for _ in range(120)]
    return [Sample(text, True, "prose") for text in good] + [
        Sample(text, False, "mash") for text in bad
    ]


@pytest.fixture(scope="module")
def classifier() -> QualityClassifier:
    return train_classifier(samples(), OPTIONS)[0]


def test_it_learns_and_says_how_well(classifier: QualityClassifier) -> None:
    evaluation = classifier.evaluate(split_samples(samples(), 0.2)[1])
    assert evaluation.auc > 0.99
    assert evaluation.accuracy > 0.95 > evaluation.majority
    assert set(evaluation.sources) == {"prose", "mash"}
    assert evaluation.sources["mash"].kept < 0.1 < 0.9 < evaluation.sources["prose"].kept
    assert sum(part.samples for part in evaluation.bins) == evaluation.samples
    assert classifier.facts["held_out"]["auc"] == evaluation.auc


def test_training_is_deterministic(classifier: QualityClassifier) -> None:
    again = train_classifier(samples(), OPTIONS)[0]
    assert np.array_equal(again.weights, classifier.weights)
    assert again.bias == classifier.bias


def test_kernel(classifier: QualityClassifier) -> None:
    texts = [samples()[0].text, samples()[-1].text, ""]
    result = classifier(batch_of(texts))
    assert result["reason"].to_pylist() == [None, LOW_QUALITY, None]
    assert result["quality"].null_count == 1
    assert classifier(batch_of([])).num_rows == 0
    kept = classifier(batch_of(texts, reason="duplicate"))
    assert set(kept["reason"].to_pylist()) == {"duplicate"}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([*HARD_TEXTS, *SENTENCES["th"], *SENTENCES["en"]]), max_size=9))
def test_rows_and_sums_agree_and_depend_on_the_text_alone(texts: list[str]) -> None:
    weights = np.random.default_rng(1).normal(size=SPACE.size).astype(np.float32)
    together = score_sums(texts, SPACE, weights)
    alone = [score_sums([text], SPACE, weights)[0] for text in texts]
    assert np.allclose(together, alone, rtol=1e-9, atol=1e-9, equal_nan=True)
    by_rows = rows_of(texts, SPACE).dot(weights.astype(np.float64))
    assert np.allclose(np.nan_to_num(together), by_rows, atol=1e-6)


def test_chunks_do_not_matter(
    classifier: QualityClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [sample.text for sample in samples()[::20]]
    whole = classifier.scores(texts)
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", 10)
    assert np.array_equal(classifier.scores(texts), whole)


def test_saved_and_loaded(classifier: QualityClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    texts = [sample.text for sample in samples()]
    assert np.array_equal(loaded.scores(texts), classifier.scores(texts))
    assert loaded.threshold == classifier.threshold
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "classifier.json",
        "classifier.safetensors",
    ]


def test_errors_of_folders(classifier: QualityClassifier, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no quality classifier"):
        load_classifier(tmp_path)
    classifier.save(tmp_path / "model")
    path = tmp_path / "model" / "classifier.json"
    facts = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(facts | {"bits": 11}), "utf-8")
    with pytest.raises(InputError, match="do not fit the features"):
        load_classifier(tmp_path / "model")
    path.write_text(json.dumps(facts | {"format": "other"}), "utf-8")
    with pytest.raises(InputError, match="another format"):
        load_classifier(tmp_path / "model")


def test_thresholds(classifier: QualityClassifier) -> None:
    texts = [sample.text for sample in samples()]
    chosen = classifier.keeping(texts, 0.25)
    assert (chosen.scores(texts) >= chosen.threshold).mean() == pytest.approx(0.25, abs=0.01)
    precise = classifier.with_precision(samples(), 1.0)
    kept = precise.scores(texts) >= precise.threshold
    assert all(sample.is_good for sample, is_kept in zip(samples(), kept, strict=True) if is_kept)
    with pytest.raises(InputError, match="between 0 and 1"):
        classifier.keeping(texts, 1.5)
    with pytest.raises(InputError, match="no text"):
        classifier.keeping([""], 0.5)
    with pytest.raises(InputError, match="no threshold reaches"):
        threshold_for_precision(np.asarray([0.5]), np.asarray([False]), 0.9)


def test_too_few_samples() -> None:
    with pytest.raises(InputError, match="too few bad samples"):
        train_classifier([sample for sample in samples() if sample.is_good], OPTIONS)
    with pytest.raises(InputError, match="no sample to evaluate"):
        evaluate(np.asarray([np.nan]), np.asarray([True]), ["a"], 0.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores = np.asarray([score for score, _ in pairs], np.float64)
    is_good = np.asarray([label for _, label in pairs])
    good, bad = scores[is_good], scores[~is_good]
    if not len(good) or not len(bad):
        assert np.isnan(auc(scores, is_good))
        return
    wins = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    assert auc(scores, is_good) == pytest.approx(wins)


def test_minimum_of_a_quadratic() -> None:
    scales = np.asarray([1.0, 10.0, 100.0])
    target = np.asarray([3.0, -2.0, 0.5])
    found = minimize(
        lambda x: (float(scales @ (x - target) ** 2), 2 * scales * (x - target)),
        np.zeros(3),
        100,
        1e-9,
    )
    assert found == pytest.approx(target, abs=1e-6)


def test_facts_are_read_only_and_travel(classifier: QualityClassifier) -> None:
    with pytest.raises(TypeError):
        classifier.facts["trained_on"] = 0  # type: ignore[index]
    copy = pickle.loads(pickle.dumps(classifier))
    assert dict(copy.facts) == dict(classifier.facts)
    assert copy.scores(["한 문장"]).tolist() == classifier.scores(["한 문장"]).tolist()

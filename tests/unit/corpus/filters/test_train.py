"""Training from named texts: thresholds, evaluation, samples shown, a folder that recipes take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from hunmin.core.errors import ArtifactKindError, InputError
from hunmin.corpus.filters.classifier import TrainingOptions, load_classifier
from hunmin.corpus.filters.features import FeatureSpace
from hunmin.corpus.filters.train import (
    ThresholdChoice,
    Training,
    check_classifier_folder,
    train_from_texts,
    write_training,
)
from hunmin.corpus.filters.train_text import report, terminal_lines
from hunmin.corpus.sources.named import NamedText

OPTIONS = TrainingOptions(space=FeatureSpace(bits=14))


@pytest.fixture(scope="module")
def good(shared_data: Path) -> list[NamedText]:
    path = shared_data / "ko_petitions" / "petitions_2019-06.jsonl.zst"
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(next(file))["content"][:300].strip() for _ in range(250)]
    return [NamedText(text, "petitions", "ko") for text in texts if text]


@pytest.fixture(scope="module")
def bad(shared_data: Path) -> list[NamedText]:
    path = shared_data / "nsmc" / "reviews.jsonl.zst"
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(next(file))["document"].strip() for _ in range(600)]
    return [NamedText(text, f"reviews-{len(text) % 2}", "ko") for text in texts if text]


@pytest.fixture(scope="module")
def training(good: list[NamedText], bad: list[NamedText]) -> Training:
    return train_from_texts(good, bad, options=OPTIONS)


def test_it_is_evaluated_on_what_it_has_not_seen(training: Training) -> None:
    found = training.evaluation
    assert found.auc > 0.95
    assert found.accuracy > found.majority
    assert set(found.sources) == {"petitions", "reviews-0", "reviews-1"}
    assert training.classifier.facts["trained_on"] > 3 * found.samples
    assert 0 < training.precision <= 1
    assert 0 < training.recall <= 1


def test_samples_are_shown(training: Training) -> None:
    highest, lowest = training.highest, training.lowest
    assert [s.score for s in highest] == sorted((s.score for s in highest), reverse=True)
    assert [s.score for s in lowest] == sorted(s.score for s in lowest)
    assert highest[0].is_good
    assert not lowest[0].is_good
    limit = training.classifier.threshold
    assert all((s.score >= limit) != s.is_good for s in training.mistaken)
    printed = "\n".join(terminal_lines(training))
    assert "always the commoner answer" in printed
    assert "petitions" in printed
    assert "Highest scores" in printed


def test_personal_data_are_not_shown(bad: list[NamedText]) -> None:
    numbers = [f"연락 주세요 010-{1000 + n}-{2000 + n} {n}" for n in range(100)]
    spam = [NamedText(text, "spam", "ko") for text in numbers]
    trained = train_from_texts(bad[:150], spam, options=OPTIONS)
    shown = report(trained, "mine") + json.dumps(trained.as_json(), ensure_ascii=False)
    assert "<|phone|>" in shown
    assert "010-" not in shown


def test_threshold_for_a_share(good: list[NamedText], bad: list[NamedText]) -> None:
    choice = ThresholdChoice(keep_share=0.3, keep_of=tuple(bad))
    trained = train_from_texts(good, bad, choice=choice, options=OPTIONS)
    scores = trained.classifier.scores([text.text for text in bad])
    kept = np.nanmean(scores >= trained.classifier.threshold)
    assert kept == pytest.approx(0.3, abs=0.02)
    assert "30%" in trained.threshold_by


def test_threshold_for_a_precision_is_not_judged_where_it_was_chosen(
    training: Training, good: list[NamedText], bad: list[NamedText]
) -> None:
    choice = ThresholdChoice(precision=0.9)
    trained = train_from_texts(good, bad, choice=choice, options=OPTIONS)
    assert trained.evaluation.samples < 0.7 * training.evaluation.samples
    assert trained.precision > 0.8


def test_wishes_that_cannot_be(training: Training) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        ThresholdChoice(keep_share=1.5)
    with pytest.raises(InputError, match="between 0 and 1"):
        ThresholdChoice(precision=0.0)
    with pytest.raises(InputError, match="one wish only"):
        ThresholdChoice(keep_share=0.5, precision=0.5)


def test_too_few_and_contradictory_samples(good: list[NamedText], bad: list[NamedText]) -> None:
    with pytest.raises(InputError, match="too few bad samples"):
        train_from_texts(good, bad[:9], options=OPTIONS)
    both = train_from_texts(good, [*bad, *good[:7]], options=OPTIONS)
    assert both.contradictory == len({text.text for text in good[:7]})
    assert any("left out" in note for note in both.notes)


def test_folder_is_what_a_recipe_takes(training: Training, tmp_path: Path) -> None:
    folder = tmp_path / "classifier"
    for _ in range(2):
        write_training(training, folder, report(training, "Good: a. Bad: b."))
    assert sorted(path.name for path in folder.iterdir()) == [
        "classifier.json",
        "classifier.safetensors",
        "report.md",
    ]
    loaded = load_classifier(folder)
    assert loaded.threshold == training.classifier.threshold
    schema = pa.schema([("text", pa.string()), ("reason", pa.string())])
    batch = pa.RecordBatch.from_pydict(
        {"text": [training.highest[0].text, training.lowest[0].text], "reason": [None, None]},
        schema=schema,
    )
    assert loaded(batch)["reason"].to_pylist() == [None, "low quality"]
    assert "Good: a. Bad: b." in (folder / "report.md").read_text("utf-8")


def test_nothing_else_is_replaced(training: Training, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    for path in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ArtifactKindError, match="something else is here"):
            check_classifier_folder(path)
    with pytest.raises(ArtifactKindError):
        write_training(training, tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]

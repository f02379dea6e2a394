"""A run that starts from a finished model: stage 2."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support import jobs
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ContextLengthError, VocabularyError
from hunmin.data.spec import DataChanges, DataSpec
from hunmin.models.load import load_model
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer
from hunmin.training.job import TrainJob
from hunmin.training.method import ContinuedPretraining
from hunmin.training.train import train_model


@pytest.fixture(scope="module")
def teacher(
    tokenizer_and_tokens: tuple[Artifact, Artifact], tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    folder = tmp_path_factory.mktemp("teacher")
    return train_model(jobs.tiny_job(tokenizer_and_tokens, folder, duration="20 steps"))


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if line["event"] == "step"]


def test_training_goes_on_from_the_weights_of_a_model(make_job, teacher: Artifact) -> None:
    fresh, continued = make_job("fresh"), make_job("continued")
    continued = replace(continued, method=ContinuedPretraining(teacher))
    train_model(fresh)
    train_model(continued)
    assert losses(continued)[0] < losses(fresh)[0] - 0.5


def test_without_a_step_that_changes_anything_the_weights_stay(make_job, teacher: Artifact) -> None:
    job = make_job(duration="1 steps", optimizer={"kind": "adamw", "learning_rate": 1e-30})
    result = train_model(replace(job, method=ContinuedPretraining(teacher)))
    before, after = (load_model(each.path).state_dict() for each in (teacher, result))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_model_it_starts_from_is_in_the_lineage_and_the_identity(
    make_job, teacher: Artifact
) -> None:
    fresh = make_job(duration="1 steps")
    job = replace(fresh, method=ContinuedPretraining(teacher))
    assert job.identity() != fresh.identity()
    manifest = json.loads((train_model(job).path / "manifest.json").read_text(encoding="utf-8"))
    assert teacher.digest in {each["digest"] for each in manifest["inputs"]}


def test_a_model_of_another_tokenizer_is_refused(
    make_job, teacher: Artifact, tmp_path: Path
) -> None:
    documents = write_documents(tmp_path / "documents", {"train": [document("abab " * 40, "en")]})
    other = train_tokenizer(TokenizerSpec(vocab_size=260), documents, tmp_path / "tokenizer")
    method = ContinuedPretraining(teacher)
    with pytest.raises(VocabularyError, match="another tokenizer"):
        method.config(make_job(), load_tokenizer(other.path))


def test_rows_longer_than_the_model_has_positions_are_refused(make_job, teacher: Artifact) -> None:
    job = make_job()
    job = replace(
        job, data=DataChanges(context=64).apply(job.data), method=ContinuedPretraining(teacher)
    )
    with pytest.raises(ContextLengthError, match="64 tokens"):
        train_model(job)


def test_changes_of_the_data_keep_what_they_do_not_name() -> None:
    data = DataSpec(context=64, weights={"ko": 0.6}, temperature=0.5)
    changed = DataChanges(weights={"ko": 0.2, "en": 0.3}, context=32).apply(data)
    assert changed == DataSpec(context=32, weights={"ko": 0.2, "en": 0.3}, temperature=0.5)
    assert DataChanges(weights=None).apply(data) == data
    assert DataChanges(weights={}).apply(data).weights == {}

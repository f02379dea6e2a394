"""A tokenizer, shards and a job that trains in a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import jobs
from tests.support.jobs import MODEL, tiny_job

from hunmin.core.artifact import Artifact
from hunmin.models.spec import ModelSpec
from hunmin.training.job import TrainJob


@pytest.fixture(scope="session")
def tokenizer_and_tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    return jobs.tokenizer_and_tokens(tmp_path_factory.mktemp("training"))


@pytest.fixture
def make_job(tokenizer_and_tokens: tuple[Artifact, Artifact], tmp_path: Path):
    def make(name: str = "run", model: ModelSpec = MODEL, **changes: object) -> TrainJob:
        return tiny_job(tokenizer_and_tokens, tmp_path / name, model, **changes)

    return make

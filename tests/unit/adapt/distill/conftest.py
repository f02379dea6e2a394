"""Tokens, a tokenizer, a teacher's folder, and a job whose student learns from it in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support import jobs
from tests.support.tiny_models import CONTEXT, tiny_qwen3
from transformers import PreTrainedModel

from hunmin.adapt.distill.method import Distillation
from hunmin.adapt.distill.spec import DistillSpec
from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.data.loader import TokenLoader
from hunmin.models.export import save_model
from hunmin.tokenizer.load import load_tokenizer
from hunmin.training.job import TrainJob


@pytest.fixture(scope="package")
def tokenizer_and_tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    return jobs.tokenizer_and_tokens(tmp_path_factory.mktemp("distill"))


@pytest.fixture(scope="package")
def size(tokenizer_and_tokens: tuple[Artifact, Artifact]) -> int:
    return load_tokenizer(tokenizer_and_tokens[0].path).size


@pytest.fixture(scope="package")
def teacher_model(size: int) -> PreTrainedModel:
    """A decoder whose answers are certain enough to be learned; its vocabulary is padded."""
    return tiny_qwen3(size + 5, context=CONTEXT)


@pytest.fixture(scope="package")
def teacher_folder(
    teacher_model: PreTrainedModel,
    tokenizer_and_tokens: tuple[Artifact, Artifact],
    tmp_path_factory: pytest.TempPathFactory,
) -> Artifact:
    folder = tmp_path_factory.mktemp("teacher") / "model"
    with write_artifact(folder, "model") as draft:
        save_model(teacher_model, tokenizer_and_tokens[0].path, draft.path)
    return load_artifact(folder)


@pytest.fixture
def loader(tokenizer_and_tokens: tuple[Artifact, Artifact]) -> TokenLoader:
    return TokenLoader(tokenizer_and_tokens[1], jobs.DATA, batch_size=8)


@pytest.fixture
def make_job(tokenizer_and_tokens, teacher_folder, tmp_path: Path):
    def make(name: str = "run", *, teacher: Artifact | Path = teacher_folder, **spec) -> TrainJob:
        student = DistillSpec.model_validate({"initialization": "scratch", **spec})
        short = {"duration": "4 steps", "evaluate_every": None, "checkpoint_every": None}
        job = jobs.tiny_job(tokenizer_and_tokens, tmp_path / name, **short)
        return replace(job, method=Distillation(student, teacher))

    return make


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)

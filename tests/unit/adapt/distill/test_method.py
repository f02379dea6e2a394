"""Distillation through the training loop: losses, lineage, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from tests.support.tiny_models import save_folder, tiny_gpt2, tiny_qwen3
from transformers import ModernBertConfig, ModernBertForMaskedLM

from hunmin.adapt.distill.method import Distillation
from hunmin.adapt.distill.spec import DistillSpec
from hunmin.core.errors import (
    ArtifactMismatchError,
    ContextLengthError,
    InputError,
    VocabularyError,
)
from hunmin.models.export import save_model
from hunmin.parallel.spec import ParallelSpec
from hunmin.tokenizer.load import load_tokenizer
from hunmin.training.job import TrainJob
from hunmin.training.train import train_model


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [r["loss"] for r in map(json.loads, lines) if r["event"] == "step"]


def test_cached_answers_train_as_a_live_teacher_does(
    make_job, size, teacher_folder, tmp_path
) -> None:
    shared = {"top_k": size, "folder": str(tmp_path / "shared")}
    live, cached = make_job("live"), make_job("cached", cache=shared)
    artifact = train_model(live)
    train_model(cached)
    assert losses(cached) == pytest.approx(losses(live), rel=2e-3)
    assert losses(live)[-1] < losses(live)[0]
    assert teacher_folder.digest in [record.digest for record in artifact.manifest.inputs]
    assert cached.method.identity() != live.method.identity()
    other = make_job("other", cache=shared, losses={"temperature": 2.0})
    with pytest.raises(ArtifactMismatchError, match="another teacher, data or kind"):
        train_model(other)


def test_a_student_of_the_teachers_kind_begins_with_its_layers(
    make_job, tokenizer_and_tokens, tmp_path, size
) -> None:
    teacher = tiny_qwen3(size, context=64)
    folder = tmp_path / "teacher"
    folder.mkdir()
    save_model(teacher, tokenizer_and_tokens[0].path, folder)
    job = make_job(teacher=folder, initialization="layers")
    student = tiny_qwen3(size, context=64)
    torch.nn.init.zeros_(student.lm_head.weight)
    job.method.initialize(student)
    assert torch.equal(student.lm_head.weight, teacher.lm_head.weight)
    assert job.method.inputs == ()
    assert len(job.method.identity()["teacher"]) == 64


def test_relations_of_matrices_that_ranks_split_are_refused(make_job) -> None:
    job = make_job(losses={"relations": 1.0, "relation_heads": 4})
    student = tiny_qwen3(300, context=64)
    job.method.objective(student, job, torch.device("cpu"))
    split = replace(job, parallel=ParallelSpec(tensor=2))
    with pytest.raises(InputError, match=r"relations[\s\S]*parallel\.tensor 2"):
        job.method.objective(student, split, torch.device("cpu"))


def config_of(job: TrainJob) -> object:
    return job.method.config(job, load_tokenizer(job.tokenizer.path))


def test_a_teacher_with_another_tokenizer_is_refused(make_job, tmp_path) -> None:
    folder = save_folder(tiny_gpt2(400), tmp_path / "other")
    with pytest.raises(VocabularyError, match=r"different tokenizers[\s\S]*tokenizer import"):
        config_of(make_job(teacher=folder))


def test_a_teacher_of_another_kind_is_refused(
    make_job, tokenizer_and_tokens, tmp_path, size
) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ModernBertConfig(vocab_size=size, intermediate_size=16, **sizes, pad_token_id=1)
    folder = tmp_path / "encoder"
    folder.mkdir()
    save_model(ModernBertForMaskedLM(config), tokenizer_and_tokens[0].path, folder)
    with pytest.raises(InputError, match="models of different kinds"):
        config_of(make_job(teacher=folder))


def test_rows_longer_than_the_teacher_reads_are_refused(
    make_job, tokenizer_and_tokens, tmp_path, size
) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    save_model(tiny_gpt2(size, context=16), tokenizer_and_tokens[0].path, folder)
    with pytest.raises(ContextLengthError, match="than the teacher has positions"):
        config_of(make_job(teacher=folder))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"losses": {"soft": 0, "hard": 0}}, "would learn nothing"),
        ({"losses": {"relations": 1}, "cache": {}}, "holds logits only"),
        ({"losses": {"on_policy": 0.5}, "cache": {}}, "holds logits only"),
        ({"losses": {"divergence": 1.5}}, "less than or equal to 1"),
    ],
)
def test_sections_that_contradict_themselves(section: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DistillSpec.model_validate(section)


def test_encoders_do_not_write_on(teacher_folder) -> None:
    spec = DistillSpec.model_validate({"losses": {"on_policy": 1.0}})
    method = Distillation(spec, teacher_folder)
    config = ModernBertConfig(vocab_size=64)
    with pytest.raises(InputError, match="only decoders write on"):
        method._check_on_policy(config)

"""Encoders, and students beside their teacher, go through the losses of one process on several."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file
from tests.support.distributed import run_ranks
from tests.support.jobs import tiny_job, tokenizer_and_tokens
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.distill.method import Distillation
from hunmin.adapt.distill.spec import DistillSpec
from hunmin.core.artifact import Artifact
from hunmin.models.spec import ModelSpec
from hunmin.parallel.parts.sharing import local_part
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import join_world
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.training.job import TrainJob
from hunmin.training.train import train_model

SHAPE: dict[str, Any] = {"layers": 2, "width": 32, "heads": 2}
ENCODER = ModelSpec(preset="hunmin-encoder", **SHAPE)
STUDENT = ModelSpec(preset="hunmin-encoder", layers=1, width=16, heads=2)
ADAMW = {"kind": "adamw", "epsilon": 1e-4}
MUON = {"kind": "muon", "adamw": {"epsilon": 1e-4}}
LOSSES = {"hidden": 1.0, "relations": 1.0, "relation_heads": 4}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    tokenizer = TokenizerSpec(vocab_size=400, reserve=("mask", "continue"))
    return tokenizer_and_tokens(tmp_path_factory.mktemp("inputs"), tokenizer)


@pytest.fixture(scope="module")
def teacher(
    inputs: tuple[Artifact, Artifact], tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    return train_model(tiny_job(inputs, tmp_path_factory.mktemp("teacher"), ENCODER))


def train(job: TrainJob) -> None:
    with join_world(timeout=60) as world:
        train_model(job, world)


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [r["loss"] for r in map(json.loads, lines) if r["event"] == "step"]


def check_same(several: TrainJob, alone: TrainJob) -> None:
    assert len(losses(several)) == 6
    assert losses(several) == pytest.approx(losses(alone), rel=1e-4)
    ours, theirs = (load_file(job.output / "model.safetensors") for job in (several, alone))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=2e-3), name


@pytest.mark.parametrize(
    ("model", "parallel", "optimizer"),
    [
        (ENCODER, ParallelSpec(), ADAMW),
        (ModelSpec(preset="alexatm-encoder-17m", **SHAPE), ParallelSpec(partition_group=2), MUON),
        (ModelSpec(preset="hunmin-seq2seq", decoder_layers=1, **SHAPE), ParallelSpec(), ADAMW),
    ],
    ids=["ModernBERT", "pre-LN RoBERTa", "mBART"],
)
def test_masked_and_written_sequences_on_two_ranks(
    inputs: tuple[Artifact, Artifact],
    tmp_path: Path,
    model: ModelSpec,
    parallel: ParallelSpec,
    optimizer: dict[str, Any],
) -> None:
    alone, several = (
        tiny_job(inputs, tmp_path / name, model, optimizer=optimizer)
        for name in ("alone", "several")
    )
    several = replace(several, parallel=parallel)
    train_model(alone)
    run_ranks(2, train, several, start_group=False)
    check_same(several, alone)


class Watched(Distillation):
    """Distillation that remembers its last objective in this process."""

    made: ClassVar[list[nn.Module]] = []

    def objective(self, model: PreTrainedModel, job: TrainJob, device: torch.device) -> nn.Module:
        self.made[:] = [super().objective(model, job, device)]
        return self.made[0]


def projections() -> list[Tensor]:
    """Return what this rank holds of the matrices that are learned beside the student."""
    return [local_part(p).detach().clone() for p in Watched.made[0].projections.parameters()]


def train_and_show_projections(job: TrainJob) -> list[Tensor]:
    train(job)
    return projections()


def student(
    inputs: tuple[Artifact, Artifact],
    folder: Path,
    teacher: Artifact,
    parallel: ParallelSpec,
    model: ModelSpec = STUDENT,
    losses: dict[str, Any] = LOSSES,
) -> TrainJob:
    spec = DistillSpec.model_validate({"losses": losses})
    job = tiny_job(inputs, folder, model, optimizer=ADAMW)
    return replace(job, parallel=parallel, method=Watched(spec, teacher))


def test_a_student_on_two_ranks(
    inputs: tuple[Artifact, Artifact], tmp_path: Path, teacher: Artifact
) -> None:
    alone = student(inputs, tmp_path / "alone", teacher, ParallelSpec())
    train_model(alone)
    (wanted,) = projections()
    for group in (1, 2):
        parallel = ParallelSpec(partition_group=group)
        several = student(inputs, tmp_path / f"in-groups-of-{group}", teacher, parallel)
        held = run_ranks(2, train_and_show_projections, several, start_group=False)
        check_same(several, alone)
        (first,), (second,) = held
        if group == 1:
            assert torch.equal(first, second)
        found = first if group == 1 else torch.cat((first, second))
        assert torch.allclose(found, wanted, atol=2e-3)


def test_matrices_beside_a_student_whose_own_are_split(
    inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    teacher = train_model(tiny_job(inputs, tmp_path / "teacher", duration="1 steps"))
    narrow = ModelSpec(layers=1, width=16, heads=2, kv_heads=2)
    alone, several = (
        student(inputs, tmp_path / name, teacher, parallel, narrow, {"hidden": 1.0})
        for name, parallel in {"alone": ParallelSpec(), "split": ParallelSpec(tensor=2)}.items()
    )
    train_model(alone)
    (wanted,) = projections()
    (first,), (second,) = run_ranks(2, train_and_show_projections, several, start_group=False)
    check_same(several, alone)
    assert torch.equal(first, second)
    assert torch.allclose(first, wanted, atol=2e-3)

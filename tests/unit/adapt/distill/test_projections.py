"""Matrices from the student's width to the teacher's: learned, saved with a run, thrown away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from hunmin.models.build import count_parameters
from hunmin.models.load import load_model
from hunmin.models.spec import ModelSpec
from hunmin.parallel.checkpoint.index import CheckpointIndex
from hunmin.training.job import TrainJob
from hunmin.training.loop import Trainer
from hunmin.training.train import train_model

NARROW = ModelSpec(layers=2, width=16, heads=2, kv_heads=2)
HIDDEN = {"soft": 0.01, "hard": 0.0, "hidden": 1.0, "hidden_layers": "uniform"}
STEPS = 20


@pytest.fixture
def make_narrow(make_job):
    def make(name: str) -> TrainJob:
        job = replace(make_job(name, losses=HIDDEN), model=NARROW)
        changes = {"checkpoint_every": 10, "evaluate_every": 10, "keep_checkpoints": 2}
        train = {**job.train.model_dump(), "duration": f"{STEPS} steps", **changes}
        return replace(job, train=type(job.train).model_validate(train))

    return make


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [r["loss"] for r in map(json.loads, lines) if r["event"] == "step"]


def tensors(job: TrainJob, step: int) -> dict[str, Tensor]:
    """Return what a checkpoint of one process holds of model and optimizer."""
    folder = job.folder / "checkpoints" / f"step-{step:08d}"
    index, found = CheckpointIndex.read(folder), {}
    for name, record in index.tensors.items():
        with safe_open(folder / record.chunks[0].file, framework="pt") as file:
            found[name] = file.get_tensor(name)
    return {name: value for name, value in found.items() if not name.startswith("random.")}


class _Killed(Exception):
    pass


def train_and_die(job: TrainJob, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Trainer.step

    def step_or_die(trainer: Trainer) -> Any:
        if trainer.state.step == step:
            raise _Killed
        return original(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step_or_die)
        with pytest.raises(_Killed):
            train_model(job)


def test_a_narrow_student_learns_hidden_states_and_goes_on_to_the_last_bit(
    make_narrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = make_narrow("whole"), make_narrow("killed")
    artifact = train_model(whole)
    assert sum(losses(whole)[-3:]) < 0.85 * sum(losses(whole)[:3])
    train_and_die(killed, 13, monkeypatch)
    train_model(killed)
    assert losses(killed)[13:] == losses(whole)[10:]
    ours, theirs = tensors(killed, STEPS), tensors(whole, STEPS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert {"model.projections.1.weight", "optimizer.projections.1.weight|exp_avg"} <= ours.keys()
    earlier = tensors(whole, 10)["model.projections.1.weight"]
    assert not torch.equal(earlier, theirs["model.projections.1.weight"])

    student = load_model(artifact.path)
    with safe_open(artifact.path / "model.safetensors", framework="pt") as file:
        assert not [name for name in file.keys() if "projection" in name]  # noqa: SIM118
    total = count_parameters(student.config).total
    assert artifact.manifest.facts["parameters"] == total

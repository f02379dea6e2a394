"""Training on several ranks goes through the losses of one process, however they are laid out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.distributed import run_ranks
from tests.support.jobs import tiny_job, tokenizer_and_tokens
from transformers import AutoModelForCausalLM

from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError
from hunmin.models.spec import ModelSpec
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import join_world
from hunmin.training.job import TrainJob
from hunmin.training.loop import Trainer
from hunmin.training.method import ContinuedPretraining
from hunmin.training.train import train_model

ADAMW = {"kind": "adamw", "epsilon": 1e-4}
MUON = {"kind": "muon", "adamw": {"epsilon": 1e-4}}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    return tokenizer_and_tokens(tmp_path_factory.mktemp("inputs"))


def train(job: TrainJob) -> None:
    with join_world(timeout=60) as world:
        train_model(job, world)


def refusal(job: TrainJob) -> str:
    with join_world(timeout=60) as world:
        with pytest.raises(InputError) as caught:
            train_model(job, world)
        return str(caught.value)


def metrics(job: TrainJob) -> list[dict[str, Any]]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def losses(job: TrainJob) -> dict[int, float]:
    return {r["step"]: r["loss"] for r in metrics(job) if r["event"] == "step"}


def job_of(
    inputs: tuple[Artifact, Artifact], folder: Path, parallel: ParallelSpec, **train: Any
) -> TrainJob:
    return replace(tiny_job(inputs, folder, **train), parallel=parallel)


@pytest.mark.parametrize(
    ("world", "per_node", "parallel", "optimizer"),
    [
        (2, 2, ParallelSpec(partition_group=2), ADAMW),
        (3, 3, ParallelSpec(partition_group=1), MUON),
        (4, 2, ParallelSpec(partition_group=2), MUON),
        (4, 2, ParallelSpec(partition_group="world"), ADAMW),
        (4, 4, ParallelSpec(partition_group=2, tensor=2), MUON),
    ],
)
def test_losses_are_those_of_one_process(
    inputs: tuple[Artifact, Artifact],
    tmp_path: Path,
    world: int,
    per_node: int,
    parallel: ParallelSpec,
    optimizer: dict[str, Any],
) -> None:
    alone = tiny_job(inputs, tmp_path / "alone", optimizer=optimizer)
    several = job_of(inputs, tmp_path / "several", parallel, optimizer=optimizer)
    train_model(alone)
    run_ranks(world, train, several, ranks_per_node=per_node, start_group=False)
    assert losses(several) == pytest.approx(losses(alone), rel=1e-4)
    ours, stock = (
        AutoModelForCausalLM.from_pretrained(job.output).state_dict() for job in (several, alone)
    )
    assert ours.keys() == stock.keys()
    for name, value in stock.items():
        assert torch.allclose(ours[name], value, atol=2e-3), name


@pytest.mark.parametrize("preset", ["hunmin", "kogpt2-125m"])
def test_bf16_travels_in_bf16(
    inputs: tuple[Artifact, Artifact], tmp_path: Path, preset: str
) -> None:
    kv_heads = {"kv_heads": 2} if preset == "hunmin" else {}
    model = ModelSpec(preset=preset, layers=2, width=64, heads=2, **kv_heads)
    alone = tiny_job(inputs, tmp_path / "alone", model, precision="bf16")
    train_model(alone)
    together = replace(
        tiny_job(inputs, tmp_path / "together", model, precision="bf16"),
        parallel=ParallelSpec(partition_group=2),
    )
    run_ranks(2, train, together, start_group=False)
    assert losses(together) == pytest.approx(losses(alone), rel=1e-2)


def test_a_run_goes_on_with_other_ranks_and_other_groups(
    inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    alone = tiny_job(inputs, tmp_path / "alone")
    train_model(alone)
    stages = [
        (2, 2, ParallelSpec(partition_group=2), 2),
        (4, 2, ParallelSpec(partition_group=2), 4),
        (1, 1, ParallelSpec(), 6),
    ]
    for world, per_node, parallel, until in stages:
        job = job_of(inputs, tmp_path / "moved", parallel)
        run_ranks(world, train_until, job, until, ranks_per_node=per_node, start_group=False)
    assert losses(job) == pytest.approx(losses(alone), rel=1e-4)
    assert sorted(losses(job)) == [1, 2, 3, 4, 5, 6]


def test_a_run_goes_on_from_the_memory_of_its_nodes(
    inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"checkpoint_every": None, "evaluate_every": None}
    alone = tiny_job(inputs, tmp_path / "alone", **changes)
    train_model(alone)
    job = job_of(
        inputs,
        tmp_path / "copied",
        ParallelSpec(partition_group=2),
        copy_to_memory_every=1,
        **changes,
    )
    run_ranks(4, train_until, job, 3, ranks_per_node=2, start_group=False)
    assert not list((job.folder / "checkpoints").glob("step-*"))
    run_ranks(4, train, job, ranks_per_node=2, start_group=False)
    starts = [r["resumed_step"] for r in metrics(job) if r["event"] == "start"]
    assert starts == [0, 3]
    assert losses(job) == pytest.approx(losses(alone), rel=1e-4)
    run = (job.folder / "checkpoints" / "run-id").read_text(encoding="utf-8")
    assert not Path(f"/dev/shm/hunmin-{run}").exists()


def train_until(job: TrainJob, step: int) -> None:
    """Train, and die without a word after a step whose checkpoint is safe."""
    tell = Trainer._tell

    def tell_and_die(self: Trainer, moment: str, *arguments: object) -> None:
        tell(self, moment, *arguments)
        if moment == "after_step" and self.state.step == step < self.plan.num_steps:
            self.checkpoints.collect(wait=True)
            raise _Killed

    Trainer._tell = tell_and_die  # type: ignore[method-assign]
    try:
        train(job)
    except _Killed:
        return


class _Killed(BaseException):
    pass


def test_groups_that_do_not_divide_the_ranks(
    inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    job = job_of(inputs, tmp_path, ParallelSpec(partition_group=3))
    messages = run_ranks(4, refusal, job, ranks_per_node=2, start_group=False)
    assert len(set(messages)) == 1
    assert "parallel.partition_group" in messages[0]
    assert "allowed: 1, 2, 4" in messages[0]


def test_a_second_stage_on_several_ranks_starts_from_the_same_weights(
    inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    method = ContinuedPretraining(train_model(tiny_job(inputs, tmp_path / "teacher")))
    alone = replace(tiny_job(inputs, tmp_path / "alone"), method=method)
    train_model(alone)
    several = job_of(inputs, tmp_path / "several", ParallelSpec(partition_group=2))
    several = replace(several, method=method)
    run_ranks(2, train, several, start_group=False)
    assert losses(several) == pytest.approx(losses(alone), rel=1e-4)

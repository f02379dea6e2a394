"""The same training on a GPU; runs where there is one."""

from __future__ import annotations

import json

import pytest
import torch

from hunmin.training import train as train_module
from hunmin.training.job import TrainJob
from hunmin.training.train import train_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = {r["step"]: r["loss"] for r in map(json.loads, lines) if r["event"] == "step"}
    return [records[step] for step in sorted(records)]


def test_losses_of_gpu_and_cpu_agree(make_job, monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu = make_job("gpu")
    train_model(on_gpu)
    monkeypatch.setattr(train_module, "pick_device", lambda: torch.device("cpu"))
    on_cpu = make_job("cpu")
    train_model(on_cpu)
    assert losses(on_gpu) == pytest.approx(losses(on_cpu), rel=1e-3)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_gpu_run_goes_on_from_its_checkpoint(make_job, optimizer: str) -> None:
    changes = {"optimizer": {"kind": optimizer}, "precision": "bf16"}
    straight = make_job("straight", **changes)
    train_model(straight)
    resumed = make_job("resumed", keep_checkpoints=9, **changes)
    train_model(resumed)
    for step in (4, 6):
        folder = resumed.folder / "checkpoints" / f"step-{step:08d}"
        folder.rename(folder.with_name(f"away-{step}"))
    train_model(resumed)
    assert losses(resumed) == pytest.approx(losses(straight), rel=1e-2)


def test_compiled_blocks_give_the_same_losses(make_job) -> None:
    plain, compiled = make_job("plain"), make_job("compiled", compile="blocks")
    train_model(plain)
    train_model(compiled)
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-3)

"""Encoders and encoder-decoders go through the same loop as decoders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import jobs
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from hunmin.core.artifact import Artifact
from hunmin.core.errors import VocabularyError
from hunmin.data.objectives.spec import ContinueSpec, DenoiseSpec
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.training.job import TrainJob
from hunmin.training.loop import Trainer
from hunmin.training.train import train_model

ENCODER = ModelSpec(preset="alexatm-encoder-17m", layers=2, width=64, heads=2)
FAST_ENCODER = ModelSpec(preset="hunmin-encoder", layers=2, width=64, heads=2)
SEQUENCES = ModelSpec(preset="hunmin-seq2seq", layers=1, decoder_layers=1, width=64, heads=2)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    tokenizer = TokenizerSpec(vocab_size=400, reserve=("mask", "continue"))
    return jobs.tokenizer_and_tokens(tmp_path_factory.mktemp("kinds"), tokenizer)


def job_of(inputs: tuple[Artifact, Artifact], folder: Path, model: ModelSpec, **train: Any):
    return jobs.tiny_job(inputs, folder, model, **train)


def losses(job: TrainJob) -> list[float]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if line["event"] == "step"]


@pytest.mark.parametrize(
    ("model", "stock"),
    [
        (ENCODER, AutoModelForMaskedLM),
        (FAST_ENCODER, AutoModelForMaskedLM),
        (SEQUENCES, AutoModelForSeq2SeqLM),
    ],
    ids=["pre-LN RoBERTa", "ModernBERT", "mBART"],
)
def test_the_loss_falls_and_the_model_folder_is_a_stock_one(
    inputs: tuple[Artifact, Artifact], tmp_path: Path, model: ModelSpec, stock: Any
) -> None:
    job = job_of(inputs, tmp_path, model, duration="40 steps", checkpoint_every=None)
    artifact = train_model(job)
    curve = losses(job)
    assert sum(curve[-5:]) < sum(curve[:5]) - 5 * 0.4
    loaded, info = stock.from_pretrained(artifact.path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert loaded.config.vocab_size >= 400


def test_an_encoder_that_was_killed_goes_through_the_same_losses(
    inputs: tuple[Artifact, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (job_of(inputs, tmp_path / name, ENCODER) for name in ("whole", "killed"))
    train_model(whole)
    with monkeypatch.context() as patch:
        original = Trainer.step

        def step(trainer: Trainer) -> Any:
            if trainer.state.step == 3:
                raise ZeroDivisionError("as a kill would, between two steps")
            return original(trainer)

        patch.setattr(Trainer, "step", step)
        with pytest.raises(ZeroDivisionError):
            train_model(killed)
    train_model(killed)
    by_step = dict(zip([1, 2, 3, 3, 4, 5, 6], losses(killed), strict=True))
    assert list(by_step.values()) == losses(whole)


def test_objectives_are_mixed_by_weight(inputs: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    job = job_of(inputs, tmp_path, SEQUENCES, duration="4 steps")
    data = job.data.model_copy(
        update={"objectives": (DenoiseSpec(weight=0.8), ContinueSpec(weight=0.2))}
    )
    mixed = replace(job, data=data)
    assert mixed.identity() != job.identity()
    train_model(mixed)
    assert len(losses(mixed)) == 4


def test_a_tokenizer_without_a_mask_is_refused(make_job) -> None:
    with pytest.raises(VocabularyError, match=r"tokenizer\.reserve: \[mask\]"):
        train_model(make_job(model=ENCODER))

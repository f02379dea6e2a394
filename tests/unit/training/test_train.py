"""Training as a whole: invariances, checkpoints, stopping, errors."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from hunmin.core.artifact import load_artifact
from hunmin.core.errors import (
    ArtifactMismatchError,
    ContextLengthError,
    CorruptArtifactError,
    InputError,
    InterruptedRunError,
    MissingExtraError,
    TrainingDivergedError,
)
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.load import load_tokenizer
from hunmin.training import train as train_module
from hunmin.training.callbacks import Callback
from hunmin.training.checkpoint import CheckpointFolder, read_state
from hunmin.training.interrupt import stop_on_signal
from hunmin.training.job import TrainJob
from hunmin.training.learner import Learner
from hunmin.training.spec import TrainSpec
from hunmin.training.train import train_model


def records(job: TrainJob, event: str = "step") -> list[dict[str, object]]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


def losses(job: TrainJob) -> list[float]:
    return [record["loss"] for record in records(job)]


def add_callback(patch: pytest.MonkeyPatch, callback: Callback, *, first: bool = False) -> None:
    original = train_module.standard_callbacks

    def callbacks(*arguments: Any, **options: Any) -> list[Callback]:
        standard = original(*arguments, **options)
        return [callback, *standard] if first else [*standard, callback]

    patch.setattr(train_module, "standard_callbacks", callbacks)


def test_loss_falls_and_the_model_folder_is_a_stock_one(make_job) -> None:
    job = make_job(duration="30 steps", evaluate_every=10, checkpoint_every=None)
    artifact = train_model(job)
    assert losses(job)[-1] < losses(job)[0] - 0.5
    assert artifact.facts["steps"] == 30
    model = AutoModelForCausalLM.from_pretrained(artifact.path)
    tokenizer = load_tokenizer(artifact.path)
    ids = torch.tensor([[tokenizer.boundary_id, *tokenizer.encode("모든")]])
    assert model(input_ids=ids, labels=ids).loss.item() < 6


def test_microbatches_do_not_change_the_losses(make_job) -> None:
    whole, parts = make_job("a", microbatch_tokens=256), make_job("b", microbatch_tokens=32)
    train_model(whole)
    train_model(parts)
    assert losses(whole) == pytest.approx(losses(parts), rel=2e-4)
    assert losses(whole)[0] == pytest.approx(losses(parts)[0], rel=1e-6)


def test_recomputed_activations_do_not_change_the_losses(make_job) -> None:
    plain, recomputed = make_job("a"), make_job("b", activation_checkpointing=True)
    train_model(plain)
    train_model(recomputed)
    assert losses(plain) == pytest.approx(losses(recomputed), rel=1e-6)


@pytest.mark.parametrize("preset", ["hunmin", "kogpt2-125m"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_stopped_run_goes_on_to_the_last_bit(
    make_job, preset: str, optimizer: str, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = None if preset == "hunmin" else 2
    model = ModelSpec(preset=preset, layers=2, width=64, heads=heads, dropout=dropout)
    changes = {"optimizer": {"kind": optimizer}, "precision": "bf16"}
    straight, stopped = make_job("a", model, **changes), make_job("b", model, **changes)
    train_model(straight)

    class Stop(Callback):
        def after_step(self, result) -> None:
            if result.step == 3:
                raise ZeroDivisionError("as a kill would, between two steps")

    with monkeypatch.context() as patch:
        add_callback(patch, Stop())
        with pytest.raises(ZeroDivisionError):
            train_model(stopped)
    assert CheckpointFolder(stopped.folder / "checkpoints", "").steps() == [2]
    train_model(stopped)
    by_step = {record["step"]: record["loss"] for record in records(stopped)}
    assert [by_step[step] for step in range(1, 7)] == losses(straight)


def test_a_damaged_checkpoint_is_passed_over(make_job) -> None:
    job = make_job(keep_checkpoints=3)
    train_model(job)
    checkpoints = CheckpointFolder(job.folder / "checkpoints", job.identity())
    assert checkpoints.steps() == [2, 4, 6]
    weights = checkpoints.step_path(6) / "shard-00000-of-00001.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    newest = checkpoints.newest_whole()
    assert newest is not None
    assert newest.facts["step"] == 4
    assert read_state(newest)["state"]["step"] == 4
    for step in (2, 4):
        (checkpoints.step_path(step) / "state.json").unlink()
    with pytest.raises(CorruptArtifactError, match=r"shard-00000-of-00001.safetensors"):
        checkpoints.newest_whole()


def test_old_checkpoints_go_and_the_best_stays(make_job) -> None:
    job = make_job(duration="10 steps", keep_checkpoints=1)
    train_model(job)
    steps = CheckpointFolder(job.folder / "checkpoints", "").steps()
    best = min(records(job, "evaluation"), key=lambda record: record["loss"])["step"]
    assert set(steps) == {best, 10}


def test_early_stop(make_job) -> None:
    job = make_job(
        duration="50 steps",
        evaluate_every=1,
        early_stop={"patience": 2, "min_improvement": 100.0},
    )
    artifact = train_model(job)
    assert artifact.facts["steps"] == 3


def test_export_of_the_last_weights(make_job) -> None:
    job = make_job(export="last", evaluate_every=None)
    artifact = train_model(job)
    assert artifact.facts["exported_step"] == 6
    assert records(job, "evaluation") == []


def test_a_diverging_run_says_what_to_do(make_job) -> None:
    job = make_job(optimizer={"kind": "adamw", "learning_rate": 1e30}, clip_gradient_norm=None)
    with pytest.raises(TrainingDivergedError, match=r"step \d[\s\S]*learning_rate"):
        train_model(job)
    assert "TrainingDivergedError" in records(job, "error")[0]["error"]


def test_tensorboard_events_are_written(make_job) -> None:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    job = make_job(trackers=[{"kind": "tensorboard"}])
    train_model(job)
    events = event_accumulator.EventAccumulator(str(job.folder / "tensorboard"))
    events.Reload()
    logged = [event.value for event in events.Scalars("train/loss")]
    assert logged == pytest.approx(losses(job))
    assert "validation/bits_per_byte" in events.Tags()["scalars"]


def test_wandb_names_its_extra(make_job) -> None:
    try:
        import wandb  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"pip install .*\[track\]"):
            train_model(make_job(trackers=[{"kind": "wandb"}]))
    else:
        pytest.skip("wandb is installed")


def test_shards_of_another_tokenizer_are_refused(make_job, tmp_path: Path) -> None:
    job = make_job()
    other = TrainJob(**{**job.__dict__, "tokenizer": other_tokenizer(tmp_path)})
    with pytest.raises(ArtifactMismatchError, match="tokenizer"):
        train_model(other)


def other_tokenizer(folder: Path):
    from tests.support.documents import document, write_documents

    from hunmin.tokenizer.spec import TokenizerSpec
    from hunmin.tokenizer.train import train_tokenizer

    texts = [document(f"another text {number} entirely") for number in range(20)]
    documents = write_documents(folder / "other", {"train": texts})
    return train_tokenizer(TokenizerSpec(vocab_size=270), documents, folder / "other-tokenizer")


def test_a_context_beyond_the_positions_is_refused(make_job) -> None:
    job = make_job(model=ModelSpec(layers=2, width=64, context=16))
    with pytest.raises(ContextLengthError, match=r"model.context"):
        train_model(job)


def test_compiling_without_a_compiler_is_refused(make_job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        train_model(make_job(compile="blocks"))


def test_signals_ask_for_a_stop_and_the_second_one_insists() -> None:
    reasons: list[str] = []
    with stop_on_signal(reasons.append):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert reasons == ["SIGINT received; once more to end at once"]


def test_an_interrupted_run_is_saved(make_job, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupt(Callback):
        def before_step(self) -> None:
            if self.trainer.state.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    job = make_job()
    add_callback(monkeypatch, Interrupt(), first=True)
    with pytest.raises(InterruptedRunError, match=r"after step 3 of 6[\s\S]*same command again"):
        train_model(job)
    assert CheckpointFolder(job.folder / "checkpoints", "").steps()[-1] == 3


def test_a_stop_at_any_moment_is_saved(make_job, monkeypatch: pytest.MonkeyPatch) -> None:
    class LateStop(Callback):
        def after_step(self, result) -> None:
            if result.step == 3:
                self.trainer.request_stop("SIGTERM received")

    job = make_job()
    add_callback(monkeypatch, LateStop())
    with pytest.raises(InterruptedRunError, match="after step 3 of 6"):
        train_model(job)
    assert CheckpointFolder(job.folder / "checkpoints", "").steps()[-1] == 3


def poison(patch: pytest.MonkeyPatch, *calls: int) -> None:
    """Make the loss of some calls of the backward pass not a number, gradients included."""
    backward, count = Learner.backward, iter(range(1, 100))

    def poisoned(self: Learner, *arguments: Any) -> torch.Tensor:
        loss = backward(self, *arguments)
        if next(count) not in calls:
            return loss
        for parameter in self.model.parameters():
            parameter.grad.fill_(math.nan)
        return loss * math.nan

    patch.setattr(Learner, "backward", poisoned)


def test_a_step_that_is_no_number_can_be_skipped(make_job, monkeypatch) -> None:
    poison(monkeypatch, 3)
    job = make_job(guard={"on_nan": "skip"})
    artifact = train_model(job)
    assert artifact.facts["steps"] == 6
    by_step = {record["step"]: record for record in records(job)}
    assert by_step[3]["loss"] is None
    assert "not a number" in by_step[3]["skipped"]
    assert all(math.isfinite(by_step[step]["loss"]) for step in (1, 2, 4, 5, 6))
    assert by_step[6]["loss"] < by_step[1]["loss"]


def test_a_step_that_is_no_number_can_be_taken_back(make_job, monkeypatch) -> None:
    poison(monkeypatch, 4)
    job = make_job(guard={"on_nan": "rollback"})
    train_model(job)
    # Step 3 is done again from the checkpoint of step 2, without the batches that led to the NaN.
    assert [record["step"] for record in records(job)] == [1, 2, 3, 3, 4, 5, 6]
    state = read_state(load_artifact(job.folder / "checkpoints" / "step-00000006"))["state"]
    assert state["guard"]["rollbacks"] == 1
    assert 3 in state["guard"]["passed_over"]


def test_checkpoints_of_another_run_are_refused(make_job) -> None:
    job = make_job()
    train_model(job)
    (job.folder / "plan.json").unlink()
    with pytest.raises(ArtifactMismatchError, match="another recipe or other data"):
        train_model(make_job(seed=99))


def test_a_half_deleted_checkpoint_and_foreign_folders_are_passed_over(make_job) -> None:
    job = make_job(keep_checkpoints=3)
    train_model(job)
    checkpoints = CheckpointFolder(job.folder / "checkpoints", job.identity())
    (checkpoints.step_path(6) / "manifest.json").unlink()
    (checkpoints.path / "step-notes").mkdir()
    newest = checkpoints.newest_whole()
    assert newest is not None
    assert newest.facts["step"] == 4


def test_watching_a_run_otherwise_does_not_restart_it(make_job) -> None:
    identity = make_job().identity()
    assert make_job(log_every=7, keep_checkpoints=5).identity() == identity
    assert make_job(seed=3).identity() != identity
    assert set(TrainSpec.model_fields) >= TrainSpec.OBSERVING

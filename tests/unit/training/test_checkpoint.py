"""Checkpoints of a training in one process, and the callbacks that make them."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from tests.support.tiny_models import tiny_qwen3

from hunmin.cli.inspect import command as inspect_command
from hunmin.core.artifact import write_artifact
from hunmin.core.errors import CorruptArtifactError, MissingInputError, StageFailedError
from hunmin.parallel.checkpoint import MemoryCopies, Ranks
from hunmin.parallel.layout import Layout
from hunmin.training import train as train_module
from hunmin.training.callbacks import Callback
from hunmin.training.callbacks.checkpointing import MemoryCopier
from hunmin.training.checkpoint import CheckpointFolder, restore, resume_newest
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec
from hunmin.training.state import TrainState
from hunmin.training.train import TrainJob, train_model


def events(job: TrainJob, name: str) -> list[dict[str, object]]:
    lines = (job.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == name]


@pytest.fixture
def in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    def beside(*arguments: object, **options: object) -> CheckpointFolder:
        return CheckpointFolder(*arguments, **{**options, "asynchronous": True})

    monkeypatch.setattr(train_module, "CheckpointFolder", beside)


def tiny_run() -> tuple[torch.nn.Module, OptimizerSet]:
    model = tiny_qwen3(100, context=16)
    return model, OptimizerSet(AdamWSpec(), model)


def step(model: torch.nn.Module, optimizer: OptimizerSet, seed: int) -> None:
    ids = torch.randint(100, (2, 16), generator=torch.Generator().manual_seed(seed))
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


def test_written_beside_the_training_they_are_the_same(make_job, in_background) -> None:
    job = make_job(keep_checkpoints=2, export="last")
    train_model(job)
    losses = [record["loss"] for record in events(job, "step")]
    checkpoints = CheckpointFolder(job.folder / "checkpoints", job.identity())
    assert checkpoints.steps() == [4, 6]
    assert {record["path"] for record in events(job, "checkpoint")} >= {
        "step-00000002",
        "step-00000004",
        "step-00000006",
    }
    shutil.rmtree(checkpoints.step_path(6))
    train_model(job)
    again = [record["loss"] for record in events(job, "step")][len(losses) :]
    assert again == losses[4:]


def test_a_failure_beside_the_training_ends_it(
    make_job, in_background, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vandal(Callback):
        def after_step(self, result) -> None:
            if result.step == 3:
                shutil.rmtree(self.trainer.checkpoints.path)
                self.trainer.checkpoints.path.write_text("no folder", encoding="utf-8")

    job = make_job(duration="20 steps", evaluate_every=None)
    original = train_module.standard_callbacks
    monkeypatch.setattr(
        train_module, "standard_callbacks", lambda *a, **o: [*original(*a, **o), Vandal()]
    )
    with pytest.raises(StageFailedError, match=r"step-00000004[\s\S]*nothing half-written"):
        train_model(job)
    assert "StageFailedError" in events(job, "error")[0]["error"]


def test_inspect_tells_what_a_checkpoint_is(make_job) -> None:
    job = make_job()
    train_model(job)
    path = job.folder / "checkpoints" / "step-00000006"
    result = CliRunner().invoke(inspect_command, [str(path)])
    assert result.exit_code == 0
    assert "checkpoint, 3 files" in result.output
    assert "checksums agree" in result.output
    assert "step: 6" in result.output


def test_a_folder_without_the_marker_is_never_opened(tmp_path: Path) -> None:
    model, optimizer = tiny_run()
    checkpoints = CheckpointFolder(tmp_path, "identity")
    checkpoints.save(model, optimizer, TrainState(step=1))
    shutil.copytree(checkpoints.step_path(1), tmp_path / "step-00000002")
    (tmp_path / "step-00000002" / "manifest.json").unlink()
    newest = checkpoints.newest_whole()
    assert newest is not None
    assert newest.facts["step"] == 1
    with pytest.raises(MissingInputError):
        checkpoints.open(3)


def test_a_checkpoint_of_an_older_hunmin_says_so(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001"
    with write_artifact(path, "checkpoint") as draft:
        (draft.path / "model.safetensors").write_bytes(b"")
    checkpoint = CheckpointFolder(tmp_path, "identity").newest_whole()
    assert checkpoint is not None
    with pytest.raises(CorruptArtifactError, match=r"index\.json: .*an older hunmin wrote none"):
        restore(checkpoint, *tiny_run())


def test_a_replacement_that_was_killed_is_undone(tmp_path: Path) -> None:
    model, optimizer = tiny_run()
    checkpoints = CheckpointFolder(tmp_path, "identity")
    checkpoints.save(model, optimizer, TrainState(step=1))
    checkpoints.step_path(1).rename(tmp_path / ".step-00000001.old")
    assert checkpoints.steps() == []
    newest = checkpoints.newest_whole()
    assert newest is not None
    assert checkpoints.steps() == [1]


def test_empty_optimizers_and_trained_ones_are_restored(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path, "identity")
    model, optimizer = tiny_run()
    checkpoints.save(model, optimizer, TrainState(step=1))
    step(model, optimizer, 0)
    checkpoints.save(model, optimizer, TrainState(step=2))
    expected = {name: value.clone() for name, value in optimizer.state_tensors().items()}
    assert expected
    model, optimizer = tiny_run()
    restore(checkpoints.open(1), model, optimizer)
    assert optimizer.state_tensors() == {}
    restore(checkpoints.open(2), model, optimizer)
    restored = optimizer.state_tensors()
    assert restored.keys() == expected.keys()
    assert all(torch.equal(restored[name], expected[name]) for name in expected)


def test_a_run_in_one_process_goes_on_from_memory(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    checkpoints = CheckpointFolder(tmp_path / "checkpoints", "identity")
    copies = MemoryCopies(checkpoints.run_id(), Layout(1, 1, 1), Ranks(), root=memory)
    model, optimizer = tiny_run()
    state = TrainState()
    copier = MemoryCopier(2)
    copier.trainer = SimpleNamespace(
        copy_to_memory=lambda: checkpoints.copy(copies, model, optimizer, state),
        forget_memory=copies.clean,
    )
    for number in range(1, 6):
        step(model, optimizer, number)
        state.step = number
        copier.after_step(state)
    assert copier.blocking_seconds > 0
    again, other = tiny_run()
    found = resume_newest(checkpoints, again, other, copies=copies)
    assert found is not None
    assert found.step == 4
    step(again, other, 5)
    for left, right in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(left, right)
    checkpoints.save(model, optimizer, TrainState(step=5))
    found = resume_newest(checkpoints, *tiny_run(), copies=copies)
    assert found is not None
    assert found.step == 5
    copier.after_training()
    assert list(memory.iterdir()) == []


def test_copies_need_a_memory_file_system(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path, "identity")
    root = tmp_path / "nowhere"
    copies = MemoryCopies("run", Layout(1, 1, 1), Ranks(), root=root)
    with pytest.raises(OSError, match="there is no memory file system here"):
        checkpoints.copy(copies, *tiny_run(), TrainState(step=1))


def test_alone_ranks_need_no_process_group() -> None:
    joined = Ranks.join(timeout=timedelta(seconds=1))
    assert joined == Ranks.join_apart(timeout=timedelta(seconds=1)) == Ranks()
    assert (joined.gather(3), joined.share(4), joined.smallest(5)) == ([3], 4, 5)

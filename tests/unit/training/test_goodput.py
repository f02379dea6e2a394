"""Where the time of a run went, over all its sittings."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hunmin.core.errors import DiskFullError, MissingInputError
from hunmin.training.callbacks import goodput as goodput_module
from hunmin.training.callbacks.goodput import GoodputRecorder
from hunmin.training.goodput import read_goodput, summarize


def start(time: float, step_seconds: float, step: int = 0) -> dict[str, Any]:
    return {"event": "start", "time": time, "step": step, "step_seconds": step_seconds}


def progress(time: float, step_seconds: float, **spent: float) -> dict[str, Any]:
    return {"event": "progress", "time": time, "step": 1, "step_seconds": step_seconds, **spent}


def test_one_sitting() -> None:
    report = summarize([start(1000, 0), progress(1100, 80, startup=8, evaluation=6, checkpoint=4)])
    assert report.goodput == pytest.approx(0.8)
    assert (report.lost_seconds, report.down_seconds, report.sittings) == (0, 0, 1)
    assert report.other_seconds == pytest.approx(100 - 80 - 8 - 6 - 4)


def test_a_killed_run_loses_steps_and_time() -> None:
    records = [
        start(0, 0),
        progress(60, 50, startup=10),  # checkpoint
        progress(90, 80, startup=10),  # the last words before the kill at 95
        start(125, 50),  # goes on from the checkpoint
        progress(200, 110, startup=10, evaluation=5),
    ]
    report = summarize(records)
    assert report.wall_seconds == 200
    assert report.effective_seconds == 110
    assert report.lost_seconds == 30
    assert report.down_seconds == 35
    assert report.startup_seconds == 20
    assert report.evaluation_seconds == 5
    assert report.other_seconds == 0
    assert report.sittings == 2
    assert report.goodput == pytest.approx(0.55)
    assert report.describe() == (
        "effective training time 55.0% of 3 min 20 s in 2 sittings "
        "(down 17.5%, lost 15.0%, startup 10.0%, evaluation 2.5%)"
    )


def test_steps_taken_back_within_a_sitting_are_lost_too() -> None:
    report = summarize([start(0, 0), progress(50, 50), progress(50, 20), progress(80, 50)])
    assert (report.lost_seconds, report.effective_seconds, report.sittings) == (30, 50, 1)
    assert report.goodput == pytest.approx(50 / 80)


def test_clocks_of_nodes_that_differ_make_nothing_negative() -> None:
    report = summarize([start(100, 0), progress(110, 5), start(90, 5), progress(95, 7)])
    assert report.down_seconds == 0
    assert report.wall_seconds == 0
    assert report.goodput == 0


def test_nothing_recorded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"goodput.jsonl: there is no record"):
        read_goodput(tmp_path)


# -- the recorder, with a clock that the test moves ------------------------------------------------


class Sitting:
    """One start of a run: a recorder, and time that passes as told."""

    def __init__(self, folder: Path, clock: list[float], *, step: int, seconds: float) -> None:
        self.clock = clock
        self.blocked = 0.0
        self.metrics: list[dict[str, Any]] = []
        self.state = SimpleNamespace(step=step, seconds=seconds)
        self.recorder = GoodputRecorder(
            folder,
            started=clock[0],
            blocked_seconds=lambda: self.blocked,
            write=self.metrics.append,
        )
        self.recorder.trainer = SimpleNamespace(state=self.state)  # type: ignore[assignment]
        self.clock[0] += 10  # imports, compilation
        self.recorder.before_training()

    def step(self, seconds: float = 4.0) -> None:
        self.clock[0] += seconds
        self.state.step += 1
        self.state.seconds += seconds
        self.recorder.after_step(SimpleNamespace(step=self.state.step, seconds=self.state.seconds))  # type: ignore[arg-type]

    def evaluate(self, seconds: float) -> None:
        self.clock[0] += seconds
        self.recorder.after_evaluation(SimpleNamespace(step=self.state.step))  # type: ignore[arg-type]

    def checkpoint(self, seconds: float) -> None:
        self.clock[0] += seconds
        self.blocked += seconds
        self.recorder.after_checkpoint(Path("step"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000_000.0]
    monkeypatch.setattr(goodput_module, "time", SimpleNamespace(time=lambda: now[0]))
    return now


def test_a_run_that_is_killed_and_started_again(tmp_path: Path, clock: list[float]) -> None:
    first = Sitting(tmp_path, clock, step=0, seconds=0.0)
    for _ in range(5):
        first.step()
    first.evaluate(3.0)
    first.checkpoint(2.0)
    for _ in range(6):
        first.step()  # 24 s that will be lost; 20 of them are recorded, the rest counts as down
    with (tmp_path / "goodput.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "progr')  # as a kill would leave it
    clock[0] += 30
    second = Sitting(tmp_path, clock, step=5, seconds=20.0)
    for _ in range(5):
        second.step()
    second.recorder.close()

    report = second.recorder.report()
    assert report.sittings == 2
    assert report.effective_seconds == 40
    assert report.startup_seconds == 20
    assert report.evaluation_seconds == 3
    assert report.checkpoint_seconds == 2
    assert report.lost_seconds + report.down_seconds == 24 + 30
    assert report.lost_seconds >= 12
    assert report.wall_seconds == 20 + 20 + 3 + 2 + 24 + 30 + 20
    assert report.other_seconds == pytest.approx(0)
    assert report.slowest == {"step": 4.0, "evaluation": 3.0, "checkpoint": 2.0}
    assert second.metrics == [{"event": "goodput", "step": 10, **report.as_dict()}]
    assert second.metrics[0]["goodput"] == pytest.approx(40 / 119, abs=1e-4)


def test_a_rollback_is_recorded_as_it_happens(tmp_path: Path, clock: list[float]) -> None:
    sitting = Sitting(tmp_path, clock, step=0, seconds=0.0)
    for _ in range(5):
        sitting.step(1.0)
    sitting.state.step, sitting.state.seconds = 2, 2.0
    for _ in range(4):
        sitting.step(0.5)
    sitting.recorder.close()
    report = sitting.recorder.report()
    assert report.effective_seconds == 4
    assert report.lost_seconds == 2.5  # 3, less the step that was done in the meantime
    assert report.slowest["step"] == 1.0


def test_few_records_are_written(tmp_path: Path, clock: list[float]) -> None:
    sitting = Sitting(tmp_path, clock, step=0, seconds=0.0)
    for _ in range(1000):
        sitting.step(0.1)
    sitting.recorder.close()
    lines = (tmp_path / "goodput.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 14  # an empty line, a start, its seconds, one each 10 s, an end
    assert all(json.loads(line)["time"] >= 1_000_000 for line in filter(None, lines))


def test_a_full_disk_is_an_error_while_training_and_hides_nothing_at_the_end(
    tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    sitting = Sitting(tmp_path, clock, step=0, seconds=0.0)
    (tmp_path / "goodput.jsonl").unlink()
    (tmp_path / "goodput.jsonl").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match=r"goodput.jsonl: no space left"):
        sitting.checkpoint(1.0)
    sitting.recorder.close()
    assert "cannot record where the time went" in caplog.text


def test_a_run_that_ended_before_it_began_writes_nothing(tmp_path: Path) -> None:
    GoodputRecorder(tmp_path, started=0.0, blocked_seconds=float, write=print).close()
    assert list(tmp_path.iterdir()) == []


def test_other_ranks_write_nothing(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    sitting = Sitting(tmp_path, clock, step=0, seconds=0.0)
    sitting.step()
    sitting.recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert sitting.metrics == []

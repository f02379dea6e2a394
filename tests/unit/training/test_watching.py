"""Slow ranks and records of communication: the pure parts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from hunmin.parallel.watch.heartbeat import Heartbeat
from hunmin.parallel.world import local_world
from hunmin.training.callbacks.communication import communication_record
from hunmin.training.callbacks.heartbeats import HeartbeatMarks
from hunmin.training.callbacks.stragglers import StragglerJudge
from hunmin.training.watch_spec import ProfileSpec, StragglerSpec, WatchSpec

SPEC = StragglerSpec(every=1, factor=1.2, windows=3)


def judged(windows: list[list[float]]) -> list[list[int]]:
    judge = StragglerJudge(SPEC, len(windows[0]))
    return [judge.judge(window) for window in windows]


def test_a_rank_is_named_after_some_slow_windows_in_a_row() -> None:
    slow, good = [1.0, 1.0, 1.3, 1.0], [1.0, 1.0, 1.0, 1.1]
    assert judged([slow] * 4) == [[], [], [2], [2]]
    assert judged([slow, slow, good, slow, slow, slow]) == [[], [], [], [], [], [2]]


def test_a_little_slower_is_no_straggler() -> None:
    assert judged([[1.0, 1.0, 1.0, 1.19]] * 5) == [[]] * 5


def test_the_slowest_comes_first() -> None:
    assert judged([[1.0, 1.5, 1.0, 2.0, 1.0]] * 3)[-1] == [3, 1]


def test_one_fast_rank_makes_no_straggler_of_the_others() -> None:
    assert judged([[0.1, 1.0, 1.0, 1.0]] * 5) == [[]] * 5


def test_a_record_holds_means_a_step() -> None:
    gather = {"calls": 8, "message_bytes": 4000, "sent_bytes": 3000, "seconds": 4.0}
    sums = {
        "all_gather/shard": {**gather, "exposed_seconds": 1.0},
        "all_reduce/replicate": {**gather, "sent_bytes": 1000, "exposed_seconds": 2.0},
    }
    record = communication_record(40, 4, 10.0, sums)
    assert record["event"] == "communication"
    assert (record["step"], record["steps"], record["sent_bytes"]) == (40, 4, 1000)
    assert record["seconds"] == 2.0
    assert record["exposed_seconds"] == 0.75
    assert record["compute_seconds"] == 1.75
    assert record["collectives"]["all_gather/shard"]["message_bytes"] == 1000


def test_marks_follow_the_steps() -> None:
    heartbeat = Heartbeat(local_world())
    marks = HeartbeatMarks(heartbeat)
    marks.trainer = SimpleNamespace(state=SimpleNamespace(step=6))  # type: ignore[assignment]
    told = []
    for moment, arguments in (
        (marks.before_step, ()),
        (marks.after_step, (SimpleNamespace(step=7),)),
        (marks.after_evaluation, (SimpleNamespace(step=7),)),
        (marks.after_training, ()),
    ):
        moment(*arguments)
        told.append((heartbeat.pulse.step, heartbeat.pulse.phase))
    assert told == [
        (7, "forward and backward"),
        (7, "evaluation or checkpoint after the step"),
        (7, "checkpoint after the step"),
        (6, "end of the training"),
    ]


def test_settings_have_bounds() -> None:
    for spec, values in (
        (StragglerSpec, {"factor": 1.0}),
        (ProfileSpec, {"num_steps": 0}),
        (WatchSpec, {"heartbeat": 0}),
    ):
        with pytest.raises(ValidationError):
            spec.model_validate(values)

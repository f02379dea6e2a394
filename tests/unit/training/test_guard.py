"""The guard of losses: pure verdicts on curves."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hunmin.core.errors import TrainingDivergedError
from hunmin.training.guard import Action, LossGuard, divergence
from hunmin.training.guard_spec import GuardSpec

GO, SKIP, ROLLBACK, STOP = Action.GO, Action.SKIP, Action.ROLLBACK, Action.STOP


def falling_curve(steps: int, seed: int = 0) -> list[tuple[float, float]]:
    """A loss that falls from 8 to 3 with noise of 0.05, and norms that vary by a fifth."""
    draw = random.Random(seed)
    return [
        (3 + 5 * math.exp(-step / 60) + draw.gauss(0, 0.05), math.exp(draw.gauss(0, 0.2)))
        for step in range(steps)
    ]


def real_curve() -> list[tuple[float, float]]:
    lines = Path(__file__).with_name("curve.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(float(loss), float(norm)) for loss, norm in rows]


def actions(guard: LossGuard, curve: Iterable[tuple[float, float]]) -> list[Action]:
    return [guard.judge(step, *point).action for step, point in enumerate(curve, start=1)]


def guard_of(**values: object) -> LossGuard:
    return LossGuard(GuardSpec.model_validate(values))


# -- what is a spike -------------------------------------------------------------------------------


def test_a_real_curve_has_no_false_alarm_at_half_the_default_factor() -> None:
    curve = real_curve()
    assert len(curve) == 700
    factor = GuardSpec().spike_factor / 2
    for on_spike in ("skip", "rollback"):
        assert set(actions(guard_of(on_spike=on_spike, spike_factor=factor), curve)) == {GO}


@pytest.mark.parametrize("seed", range(5))
def test_a_falling_curve_has_no_false_alarm(seed: int) -> None:
    assert set(actions(guard_of(on_spike="skip"), falling_curve(600, seed))) == {GO}


@pytest.mark.parametrize(("loss_factor", "norm_factor"), [(1.5, 1.0), (1.0, 30.0)])
def test_a_spike_of_the_loss_or_of_the_norm_is_seen_once(
    loss_factor: float, norm_factor: float
) -> None:
    curve = real_curve()
    curve[500] = (curve[500][0] * loss_factor, curve[500][1] * norm_factor)
    judged = actions(guard_of(on_spike="skip"), curve)
    assert [step for step, action in enumerate(judged) if action is not GO] == [500]


def test_the_reason_tells_the_value_and_the_limit() -> None:
    guard = guard_of(on_spike="skip")
    actions(guard, real_curve())
    assert "the loss is 9; up to" in guard.judge(701, 9.0, 1.0).reason
    assert "the gradient norm is 1000; up to" in guard.judge(702, 3.2, 1000.0).reason


def test_a_flat_curve_does_not_make_trifles_spikes() -> None:
    guard = guard_of(on_spike="skip", window=16)
    actions(guard, [(3.0, 1.0)] * 16)
    assert guard.judge(17, 3.1, 1.5).action is GO
    assert guard.judge(18, 3.2, 1.0).action is SKIP


def test_nothing_is_a_spike_before_the_window_is_full() -> None:
    assert set(actions(guard_of(on_spike="skip", window=128), [(3.0, 1.0)] * 127)) == {GO}
    young, old = guard_of(on_spike="skip"), guard_of(on_spike="skip")
    actions(young, [(3.0, 1.0)] * 127)
    actions(old, [(3.0, 1.0)] * 128)
    assert young.judge(1, 50.0, 1.0).action is GO
    assert old.judge(1, 50.0, 1.0).action is SKIP


def test_spikes_are_ignored_unless_asked_for() -> None:
    guard = guard_of()
    actions(guard, real_curve())
    assert guard.judge(701, 1e6, 1e6).action is GO


# -- what is done ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [(math.nan, 1.0), (3.0, math.inf), (math.inf, math.nan)])
@pytest.mark.parametrize(
    ("on_nan", "action"), [("error", STOP), ("skip", SKIP), ("rollback", ROLLBACK)]
)
def test_what_is_not_a_number(bad: tuple[float, float], on_nan: str, action: Action) -> None:
    verdict = guard_of(on_nan=on_nan).judge(1, *bad)
    assert verdict.action is action
    assert f"loss {bad[0]}, gradient norm {bad[1]}" in verdict.reason


def test_many_skips_in_a_row_end_the_run_and_scattered_ones_do_not() -> None:
    nan, good = (math.nan, 1.0), (3.0, 1.0)
    scattered = actions(guard_of(on_nan="skip", max_skips=2), [nan, nan, good] * 10)
    assert scattered == [SKIP, SKIP, GO] * 10
    guard = guard_of(on_nan="skip", max_skips=2)
    assert actions(guard, [nan] * 3) == [SKIP, SKIP, STOP]
    assert "after 2 skipped steps in a row" in guard.judge(4, *nan).reason


def test_skipped_values_do_not_raise_the_limit() -> None:
    guard = guard_of(on_spike="skip", window=8, max_skips=100)
    actions(guard, [(3.0, 1.0)] * 8)
    assert set(actions(guard, [(6.0, 1.0)] * 50)) == {SKIP}


def test_going_back_again_and_again_ends_the_run() -> None:
    guard = guard_of(on_nan="rollback", max_rollbacks=2)
    for _ in range(2):
        assert guard.judge(5, math.nan, 1.0).action is ROLLBACK
        guard.roll_back(4, to_batch=2, saved=guard.state())
    verdict = guard.judge(5, math.nan, 1.0)
    assert verdict.action is STOP
    assert "after 2 times going back" in verdict.reason


def test_the_error_says_where_and_what_to_do() -> None:
    error = divergence(7, guard_of().judge(7, math.nan, 1.0))
    assert isinstance(error, TrainingDivergedError)
    assert "step 7: " in str(error)
    assert "loss nan" in str(error)
    assert "train.optimizer.learning_rate" in str(error)


# -- going back and passing over -------------------------------------------------------------------


def test_after_going_back_the_batch_that_went_wrong_is_passed_over() -> None:
    guard = guard_of(on_nan="rollback")
    assert [guard.batch_number(step) for step in range(4)] == [0, 1, 2, 3]
    guard.roll_back(12, to_batch=10, saved=guard.state())
    assert [guard.batch_number(step) for step in range(9, 15)] == [9, 10, 11, 13, 14, 15]
    guard.roll_back(14, to_batch=10, saved=guard.state())
    assert [guard.batch_number(step) for step in range(9, 15)] == [9, 10, 11, 13, 15, 16]


def test_as_many_batches_are_passed_over_as_asked_but_none_before_the_checkpoint() -> None:
    guard = guard_of(on_nan="rollback", passed_over=3)
    guard.roll_back(20, to_batch=10, saved=guard.state())
    assert guard.passed_over == [18, 19, 20]
    guard.roll_back(11, to_batch=10, saved=guard.state())
    assert guard.passed_over == [10, 11, 18, 19, 20]
    assert [guard.batch_number(step) for step in range(9, 17)] == [9, 12, 13, 14, 15, 16, 17, 21]


def test_what_is_looked_back_on_is_that_of_the_checkpoint() -> None:
    guard = guard_of(on_spike="rollback", window=8)
    actions(guard, [(3.0, 1.0)] * 8)
    saved = guard.state()
    actions(guard, [(3.05, 1.0)] * 8)
    assert guard.judge(17, 9.0, 1.0).action is ROLLBACK
    guard.roll_back(16, to_batch=8, saved=saved)
    state = guard.state()
    assert state["losses"] == [3.0] * 8
    assert state["rollbacks"] == 1
    assert state["passed_over"] == [16]


@pytest.mark.parametrize("cut", [3, 130, 400])
def test_a_restart_changes_no_verdict(cut: int) -> None:
    curve = real_curve()
    for place in (150, 402, 403):
        curve[place] = (20.0, 1.0)
    whole, first = guard_of(on_spike="skip"), guard_of(on_spike="skip")
    straight = actions(whole, curve)
    assert straight.count(SKIP) == 3
    before = actions(first, curve[:cut])
    second = guard_of(on_spike="skip")
    second.load_state(json.loads(json.dumps(first.state())))
    assert before + actions(second, curve[cut:]) == straight


def test_settings_have_bounds() -> None:
    with pytest.raises(ValidationError, match="on_nan"):
        GuardSpec.model_validate({"on_nan": "ignore"})
    with pytest.raises(ValidationError, match="window"):
        GuardSpec.model_validate({"window": 3})

"""Durations, plans and schedules are pure functions."""

from itertools import pairwise

import pytest

from hunmin.core.errors import InputError
from hunmin.training.duration import Duration
from hunmin.training.plan import derive_plan
from hunmin.training.schedule import learning_rate_factor
from hunmin.training.spec import CosineSchedule, StableDecaySchedule, TrainSpec


@pytest.mark.parametrize(
    ("text", "steps"),
    [("7 steps", 7), ("1 step", 1), ("2K tokens", 20), ("1.5 epochs", 15), ("2001 tokens", 21)],
)
def test_durations_in_steps(text: str, steps: int) -> None:
    duration = Duration.parse(text)
    assert duration.in_steps(tokens_per_step=100, tokens_per_epoch=1000) == steps


@pytest.mark.parametrize("text", ["7", "seven steps", "0 steps", "7 parsecs", "-1 epochs", ""])
def test_durations_need_an_amount_and_a_unit(text: str) -> None:
    with pytest.raises(InputError):
        Duration.parse(text)


def test_plan() -> None:
    spec = TrainSpec(duration="2 epochs", batch_tokens=1000, microbatch_tokens=300)
    plan = derive_plan(spec, context=64, train_tokens=9600)
    assert plan.sequences_per_step == 15
    assert plan.sequences_per_microbatch == 4
    assert plan.microbatches == 4
    assert plan.tokens_per_step == 960
    assert plan.num_steps == 20
    assert plan.epochs == 2.0


@pytest.mark.parametrize("data_ranks", [1, 2, 4])
def test_the_step_does_not_depend_on_the_number_of_processes(data_ranks: int) -> None:
    spec = TrainSpec(duration="10 steps", batch_tokens=4096, microbatch_tokens=512)
    plan = derive_plan(spec, context=128, train_tokens=10**6, data_ranks=data_ranks)
    assert plan.sequences_per_step == 32
    assert plan.microbatches * plan.sequences_per_microbatch * data_ranks == 32


def test_every_number_of_processes_trains_on_the_same_batches() -> None:
    spec = TrainSpec(duration="2 epochs", batch_tokens=1024, microbatch_tokens=128)
    plans = [
        derive_plan(spec, context=64, train_tokens=9600, data_ranks=ranks) for ranks in range(1, 17)
    ]
    assert {(p.sequences_per_step, p.num_steps, p.total_tokens) for p in plans} == {(16, 19, 19456)}
    for plan in plans:
        assert plan.microbatches * plan.sequences_per_microbatch * plan.data_ranks >= 16
        assert plan.sequences_per_microbatch <= 2


def test_a_batch_below_one_sequence_is_refused() -> None:
    with pytest.raises(InputError, match=r"train.batch_tokens[\s\S]*at least 256"):
        derive_plan(TrainSpec(batch_tokens=200), context=128, train_tokens=1, data_ranks=2)


def test_cosine_rises_and_falls_to_its_final_share() -> None:
    schedule = CosineSchedule(warmup=0.1, final=0.1)
    factors = [learning_rate_factor(schedule, step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert factors[10] == 1.0
    assert factors[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(factors[10:]))


@pytest.mark.parametrize("shape", ["linear", "sqrt"])
def test_stable_decay_is_flat_and_then_falls(shape: str) -> None:
    schedule = StableDecaySchedule(warmup=0.1, decay=0.2, final=0.0, shape=shape)
    factors = [learning_rate_factor(schedule, step, 100) for step in range(100)]
    assert factors[9:80] == [1.0] * 71
    assert all(a > b > 0 for a, b in pairwise(factors[79:]))
    last = 20 / 21
    assert factors[-1] == pytest.approx(1 - (last if shape == "linear" else last**0.5))


@pytest.mark.parametrize("num_steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", [CosineSchedule(), StableDecaySchedule()])
def test_short_runs_have_a_schedule_too(
    num_steps: int, schedule: CosineSchedule | StableDecaySchedule
) -> None:
    factors = [learning_rate_factor(schedule, step, num_steps) for step in range(num_steps)]
    assert all(0 < factor <= 1 for factor in factors)

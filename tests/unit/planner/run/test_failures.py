"""Checkpoint intervals and goodput against published numbers, calculus and a simulation."""

from __future__ import annotations

import math
import random
from dataclasses import astuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.planner.run.failures import (
    DAY,
    FAILURES_PER_DEVICE_DAY,
    best_interval,
    daly_interval,
    seconds_between_failures,
    time_shares,
    young_interval,
)

MINUTE, HOUR = 60.0, 3600.0

failure_times = st.floats(600, 1e8)
pauses = st.floats(1e-3, 600)
writes = st.floats(0, 1200)
restarts = st.floats(0, 3600)


def test_llama_3_fails_every_three_hours() -> None:
    between = seconds_between_failures(16_384, FAILURES_PER_DEVICE_DAY)
    assert between == pytest.approx(54 * DAY / 419)
    assert between / HOUR == pytest.approx(3.1, abs=0.05)
    assert seconds_between_failures(8, 0.0) == math.inf


def test_llama_3_was_effective_for_more_than_nine_tenths() -> None:
    """4.9 TB of states over 2 TB/s of storage, as its paper says; default restart."""
    between = seconds_between_failures(16_384, FAILURES_PER_DEVICE_DAY)
    interval = best_interval(1.0, between, write=2.5)
    assert 0.90 < time_shares(interval, 1.0, between, write=2.5).goodput < 0.96


@pytest.mark.parametrize(("between", "published"), [(24 * 60, 117), (6 * 60, 57), (15, 9.1)])
def test_daly_published_optima(between: float, published: float) -> None:
    """Figures 3 to 5 of Daly 2006: a dump of 5 minutes, results in minutes."""
    rounding = 0.5 if published > 10 else 0.05
    assert daly_interval(5.0, between) == pytest.approx(published, abs=rounding)
    assert best_interval(5.0, between) == pytest.approx(published, rel=0.01)


def test_daly_takes_the_failure_time_where_his_series_ends() -> None:
    assert daly_interval(30.0, 15.0) == 15.0
    assert best_interval(30.0, 15.0) < 15.0


def test_young_is_the_limit_of_short_pauses() -> None:
    ratios = [best_interval(p, DAY) / young_interval(p, DAY) for p in (600.0, 6.0, 0.06)]
    assert [abs(1 - ratio) for ratio in ratios] == sorted(
        (abs(1 - ratio) for ratio in ratios), reverse=True
    )
    assert ratios[-1] == pytest.approx(1, abs=1e-3)


@settings(deadline=None)
@given(pauses, failure_times, restarts, writes, st.floats(0.2, 5))
def test_no_other_interval_is_better(
    pause: float, between: float, restart: float, write: float, factor: float
) -> None:
    best = best_interval(pause, between, write=write)
    assume(best * max(factor, 1) + restart + write + pause < 40 * between)
    shares = time_shares(best, pause, between, restart=restart, write=write)
    other = time_shares(best * factor, pause, between, restart=restart, write=write)
    assert other.goodput <= shares.goodput * (1 + 1e-12)


@settings(deadline=None)
@given(pauses, failure_times)
def test_the_best_interval_is_the_minimum_of_a_fine_scan(pause: float, between: float) -> None:
    best = best_interval(pause, between)
    scan = [best * 1.001**i for i in range(-50, 51)]
    goodputs = [time_shares(t, pause, between, restart=0.0).goodput for t in scan]
    assert goodputs.index(max(goodputs)) == pytest.approx(50, abs=1)


@settings(deadline=None)
@given(st.floats(1, 1e5), pauses, failure_times, restarts, writes, st.floats(1, 10))
def test_more_failures_never_more_goodput(
    interval: float, pause: float, between: float, restart: float, write: float, factor: float
) -> None:
    assume(interval + pause + restart + write < 40 * between / factor)
    few = time_shares(interval, pause, between, restart=restart, write=write)
    many = time_shares(interval, pause, between / factor, restart=restart, write=write)
    none = time_shares(interval, pause, math.inf, restart=restart, write=write)
    assert 0 < many.goodput <= few.goodput * (1 + 1e-12) <= none.goodput * (1 + 1e-9) <= 1 + 1e-9


@settings(deadline=None)
@given(st.floats(1, 1e5), pauses, failure_times, restarts, writes)
def test_shares_are_shares(
    interval: float, pause: float, between: float, restart: float, write: float
) -> None:
    assume(interval + pause + restart + write < 40 * between)
    shares = time_shares(interval, pause, between, restart=restart, write=write)
    assert all(0 <= share <= 1 for share in astuple(shares))
    assert sum(astuple(shares)) == pytest.approx(1)


def test_without_failures_only_checkpoints_cost() -> None:
    shares = time_shares(90.0, 10.0, math.inf, restart=600.0, write=50.0)
    assert astuple(shares) == pytest.approx((0.9, 0.1, 0.0, 0.0))
    assert best_interval(10.0, math.inf) == math.inf


def test_checkpoints_are_written_one_at_a_time() -> None:
    """With 60 s of work and 100 s of writing the next one waits 40 s."""
    assert time_shares(60.0, 2.0, math.inf, write=100.0).goodput == pytest.approx(60 / 102)
    assert time_shares(100.0, 2.0, math.inf, write=100.0).goodput == pytest.approx(100 / 102)
    assert best_interval(0.001, HOUR, write=100.0) == 100.0
    assert best_interval(0.001, HOUR, write=2 * HOUR) == HOUR


def test_a_checkpoint_that_costs_nothing_is_taken_all_the_time() -> None:
    assert best_interval(0.0, DAY) == pytest.approx(0, abs=1e-6)
    shares = time_shares(1e-3, 0.0, DAY, restart=600.0)
    assert shares.lost == pytest.approx(0, abs=1e-6)
    assert shares.goodput == pytest.approx(math.exp(-600 / DAY), rel=1e-6)


def test_a_run_that_never_gets_anywhere_is_refused() -> None:
    with pytest.raises(InputError, match=r"again and again[\s\S]*every 10.0 s[\s\S]*fewer devices"):
        time_shares(60.0, 1.0, 10.0, restart=600.0)


class Simulation:
    """A clock, a disk and failures; what `parallel.checkpoint` does, event by event."""

    def __init__(self, between: float, restart: float, seed: int) -> None:
        self.random = random.Random(seed)
        self.between, self.restart = between, restart
        self.now = self.saved = 0.0
        self.failures = 0
        self.next_failure = self.draw()

    def draw(self) -> float:
        return self.now + self.random.expovariate(1 / self.between)

    def survives(self, until: float) -> bool:
        """Let time pass; False if the run fails on the way."""
        if until < self.next_failure:
            self.now = until
            return True
        self.now, self.next_failure = self.next_failure, math.inf
        return False

    def restart_until_it_holds(self) -> None:
        self.failures += 1
        while True:
            self.next_failure = self.draw()
            if self.survives(self.now + self.restart):
                return

    def sitting(self, interval: float, pause: float, write: float) -> None:
        """Work from the last checkpoint on disk until a failure."""
        work, writing, safe_at = self.saved, None, -math.inf
        while self.survives(self.now + interval):
            work += interval
            if not self.survives(max(self.now, safe_at)):  # one checkpoint at a time
                break
            self.saved = work - interval if writing is not None else self.saved
            if not self.survives(self.now + pause):
                break
            writing, safe_at = work, self.now + write
        if writing is not None and safe_at <= self.now:
            self.saved = writing


def simulated_goodput(
    interval: float, pause: float, between: float, *, restart: float, write: float
) -> float:
    run = Simulation(between, restart, seed=17)
    while run.failures < 30_000:
        run.sitting(interval, pause, write)
        run.restart_until_it_holds()
    return run.saved / run.now


@pytest.mark.parametrize(
    ("interval", "pause", "between", "restart", "write"),
    [
        (1800.0, 60.0, 3.1 * HOUR, 600.0, 0.0),  # written while training stands still
        (900.0, 2.0, 3.1 * HOUR, 600.0, 300.0),  # written beside it
        (300.0, 2.0, 1.0 * HOUR, 60.0, 420.0),  # written for longer than the interval
        (1200.0, 120.0, 0.5 * HOUR, 900.0, 600.0),  # failures during restart and writing
    ],
)
def test_simulated_runs_confirm_the_closed_form(
    interval: float, pause: float, between: float, restart: float, write: float
) -> None:
    simulated = simulated_goodput(interval, pause, between, restart=restart, write=write)
    closed = time_shares(interval, pause, between, restart=restart, write=write).goodput
    assert simulated == pytest.approx(closed, rel=0.01)

"""What failures cost a run: lost steps, restarts, checkpoints, and the best time between these.

    work      T            T            T     ╳  failure: back to the last checkpoint on disk
    time   ├─────┤δ├─────────┤δ├──────────┤δ├─╳ · restart R · ├─────┤δ├ ···
    disk           └─ W ─┘     └─ W ─┘      └╳

T seconds of work, then a pause δ; W seconds later the checkpoint is safe on disk, work going on
meanwhile (without a writer beside the training the pause is the writing, and W is 0). Failures come
at a constant rate 1/M, during restarts too, and stop all ranks.

Source:
    J. W. Young 1974, Communications of the ACM 17(9), 530-531; J. T. Daly 2006, Future Generation
    Computer Systems 22(3), 303-312. Neither knows W, which only adds to the restart: after a
    failure the first checkpoint is safe T + δ + W later, and each further one T + δ later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hunmin.core.errors import InputError
from hunmin.core.units import format_duration

DAY = 86_400.0
FAILURES_PER_DEVICE_DAY = 419 / (54 * 16_384)
"""Llama 3 (arXiv:2407.21783, section 3.3.4): 419 unexpected interruptions in 54 days on 16,384
H100, one every 3.1 hours; 0.17 a device and year."""
RESTART_SECONDS = 600.0
"""MegaScale (arXiv:2402.15627, section 6) finds and diagnoses a failure in less than 10 minutes
on average, on more than 10,000 GPUs."""
_MOST_RESTARTS = 50.0
"""Restart and writing, in mean times between failures: exp(50) attempts are no plan."""


@dataclass(frozen=True)
class TimeShares:
    """Where the time of a run goes, as shares of all time that add up to 1.

    Args:
        goodput: Steps that count; (0, 1].
        checkpoints: Pauses for checkpoints that count.
        lost: Steps and pauses that a failure took back.
        restarts: From a failure to the next step.
    """

    goodput: float
    checkpoints: float
    lost: float
    restarts: float


def seconds_between_failures(devices: int, failures_per_device_day: float) -> float:
    """Return the mean time between failures of a run, M.

    Args:
        devices: That fail independently; each stops the run.
        failures_per_device_day: Of one device, with its share of node and network; 0 or more.

    Returns:
        Seconds; infinite without failures.
    """
    rate = devices * failures_per_device_day / DAY
    return 1.0 / rate if rate > 0 else math.inf


def young_interval(pause: float, between_failures: float) -> float:
    """Return Young's work between checkpoints: right where the pause is much shorter than M.

    Args:
        pause: Seconds that a checkpoint stops work, δ.
        between_failures: Seconds, M.

    Returns:
        sqrt(2 δ M) seconds.
    """
    return math.sqrt(2 * pause * between_failures)


def daly_interval(pause: float, between_failures: float) -> float:
    """Return Daly's work between checkpoints, a series around the exact answer.

    Args:
        pause: Seconds that a checkpoint stops work, δ.
        between_failures: Seconds, M.

    Returns:
        Seconds; M where the pause is 2 M or longer.
    """
    if pause >= 2 * between_failures:
        return between_failures
    ratio = pause / (2 * between_failures)
    return young_interval(pause, between_failures) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - pause


def best_interval(pause: float, between_failures: float, *, write: float = 0.0) -> float:
    """Return the work between checkpoints that wastes least time.

    It solves (1 - T/M) exp((T + δ)/M) = 1, where the derivative of the goodput is zero. The restart
    does not matter, nor the writing unless it takes longer than that: checkpoints are written one
    at a time.

    Args:
        pause: Seconds that a checkpoint stops work, δ; 0 or more.
        between_failures: Seconds, M.
        write: Seconds until a checkpoint is safe, W.

    Returns:
        Seconds, at most M and else at least `write`; infinite without failures; 0 where a
        checkpoint costs nothing.
    """
    if math.isinf(between_failures):
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(200):  # to the last bit, also of a root near 0
        middle = (low + high) / 2
        if math.log1p(-middle) + middle + pause / between_failures > 0:
            low = middle
        else:
            high = middle
        if high - low <= 1e-15 * low:
            break
    return max(low * between_failures, min(write, between_failures))


def time_shares(
    interval: float,
    pause: float,
    between_failures: float,
    *,
    restart: float = RESTART_SECONDS,
    write: float = 0.0,
) -> TimeShares:
    """Return where the time of a long run goes.

        goodput = T/M exp(-(R + T + δ + W)/M) / (1 - exp(-(max(T, W) + δ)/M))

    Args:
        interval: Seconds of work between checkpoints, T; more than 0.
        pause: Seconds that a checkpoint stops work, δ.
        between_failures: Seconds, M; may be infinite.
        restart: Seconds from a failure to the first new step, R.
        write: Seconds until a checkpoint is safe, W. If it is longer than the interval, the next
            checkpoint waits for it, as in `parallel.checkpoint`.

    Returns:
        Shares of all time.

    Raises:
        InputError: The run would fail again and again before it gets anywhere.

    Note:
        The expectation of a renewal process, so the mean over many failures. A run with a handful
        of them will lie above or below.
    """
    cycle = max(interval, write) + pause
    if math.isinf(between_failures):
        return TimeShares(interval / cycle, 1 - interval / cycle, 0.0, 0.0)
    attempt = restart + interval + pause + write
    _refuse_standstill(attempt, between_failures)
    rate = 1.0 / between_failures
    # Checkpoints that become safe in a second of all time.
    progress = rate * math.exp(-rate * attempt) / -math.expm1(-rate * cycle)
    restarts = -math.expm1(-rate * restart)
    goodput, checkpoints = progress * interval, progress * (cycle - interval)
    lost = max(0.0, 1.0 - goodput - checkpoints - restarts)
    return TimeShares(goodput, checkpoints, lost, restarts)


def _refuse_standstill(attempt: float, between_failures: float) -> None:
    if attempt > _MOST_RESTARTS * between_failures:
        raise InputError(
            "the run would fail again and again before a checkpoint is safe",
            where="failures",
            given=f"a failure every {format_duration(between_failures)}, and "
            f"{format_duration(attempt)} for restart, work and checkpoint",
            hint="checkpoint more often, restart faster, write to faster storage, or take fewer "
            "devices",
        )

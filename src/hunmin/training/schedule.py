"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math

from hunmin.training.spec import CosineSchedule, StableDecaySchedule


def learning_rate_factor(
    schedule: CosineSchedule | StableDecaySchedule, step: int, num_steps: int
) -> float:
    """Return the learning rate of a step as a share of the peak.

    Args:
        schedule: The schedule.
        step: Optimizer step, counted from 0, below num_steps.
        num_steps: Steps of the whole run.

    Returns:
        A number in (0, 1] for a cosine with `final` above 0, and for every stable-decay schedule.
    """
    warmup_steps = round(schedule.warmup * num_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if isinstance(schedule, CosineSchedule):
        progress = (step - warmup_steps) / max(1, num_steps - 1 - warmup_steps)
        return _between(schedule.final, (1 + math.cos(math.pi * progress)) / 2)
    decay_steps = max(1, round(schedule.decay * num_steps))
    # One more than the decay steps: the last step still learns when `final` is 0.
    progress = (step - (num_steps - decay_steps) + 1) / (decay_steps + 1)
    if progress <= 0:
        return 1.0
    remaining = 1 - (math.sqrt(progress) if schedule.shape == "sqrt" else progress)
    return _between(schedule.final, remaining)


def _between(final: float, remaining: float) -> float:
    return final + (1 - final) * remaining

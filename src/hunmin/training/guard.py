"""LossGuard: what to do with a step whose loss is not a number, or far above the last ones.

    loss, gradient norm ─> judge ─┬─ go ───────> optimizer step
                                  ├─ skip ─────> forget the gradients, next batch
                                  ├─ rollback ─> last checkpoint, pass over the batches
                                  └─ stop ─────> TrainingDivergedError

A spike is a value more than `spike_factor` robust standard deviations (1.4826 times the median
absolute deviation) above the median of the last steps. Norms are compared by their logarithms.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hunmin.core.errors import TrainingDivergedError
from hunmin.training.guard_spec import GuardSpec

_MAD_TO_DEVIATION = 1.4826
_LEAST_LOSS_DEVIATION = 0.02
"""Nats: below it, a change of the loss is nothing to act on however calm the curve was."""
_LEAST_NORM_DEVIATION = 0.1
"""Of the logarithm of the norm: about ten percent."""


class Action(StrEnum):
    """What to do with the step."""

    GO = "go"
    SKIP = "skip"
    ROLLBACK = "rollback"
    STOP = "stop"


@dataclass(frozen=True)
class Verdict:
    """What the guard says of a step.

    Args:
        action: What to do.
        reason: Why, for people; empty for GO.
    """

    action: Action
    reason: str = ""


GO = Verdict(Action.GO)


class LossGuard:
    """Judges each step before the weights are touched.

    Args:
        spec: What the recipe says.

    Note:
        Deterministic in the losses and norms it is given: with the same reduced values on every
        rank, every rank reaches the same verdict.
    """

    def __init__(self, spec: GuardSpec) -> None:
        self.spec = spec
        self.skips_in_a_row = 0
        self.rollbacks = 0
        self.passed_over: list[int] = []
        """Numbers of the batches that no step takes any more, ascending."""
        self._losses: deque[float] = deque(maxlen=spec.window)
        self._norms: deque[float] = deque(maxlen=spec.window)

    def judge(self, step: int, loss: float, gradient_norm: float) -> Verdict:
        """Judge a step by its reduced loss and gradient norm, and remember them.

        Args:
            step: Number of the step.
            loss: Mean over the tokens of all ranks, nats.
            gradient_norm: Before clipping, over all ranks.

        Returns:
            What to do.
        """
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            what = f"loss {loss}, gradient norm {gradient_norm}"
            action = Action.STOP if self.spec.on_nan == "error" else Action(self.spec.on_nan)
            return self._limit(step, action, f"not a number: {what}")
        spike = None if self.spec.on_spike == "ignore" else self._spike(loss, gradient_norm)
        if spike is not None:
            return self._limit(step, Action(self.spec.on_spike), spike)
        self._losses.append(loss)
        self._norms.append(math.log(max(gradient_norm, 1e-30)))
        self.skips_in_a_row = 0
        return GO

    def roll_back(self, batch: int, *, to_batch: int, saved: dict[str, Any]) -> None:
        """Take note that the run went back to a checkpoint.

        Args:
            batch: Number of the batch that went wrong.
            to_batch: Number of the batch that the checkpoint would have taken next.
            saved: The guard's own state in that checkpoint: what it looks back on is of then,
                what it has passed over and how often it went back is of now.
        """
        first = max(to_batch, batch - self.spec.passed_over + 1)
        passed_over = sorted({*self.passed_over, *range(first, batch + 1)})
        self.load_state({**saved, "rollbacks": self.rollbacks + 1, "passed_over": passed_over})

    def batch_number(self, step: int) -> int:
        """Return the number of the batch that a step takes.

        Args:
            step: Steps done before it.

        Returns:
            The same number while nothing was passed over, a higher one after that.
        """
        number = step
        for skipped in self.passed_over:
            if skipped <= number:
                number += 1
        return number

    def state(self) -> dict[str, Any]:
        """Return what must survive a restart, as a JSON value."""
        return {
            "skips_in_a_row": self.skips_in_a_row,
            "rollbacks": self.rollbacks,
            "passed_over": list(self.passed_over),
            "losses": list(self._losses),
            "norms": list(self._norms),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned; a window that was changed keeps the newest values."""
        self.skips_in_a_row = state["skips_in_a_row"]
        self.rollbacks = state["rollbacks"]
        self.passed_over = list(state["passed_over"])
        self._losses = deque(state["losses"], maxlen=self.spec.window)
        self._norms = deque(state["norms"], maxlen=self.spec.window)

    def _spike(self, loss: float, gradient_norm: float) -> str | None:
        if len(self._losses) < self.spec.window:
            return None
        factor = self.spec.spike_factor
        limit = _limit_of(self._losses, factor, _LEAST_LOSS_DEVIATION)
        if loss > limit:
            return f"the loss is {loss:.4g}; up to {limit:.4g} would be ordinary"
        limit = math.exp(_limit_of(self._norms, factor, _LEAST_NORM_DEVIATION))
        if gradient_norm > limit:
            return f"the gradient norm is {gradient_norm:.4g}; up to {limit:.4g} would be ordinary"
        return None

    def _limit(self, step: int, action: Action, reason: str) -> Verdict:
        """Turn what happens too often into the end of the run."""
        if action is Action.SKIP:
            self.skips_in_a_row += 1
            if self.skips_in_a_row > self.spec.max_skips:
                reason = f"{reason}, after {self.spec.max_skips} skipped steps in a row"
                return Verdict(Action.STOP, reason)
        if action is Action.ROLLBACK and self.rollbacks >= self.spec.max_rollbacks:
            return Verdict(Action.STOP, f"{reason}, after {self.rollbacks} times going back")
        return Verdict(action, reason)


def _limit_of(values: deque[float], factor: float, least_deviation: float) -> float:
    """Return the highest ordinary value: the median and some robust standard deviations."""
    middle = statistics.median(values)
    deviation = _MAD_TO_DEVIATION * statistics.median(abs(value - middle) for value in values)
    return middle + factor * max(deviation, least_deviation)


def divergence(step: int, verdict: Verdict) -> TrainingDivergedError:
    """Return the error that ends a run whose guard says stop.

    Args:
        step: Number of the step.
        verdict: What the guard said.

    Returns:
        The error to raise.
    """
    return TrainingDivergedError(
        "the loss or its gradient went wrong",
        where=f"step {step}",
        given=verdict.reason,
        hint="lower train.optimizer.learning_rate, or lengthen train.schedule.warmup; "
        "train.guard decides what is skipped",
    )

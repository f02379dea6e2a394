"""Evaluation during training, and stopping early because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hunmin.core.logs import get_logger
from hunmin.training.callbacks.callback import Callback
from hunmin.training.spec import EarlyStopSpec

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult

logger = get_logger(__name__)


class Evaluator(Callback):
    """Score held-out text every so many steps, and at the last one.

    Args:
        every: Steps between evaluations.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def after_step(self, result: StepResult) -> None:
        """Evaluate when it is time."""
        if result.step % self._every == 0 or result.step == self.trainer.plan.num_steps:
            self.trainer.evaluate()


class EarlyStop(Callback):
    """Ask for a stop when the held-out loss has not improved for some evaluations.

    Args:
        spec: Patience and the least improvement that counts.
    """

    def __init__(self, spec: EarlyStopSpec) -> None:
        self._spec = spec
        self._best: float | None = None
        self._without_improvement = 0

    def before_training(self) -> None:
        """A run that had stopped when it was killed stops again."""
        self._stop_if_patience_is_over()

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Count evaluations without improvement."""
        if self._best is None or result.loss < self._best - self._spec.min_improvement:
            self._best, self._without_improvement = result.loss, 0
            return
        self._without_improvement += 1
        self._stop_if_patience_is_over()

    def _stop_if_patience_is_over(self) -> None:
        if self._without_improvement >= self._spec.patience:
            self.trainer.request_stop(
                f"no improvement in {self._without_improvement} evaluations in a row"
            )

    def state(self) -> dict[str, Any]:
        """Return the best loss and the count."""
        return {"best": self._best, "without_improvement": self._without_improvement}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back the best loss and the count."""
        self._best = state["best"]
        self._without_improvement = state["without_improvement"]

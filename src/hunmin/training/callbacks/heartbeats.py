"""Where this rank stands, for the others to see when something hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hunmin.parallel.watch.heartbeat import Heartbeat
from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult


class HeartbeatMarks(Callback):
    """Mark the heartbeat when a step or what follows it begins.

    Args:
        heartbeat: Of this rank.

    Note:
        Give it first: what other callbacks do then counts as "between steps".
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def before_step(self) -> None:
        """A step begins."""
        self._heartbeat.mark(self.trainer.state.step + 1, "forward and backward")

    def after_step(self, result: StepResult) -> None:
        """Evaluation and checkpoint may follow."""
        self._heartbeat.mark(result.step, "evaluation or checkpoint after the step")

    def after_evaluation(self, result: EvaluationResult) -> None:
        """A checkpoint may follow."""
        self._heartbeat.mark(result.step, "checkpoint after the step")

    def after_training(self) -> None:
        """The last checkpoint and the model folder follow."""
        self._heartbeat.mark(self.trainer.state.step, "end of the training")

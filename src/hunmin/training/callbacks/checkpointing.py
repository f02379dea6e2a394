"""Saving checkpoints, keeping the newest and the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult


class Checkpointer(Callback):
    """Save every so many steps, at each new best evaluation, at the end, and when asked to stop.

    Args:
        every: Steps between checkpoints; None for only the best and the last.
        keep: Newest checkpoints to keep.
        keep_best: Whether a new best evaluation is saved too.

    Note:
        Give it after the Evaluator, so that a checkpoint holds the evaluation of its step.
    """

    def __init__(self, every: int | None, keep: int, *, keep_best: bool) -> None:
        self._every = every
        self._keep = keep
        self._keep_best = keep_best
        self._new_best = False

    def after_training(self) -> None:
        """Save the last step if it is not: a stop may be asked for at any moment."""
        trainer = self.trainer
        if trainer.state.step > 0 and trainer.checkpoints.steps()[-1:] != [trainer.state.step]:
            trainer.save_checkpoint()

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Remember whether this evaluation is the best so far."""
        self._new_best = self._keep_best and self.trainer.state.best_step == result.step

    def after_step(self, result: StepResult) -> None:
        """Save when it is time."""
        on_schedule = self._every is not None and result.step % self._every == 0
        is_last = result.step == self.trainer.plan.num_steps or self.trainer.stop_reason is not None
        if on_schedule or is_last or self._new_best:
            self.trainer.save_checkpoint()
            self.trainer.checkpoints.prune(keep=self._keep, best_step=self.trainer.state.best_step)
        self._new_best = False

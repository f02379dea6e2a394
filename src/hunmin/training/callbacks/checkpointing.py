"""Saving checkpoints, keeping the newest and the best; copies in memory between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hunmin.core.logs import get_logger
from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult

logger = get_logger(__name__)


class Checkpointer(Callback):
    """Save every so many steps, at each new best evaluation, at the end, and when asked to stop.

    Args:
        every: Steps between checkpoints; None for only the best and the last.
        keep: Newest checkpoints to keep.
        keep_best: Whether a new best evaluation is saved too.

    Note:
        Give it after the Evaluator, so that a checkpoint holds the evaluation of its step. What
        became of a checkpoint that is written beside the training is asked after every step: a
        failure ends the run on all ranks.
    """

    def __init__(self, every: int | None, keep: int, *, keep_best: bool) -> None:
        self._every = every
        self._keep = keep
        self._keep_best = keep_best
        self._new_best = False
        self.blocking_seconds = 0.0
        """How long training stood still for checkpoints so far."""

    def after_training(self) -> None:
        """Save the last step if it is not: a stop may be asked for at any moment."""
        trainer = self.trainer
        if trainer.state.step > 0 and trainer.checkpoints.newest_step != trainer.state.step:
            trainer.save_checkpoint()
        self._collect(wait=True)

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Remember whether this evaluation is the best so far."""
        self._new_best = self._keep_best and self.trainer.state.best_step == result.step

    def after_step(self, result: StepResult) -> None:
        """Save when it is time."""
        self._collect(wait=False)
        on_schedule = self._every is not None and result.step % self._every == 0
        is_last = result.step == self.trainer.plan.num_steps or self.trainer.stop_reason is not None
        if on_schedule or is_last or self._new_best:
            self.trainer.save_checkpoint()
            self._collect(wait=False)
        self._new_best = False

    def before_rollback(self) -> None:
        """The checkpoint being written is one to go back to."""
        self._collect(wait=True)

    def on_error(self, error: BaseException) -> None:
        """Let the checkpoint being written come to its end."""
        self.trainer.checkpoints.abandon()

    def _collect(self, *, wait: bool) -> None:
        """Tell of checkpoints that became safe, and only then delete older ones."""
        trainer = self.trainer
        for saved in trainer.checkpoints.collect(wait=wait):
            self.blocking_seconds += saved.blocking_seconds
            logger.info(
                "checkpoint of step %d: safe after %.1f s, training stood still for %.1f s",
                saved.step,
                saved.total_seconds,
                saved.blocking_seconds,
            )
            for callback in trainer.callbacks:
                callback.after_checkpoint(saved.path)
            trainer.checkpoints.prune(keep=self._keep, best_step=trainer.state.best_step)


class MemoryCopier(Callback):
    """Copy the state into the memory of the nodes every so many steps.

    Args:
        every: Steps between copies.

    Note:
        Give it after the Evaluator and the Checkpointer. All ranks copy after the same steps. At
        the end of a run the memory is given back; after an error the copies stay: the run goes on
        from them.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self.blocking_seconds = 0.0
        """How long training stood still for copies so far."""

    def after_step(self, result: StepResult) -> None:
        """Copy when it is time."""
        if result.step % self._every == 0:
            self.blocking_seconds += self.trainer.copy_to_memory()

    def after_training(self) -> None:
        """What the copies are for is done; the last step is on disk."""
        self.trainer.forget_memory()

"""The life cycle that callbacks hook into (after OLMo-core's)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult, Trainer


class Callback:
    """Base of all callbacks: override what you need, the rest does nothing.

    Note:
        Callbacks are called in the order they were given; every rank calls them.
        What `state` returns is saved in checkpoints and given back to `load_state`.
    """

    trainer: Trainer
    """The running trainer; set before `before_training`."""

    @property
    def name(self) -> str:
        """Key of this callback's state in a checkpoint."""
        return type(self).__name__

    def before_training(self) -> None:
        """Everything is loaded; the first step of this sitting comes next."""

    def before_step(self) -> None:
        """A step is about to start."""

    def after_step(self, result: StepResult) -> None:
        """A step is done and counted in `trainer.state`."""

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Held-out text was scored."""

    def before_rollback(self) -> None:
        """The guard of the loss sends the run back to its last checkpoint."""

    def after_checkpoint(self, path: Path) -> None:
        """A checkpoint is safe on disk."""

    def after_training(self) -> None:
        """The last step is done, or a callback asked to stop."""

    def on_error(self, error: BaseException) -> None:
        """An exception ends the run."""

    def close(self) -> None:
        """Always called last."""

    def state(self) -> dict[str, Any]:
        """Return what must survive a restart, as a JSON value."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""

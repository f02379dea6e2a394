"""What a person sees while training: a bar, or a line every 30 seconds."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from hunmin.core.progress import ProgressBar, progress
from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult


class ConsoleProgress(Callback):
    """Show tokens per second, loss, held-out bits per byte and the time left."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar: ProgressBar | None = None
        self._held_out: dict[str, str] = {}

    def before_training(self) -> None:
        """Draw the bar where the run stands."""
        plan, state = self.trainer.plan, self.trainer.state
        bar = progress("training", total=plan.total_tokens, unit="tokens", start=state.tokens)
        self._bar = self._stack.enter_context(bar)

    def after_step(self, result: StepResult) -> None:
        """Move the bar."""
        if self._bar is not None:
            step = f"{result.step}/{self.trainer.plan.num_steps}"
            values = {"step": step, "loss": f"{result.loss:.3f}", "mfu": f"{result.mfu:.0%}"}
            self._bar.advance(self.trainer.plan.tokens_per_step, **values, **self._held_out)

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Show the newest held-out score."""
        self._held_out = {"held-out": f"{result.bits_per_byte:.3f} bits/byte"}

    def close(self) -> None:
        """Take the bar away."""
        self._stack.close()
        self._bar = None

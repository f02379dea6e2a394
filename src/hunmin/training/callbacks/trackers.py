"""Metrics to TensorBoard or Weights & Biases."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.extras import require
from hunmin.core.logs import rank
from hunmin.training.callbacks.callback import Callback
from hunmin.training.spec import TrackerSpec

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult


class Tracker(Callback):
    """Send every number of a step or an evaluation to `send`; rank 0 only."""

    def send(self, group: str, step: int, values: dict[str, float]) -> None:
        """Send numbers of one step."""
        raise NotImplementedError

    def _send(self, group: str, record: dict[str, Any]) -> None:
        numbers = {k: float(v) for k, v in record.items() if isinstance(v, int | float)}
        if rank() == 0:
            self.send(group, int(numbers.pop("step")), numbers)

    def after_step(self, result: StepResult) -> None:
        """Send the step's metrics."""
        self._send("train", asdict(result))

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Send the scores."""
        self._send("validation", asdict(result))


class TensorBoardTracker(Tracker):
    """Write TensorBoard event files.

    Args:
        folder: Where the event files go.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", extra="track")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def send(self, group: str, step: int, values: dict[str, float]) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()


class WandbTracker(Tracker):
    """Send to Weights & Biases.

    Args:
        folder: Where its local files go.
        project: Name of the project there.
    """

    def __init__(self, folder: Path, project: str) -> None:
        self._wandb = require("wandb", extra="track")
        self._folder = folder
        self._project = project
        self._run: Any = None

    def before_training(self) -> None:
        """Open the run with the facts of the trainer as its configuration."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=self._project, dir=str(self._folder), config=self.trainer.facts
        )

    def send(self, group: str, step: int, values: dict[str, float]) -> None:
        """Log the numbers."""
        self._run.log({f"{group}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Finish the run."""
        if self._run is not None:
            self._run.finish()


def build_tracker(spec: TrackerSpec, run_folder: Path) -> Tracker:
    """Return the tracker that a recipe names."""
    folder = run_folder / spec.kind
    if spec.kind == "tensorboard":
        return TensorBoardTracker(folder)
    return WandbTracker(folder, spec.project)

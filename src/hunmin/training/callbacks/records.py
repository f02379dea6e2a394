"""metrics.jsonl: one JSON object a line, the source of every curve."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hunmin.core.logs import rank
from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult


class MetricsRecorder(Callback):
    """Append step and evaluation records to metrics.jsonl.

    Args:
        path: The file; records of earlier sittings in it are kept.
        every: Steps between records; the last step is always recorded.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path = path
        self._every = every
        self._file: IO[str] | None = None

    def write(self, record: dict[str, Any]) -> None:
        """Append a record; on other ranks than the first this does nothing."""
        if self._file is not None:
            self._file.write(json.dumps(_without_nan(record)) + "\n")
            self._file.flush()

    def before_training(self) -> None:
        """Open the file and say where this sitting starts."""
        if rank() == 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _end_half_written_line(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        facts = {"resumed_step": self.trainer.state.step, **self.trainer.facts}
        self.write({"event": "start", **facts})

    def after_step(self, result: StepResult) -> None:
        """Record every so many steps, and the last one."""
        if result.step % self._every == 0 or result.step == self.trainer.plan.num_steps:
            self.write({"event": "step", **asdict(result)})

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Record the scores."""
        self.write({"event": "evaluation", **asdict(result)})

    def after_checkpoint(self, path: Path) -> None:
        """Record that it is safe."""
        step = int(path.name.removeprefix("step-"))
        self.write({"event": "checkpoint", "step": step, "path": path.name})

    def on_error(self, error: BaseException) -> None:
        """Record what ended the run."""
        self.write({"event": "error", "step": self.trainer.state.step, "error": repr(error)})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _without_nan(record: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for what is not a number."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


def _end_half_written_line(path: Path) -> None:
    """A kill can cut the last line; end it so that the next record starts a new one."""
    if path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")

"""Effective training time, over all sittings of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.atomic import explain_disk_full
from hunmin.core.logs import get_logger, rank
from hunmin.training.callbacks.callback import Callback
from hunmin.training.goodput import FILE_NAME, GoodputReport, read_goodput

if TYPE_CHECKING:
    from hunmin.training.loop import EvaluationResult, StepResult

logger = get_logger(__name__)


class GoodputRecorder(Callback):
    """Append to goodput.jsonl where the time goes, and tell at the end.

    Args:
        folder: Where the file goes: the folder that is kept when a run is started again.
        started: When this sitting began, seconds since 1970.
        blocked_seconds: How long training has stood still for checkpoints in this sitting.
        write: Called with the final report as a metrics record.
        every: Seconds between records; what a kill leaves unrecorded counts as down time.

    Note:
        Give it first of all callbacks: what lies between the end of a step and the result of an
        evaluation is then the evaluation.
    """

    def __init__(
        self,
        folder: Path,
        *,
        started: float,
        blocked_seconds: Callable[[], float],
        write: Callable[[dict[str, Any]], None],
        every: float = 10.0,
    ) -> None:
        self._path = folder / FILE_NAME
        self._started = started
        self._blocked_seconds = blocked_seconds
        self._write_metrics = write
        self._every = every
        self._spent = {"startup": 0.0, "evaluation": 0.0, "checkpoint": 0.0}
        self._slowest = {"step": 0.0, "evaluation": 0.0, "checkpoint": 0.0}
        self._step, self._step_seconds = 0, 0.0
        self._step_ended = started
        self._written = started
        self._has_begun = False

    def before_training(self) -> None:
        """Say where this sitting starts; all until now was start-up."""
        now = time.time()
        self._step, self._step_seconds = self.trainer.state.step, self.trainer.state.seconds
        self._has_begun = True
        self._append({"event": "start", "time": self._started, **self._position()})
        self._spent["startup"] = now - self._started
        self._record("progress")

    def after_step(self, result: StepResult) -> None:
        """Count a step; one that is done again after a rollback shows as a loss."""
        went_back = result.step <= self._step
        if went_back:
            self._record("progress")
        else:
            self._note_slowest("step", result.seconds - self._step_seconds)
        self._step, self._step_seconds = result.step, result.seconds
        self._note_checkpoints()
        self._step_ended = time.time()
        if went_back or self._step_ended - self._written >= self._every:
            self._record("progress")

    def after_evaluation(self, result: EvaluationResult) -> None:
        """Count the evaluation that followed the step."""
        now = time.time()
        self._spent["evaluation"] += now - self._step_ended
        self._note_slowest("evaluation", now - self._step_ended)
        self._step_ended = now

    def after_checkpoint(self, path: Path) -> None:
        """Record how much a restart would go back to."""
        self._note_checkpoints()
        self._record("progress")

    def close(self) -> None:
        """Record the end and tell where the time went."""
        if not self._has_begun or rank() != 0:
            return
        self._note_checkpoints()
        try:
            self._record("end")
            report = self.report()
        except OSError as error:  # what ended the run matters more
            logger.warning("cannot record where the time went:\n%s", error)
            return
        self._write_metrics({"event": "goodput", "step": self._step, **report.as_dict()})
        logger.info("%s", report.describe())

    def report(self) -> GoodputReport:
        """Return where the time of the run went so far, over all sittings."""
        return read_goodput(self._path.parent)

    def _position(self) -> dict[str, Any]:
        return {"step": self._step, "step_seconds": round(self._step_seconds, 3)}

    def _note_checkpoints(self) -> None:
        blocked = self._blocked_seconds()
        self._note_slowest("checkpoint", blocked - self._spent["checkpoint"])
        self._spent["checkpoint"] = blocked

    def _note_slowest(self, name: str, seconds: float) -> None:
        self._slowest[name] = max(self._slowest[name], seconds)

    def _record(self, event: str) -> None:
        self._written = time.time()
        spent = {name: round(seconds, 3) for name, seconds in self._spent.items()}
        slowest = {name: round(seconds, 3) for name, seconds in self._slowest.items()}
        when = {"event": event, "time": round(self._written, 3)}
        self._append({**when, **self._position(), **spent, "slowest": slowest})

    def _append(self, record: dict[str, Any]) -> None:
        if rank() != 0:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with explain_disk_full(self._path), self._path.open("a", encoding="utf-8") as file:
            # A kill can have cut the line before; an empty one does no harm.
            file.write(("\n" if record["event"] == "start" else "") + json.dumps(record) + "\n")

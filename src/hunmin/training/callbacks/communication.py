"""What collectives cost, in metrics.jsonl and, when asked, in a file for each rank."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hunmin.parallel.collectives.meter import CollectiveTotals, CommunicationMeter
from hunmin.parallel.world import World
from hunmin.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from hunmin.training.loop import StepResult

_SUMS = ("calls", "message_bytes", "sent_bytes", "seconds", "exposed_seconds")


class CommunicationRecorder(Callback):
    """Record bytes and seconds a step, by collective and group, of the steps since the last record.

    Args:
        meter: Counts this rank's collectives; nobody else may take from it.
        write: Called with a metrics record; what the first rank writes is kept.
        every: Steps between records; the last step is always recorded.
        own_file: Where this rank keeps its records besides; None for nowhere.

    Note:
        Reads the meter after every step. Give it before callbacks that evaluate, so that a step's
        collectives are those of the step, and before whoever asks for `waited_seconds`.
    """

    def __init__(
        self,
        meter: CommunicationMeter,
        write: Callable[[dict[str, Any]], None],
        *,
        every: int,
        own_file: Path | None = None,
    ) -> None:
        self._meter = meter
        self._write = write
        self._every = every
        self._own_path = own_file
        self._own_file: IO[str] | None = None
        self._sums: dict[str, dict[str, float]] = {}
        self._steps = 0
        self._step_seconds = 0.0
        self._seconds_before = 0.0
        self._waited = 0.0

    def waited_seconds(self) -> float:
        """Return how long this rank's computation has stood still for collectives so far."""
        return self._waited

    def before_training(self) -> None:
        """Open this rank's file."""
        self._seconds_before = self.trainer.state.seconds
        if self._own_path is not None:
            self._own_path.parent.mkdir(parents=True, exist_ok=True)
            self._own_file = self._own_path.open("a", encoding="utf-8")

    def before_step(self) -> None:
        """Forget what evaluation and checkpoints communicated since the last step."""
        self._meter.take()

    def after_step(self, result: StepResult) -> None:
        """Add up, and record when it is time."""
        self._add(self._meter.take())
        self._steps += 1
        # After a rollback the clock of the run stands earlier.
        self._step_seconds += max(0.0, result.seconds - self._seconds_before)
        self._seconds_before = result.seconds
        if result.step % self._every == 0 or result.step == self.trainer.plan.num_steps:
            self._record(result.step)

    def close(self) -> None:
        """Close this rank's file."""
        if self._own_file is not None:
            self._own_file.close()
            self._own_file = None

    def _add(self, totals: Mapping[str, CollectiveTotals]) -> None:
        for key, total in totals.items():
            sums = self._sums.setdefault(key, dict.fromkeys(_SUMS, 0.0))
            for name in _SUMS:
                sums[name] += getattr(total, name)
            self._waited += total.exposed_seconds

    def _record(self, step: int) -> None:
        record = communication_record(step, self._steps, self._step_seconds, self._sums)
        self._write(record)
        if self._own_file is not None:
            self._own_file.write(json.dumps(record) + "\n")
            self._own_file.flush()
        self._sums, self._steps, self._step_seconds = {}, 0, 0.0


def communication_record(
    step: int, num_steps: int, step_seconds: float, sums: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Return the record of some steps, as means a step; a pure function.

    Args:
        step: The last of them.
        num_steps: How many.
        step_seconds: Wall time of all of them.
        sums: By `kind/group`: calls, bytes and seconds of all of them.

    Returns:
        A metrics record. `compute_seconds` is the time not spent standing still for collectives.
    """
    means = {
        key: {name: round(value / num_steps, 6) for name, value in values.items()}
        for key, values in sums.items()
    }
    exposed = sum(values["exposed_seconds"] for values in means.values())
    return {
        "event": "communication",
        "step": step,
        "steps": num_steps,
        "sent_bytes": round(sum(values["sent_bytes"] for values in means.values())),
        "seconds": round(sum(values["seconds"] for values in means.values()), 6),
        "exposed_seconds": round(exposed, 6),
        "compute_seconds": round(max(0.0, step_seconds / num_steps - exposed), 6),
        "collectives": means,
    }


def rank_metrics_file(folder: Path, world: World) -> Path:
    """Return the file of a rank's own records, beside metrics.jsonl."""
    return folder / f"metrics-rank-{world.rank:05d}.jsonl"

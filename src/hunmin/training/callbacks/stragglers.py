"""Who keeps the others waiting: ranks that compute longer than the rest, window after window."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hunmin.core.logs import get_logger
from hunmin.parallel.watch.agreement import Place, gather_places
from hunmin.parallel.world import World
from hunmin.training.callbacks.callback import Callback
from hunmin.training.watch_spec import StragglerSpec

if TYPE_CHECKING:
    from hunmin.training.loop import StepResult

logger = get_logger(__name__)


class StragglerJudge:
    """Counts slow windows in a row.

    Args:
        spec: When a rank counts as slow.
        num_ranks: How many there are.
    """

    def __init__(self, spec: StragglerSpec, num_ranks: int) -> None:
        self._spec = spec
        self._slow_windows = [0] * num_ranks

    def judge(self, seconds: Sequence[float]) -> list[int]:
        """Judge one window.

        Args:
            seconds: Computing time of each rank.

        Returns:
            Ranks that have been slow for as many windows in a row as the spec says, slowest first.
        """
        limit = self._spec.factor * statistics.median(seconds)
        for rank, taken in enumerate(seconds):
            self._slow_windows[rank] = self._slow_windows[rank] + 1 if taken > limit else 0
        slow = [r for r, count in enumerate(self._slow_windows) if count >= self._spec.windows]
        return sorted(slow, key=lambda rank: -seconds[rank])


class StragglerWatch(Callback):
    """Compare the ranks' computing times every so many steps, record them and name who is slow.

    Args:
        spec: When a rank counts as slow.
        world: All ranks.
        waited_seconds: How long this rank has stood still for collectives so far.
        write: Called with a metrics record; what the first rank writes is kept.

    Note:
        Collective at the end of each window. In a step all ranks take equally long; only what a
        rank does not wait tells a slow one. Reading data counts as computing.
    """

    def __init__(
        self,
        spec: StragglerSpec,
        world: World,
        *,
        waited_seconds: Callable[[], float],
        write: Callable[[dict[str, Any]], None],
    ) -> None:
        self._every = spec.every
        self._world = world
        self._waited_seconds = waited_seconds
        self._write = write
        self._judge = StragglerJudge(spec, world.size)
        self._places: list[Place] = []
        self._named: set[int] = set()
        self._steps = 0
        self._seconds, self._seconds_before, self._waited_before = 0.0, 0.0, 0.0

    def before_training(self) -> None:
        """Learn where each rank runs."""
        self._places = gather_places(self._world)
        self._seconds_before = self.trainer.state.seconds
        self._waited_before = self._waited_seconds()

    def after_step(self, result: StepResult) -> None:
        """Add up, and compare at the end of a window."""
        self._seconds += max(0.0, result.seconds - self._seconds_before)
        self._seconds_before = result.seconds
        self._steps += 1
        if self._steps == self._every:
            self._compare(result.step)

    def _compare(self, step: int) -> None:
        waited = self._waited_seconds()
        computed = max(0.0, self._seconds - (waited - self._waited_before)) / self._steps
        seconds: list[float] = self._world.gather(computed)
        slow = self._judge.judge(seconds)
        self._write(straggler_record(step, seconds, slow, self._places))
        if self._world.is_first:
            self._tell(step, seconds, slow)
        self._named = set(slow)
        self._steps, self._seconds, self._waited_before = 0, 0.0, waited

    def _tell(self, step: int, seconds: Sequence[float], slow: Sequence[int]) -> None:
        median = statistics.median(seconds)
        for rank in slow:
            if rank not in self._named:
                logger.warning(
                    "step %d: rank %d on %s keeps the others waiting: it computes %.3g s a step, "
                    "the median is %.3g s",
                    step,
                    rank,
                    self._places[rank].name,
                    seconds[rank],
                    median,
                )


def straggler_record(
    step: int, seconds: Sequence[float], slow: Sequence[int], places: Sequence[Place]
) -> dict[str, Any]:
    """Return the record of a window; a pure function.

    Args:
        step: Its last step.
        seconds: Computing time a step of each rank.
        slow: Ranks that keep the others waiting.
        places: Where the ranks run.

    Returns:
        A metrics record.
    """
    slowest = max(range(len(seconds)), key=lambda rank: seconds[rank])
    return {
        "event": "ranks",
        "step": step,
        "median_compute_seconds": round(statistics.median(seconds), 6),
        "slowest_compute_seconds": round(seconds[slowest], 6),
        "slowest_rank": slowest,
        "slowest_node": places[slowest].name,
        "stragglers": [{"rank": rank, "node": places[rank].name} for rank in slow],
    }

"""Results of tasks done elsewhere: in the order of the tasks, errors as they were raised."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hunmin.core.errors import InputError, StageFailedError

Task = TypeVar("Task")
Result = TypeVar("Result")
Handle = TypeVar("Handle")

AHEAD_PER_WORKER = 3
"""Tasks handed out for each worker before their results are taken."""

PROBLEM = "a worker process died"
HINT = (
    "the kernel's log names the process if memory ran out: use fewer workers (num_workers) or "
    "smaller shards; what is finished is kept, run it again to go on"
)


@dataclass(frozen=True)
class Failure:
    """What a task raised, to be raised again where its result is read."""

    error: Exception


def attempt(work: Callable[[Task], Result], task: Task) -> Result | Failure:
    """Do a task in a worker; an error is a result, so that no engine wraps it in its own.

    Args:
        work: The function.
        task: Its argument.

    Returns:
        What the function returned, or what it raised.
    """
    try:
        return work(task)
    except Exception as error:  # noqa: BLE001 - raised again by `in_order`
        error.add_note(f"in a worker:\n{traceback.format_exc()}")
        return Failure(error)


@dataclass
class Ordered(Generic[Task, Handle]):
    """Hands tasks out and reads their results in order, a bounded number ahead."""

    submit: Callable[[Task], Handle]
    """Starts a task somewhere; returns at once."""
    fetch: Callable[[Handle], Any]
    """Waits for the result of `attempt`."""
    max_ahead: int
    """Tasks under way at once."""

    def __post_init__(self) -> None:
        self.waiting: deque[Handle] = deque()

    def results(self, tasks: Iterable[Task]) -> Iterator[Any]:
        """Yield one result for each task, in order; raise what a task raised."""
        for task in tasks:
            self.waiting.append(self.submit(task))
            if len(self.waiting) >= self.max_ahead:
                yield self._next()
        while self.waiting:
            yield self._next()

    def _next(self) -> Any:
        result = self.fetch(self.waiting.popleft())
        if isinstance(result, Failure):
            raise result.error
        return result


def dead_worker() -> StageFailedError:
    """Return the error that says that a worker process died."""
    return StageFailedError(PROBLEM, hint=HINT)


def check_workers(num_workers: int) -> int:
    """Return a number of workers.

    Args:
        num_workers: What was asked for.

    Returns:
        The same.

    Raises:
        InputError: It is less than one.
    """
    if num_workers < 1:
        raise InputError("no worker", given=num_workers, allowed="num_workers of 1 or more")
    return num_workers

"""One thread that runs the model, and the queue in front of it: first come, first served."""

from __future__ import annotations

import logging
import threading
from collections import deque

import torch

from hunmin.core.errors import HunminError
from hunmin.core.logs import get_logger
from hunmin.models.devices import explain_out_of_memory
from hunmin.serving.errors import EngineBusyError, EngineClosedError
from hunmin.serving.runner import Runner
from hunmin.serving.sequence import Sequence

logger: logging.Logger = get_logger(__name__)


class Scheduler:
    """Feeds a runner from a bounded queue, joining new texts with those that are running.

    Args:
        runner: Used by this object's thread alone.
        max_waiting: A request is refused while this many texts wait; a single request may be
            larger than that.
    """

    def __init__(self, runner: Runner, *, max_waiting: int) -> None:
        self._runner = runner
        self._max_waiting = max_waiting
        self._waiting: deque[Sequence] = deque()
        self._started: list[Sequence] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="hunmin-engine", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Number of texts that wait for a free row."""
        with self._changed:
            return sum(not sequence.is_over for sequence in self._waiting)

    @property
    def num_running(self) -> int:
        """Number of texts that are being continued."""
        return sum(not sequence.is_over for sequence in list(self._started))

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._is_closing

    def add(self, sequences: list[Sequence]) -> None:
        """Queue the texts of one request, all or none.

        Args:
            sequences: The texts, in the order in which they are to be started.

        Raises:
            EngineBusyError: Too many texts wait already.
            EngineClosedError: The engine was closed.
        """
        with self._changed:
            num_waiting = self.num_waiting
            if not self.is_alive:
                raise EngineClosedError("the engine was closed", hint="start it again")
            if num_waiting >= self._max_waiting:
                raise EngineBusyError(
                    "too many requests are waiting",
                    given=f"{num_waiting} waiting texts",
                    allowed=f"fewer than {self._max_waiting}",
                    hint="try again in a few seconds",
                )
            self._waiting.extend(sequences)
            self._changed.notify()

    def wake(self) -> None:
        """Make the thread look at cancelled texts."""
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Stop the thread; texts that are not done end with an error."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        with torch.inference_mode():
            while self._wait_for_work():
                try:
                    with explain_out_of_memory("use fewer parallel texts or shorter prompts"):
                        self._turn()
                except Exception as error:  # noqa: BLE001 - the queue must outlive a failed batch
                    self._fail_started(_as_hunmin_error(error))
        self._fail_started(EngineClosedError("the engine was closed while this text was written"))

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self._waiting or self._started)
            if self._is_closing:
                self._started += self._waiting
                self._waiting.clear()
            return not self._is_closing

    def _turn(self) -> None:
        new = self._take_waiting()
        self._started += new
        self._runner.start(new)
        self._runner.step()
        self._started = [sequence for sequence in self._started if not sequence.is_over]

    def _take_waiting(self) -> list[Sequence]:
        with self._changed:
            still = deque(sequence for sequence in self._waiting if not sequence.is_over)
            taken = [still.popleft() for _ in range(min(self._runner.num_free, len(still)))]
            self._waiting = still
            return taken

    def _fail_started(self, error: HunminError) -> None:
        self._runner.clear()
        failed, self._started = self._started, []
        for sequence in failed:
            if not sequence.is_over:
                sequence.fail(error)


def _as_hunmin_error(error: Exception) -> HunminError:
    if isinstance(error, HunminError):
        return error
    logger.error("the model failed", exc_info=error)
    return HunminError(
        "the model failed while it wrote this text", given=f"{type(error).__name__}: {error}"
    )

"""Runs the stages of collectives in the order they were asked for, in the background if wanted.

A stage may start only when the one before has its data, and all ranks must start the collectives of
a group in the same order. On a CPU one thread takes the stages of asynchronous operations in turn,
and a synchronous one waits for those before it; on a GPU the order of a stream does both.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import timedelta

import torch
import torch.distributed as dist

Stages = Callable[[], None]


class StageRunner:
    """One line of collectives. Its thread or stream is made when first needed."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Stages, Future[None]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stream: torch.cuda.Stream | None = None
        self._last: Future[None] | None = None

    def run(
        self,
        stages: Stages,
        device: torch.device,
        *,
        async_op: bool = False,
        on_wait: Callable[[], None] = lambda: None,
    ) -> dist.Work | None:
        """Run stages after those that were asked for before.

        Args:
            stages: Calls blocking (on a GPU: stream-ordered) collectives.
            device: Where their tensors lie.
            async_op: Whether to return before they are done.
            on_wait: Called when somebody starts to wait for them.

        Returns:
            What to wait for, if asynchronous; the tensors must live until then.
        """
        if not async_op:
            if self._last is not None:
                wait([self._last])
                self._last = None
            stages()
            return None
        if device.type == "cuda":
            return self._run_on_stream(stages, on_wait)
        return self._run_in_thread(stages, on_wait)

    def _run_in_thread(self, stages: Stages, on_wait: Callable[[], None]) -> dist.Work:
        if self._thread is None:
            # A daemon: a rank that failed must end at once, so that its peers see it and end too.
            self._thread = threading.Thread(target=self._work, name="collectives", daemon=True)
            self._thread.start()
        self._last = future = Future[None]()
        self._tasks.put((_in_same_mode(stages), future))
        return ThreadWork(future, on_wait)

    def _work(self) -> None:
        while True:
            stages, future = self._tasks.get()
            try:
                stages()
            except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
                future.set_exception(error)
            else:
                future.set_result(None)

    def _run_on_stream(self, stages: Stages, on_wait: Callable[[], None]) -> dist.Work:
        if self._stream is None:
            self._stream = torch.cuda.Stream(priority=-1)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            stages()
            event = self._stream.record_event()
        return StreamWork(event, on_wait)


class ThreadWork(dist.Work):
    """Stages that a thread runs.

    Args:
        future: Set when they are done.
        on_wait: Called when somebody starts to wait.
    """

    def __init__(self, future: Future[None], on_wait: Callable[[], None]) -> None:
        super().__init__()
        self._future = future
        self._on_wait = on_wait

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Return when all stages are done.

        Args:
            timeout: After which to give up; without, the groups' own time-outs bound it.

        Returns:
            True.

        Raises:
            TimeoutError: They were not done in time. Errors of a stage are raised as they are.
        """
        self._on_wait()
        self._future.result(timeout.total_seconds() if timeout else None)
        return True

    def is_completed(self) -> bool:
        """Whether all stages are done."""
        return self._future.done()


class StreamWork(dist.Work):
    """Stages that a stream runs.

    Args:
        event: Recorded after them.
        on_wait: Called when somebody starts to wait.
    """

    def __init__(self, event: torch.cuda.Event, on_wait: Callable[[], None]) -> None:
        super().__init__()
        self._event = event
        self._on_wait = on_wait

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Let the current stream wait until all stages are done; the caller goes on.

        Args:
            timeout: Not used: the groups' own time-outs bound the wait.

        Returns:
            True.
        """
        self._on_wait()
        torch.cuda.current_stream().wait_event(self._event)
        return True

    def is_completed(self) -> bool:
        """Whether all stages are done."""
        return bool(self._event.query())


def _in_same_mode(stages: Stages) -> Stages:
    """Tensors made in inference mode can be written only there, and modes belong to threads."""
    is_inference = torch.is_inference_mode_enabled()

    def run() -> None:
        with torch.inference_mode(is_inference), torch.no_grad():
            stages()

    return run

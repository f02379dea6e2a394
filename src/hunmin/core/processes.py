"""Work spread over processes, with results in the order of the work."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from hunmin.core.errors import StageFailedError

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD_PER_WORKER = 3


def map_in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    num_workers: int,
    *,
    problem: str,
    hint: str,
) -> Generator[Result]:
    """Apply a function to items, in this process or in several.

    Args:
        work: Sent to each process once, pickled with all that belongs to it.
        items: Read as results are taken, three a worker ahead.
        num_workers: Processes; 1 works in this one.
        problem: What the error says when a process dies.
        hint: What it advises.

    Yields:
        One result for each item, in order, whatever the number of processes.

    Raises:
        StageFailedError: A worker process died.

    Note:
        Ctrl-C reaches only this process, which lets the workers finish what they are at. If this
        process is killed, they end by themselves.
    """
    if num_workers == 1:
        yield from map(work, items)
        return
    pool = _new_pool(num_workers, work)
    try:
        yield from _in_order(pool, _work_in_worker, items, num_workers * _AHEAD_PER_WORKER)
    except BrokenProcessPool as error:
        raise StageFailedError(problem, hint=hint) from error
    finally:
        pool.shutdown(cancel_futures=True)


class Workers:
    """Processes that stay for several kinds of work, and keep what they have loaded.

    Args:
        num_workers: Processes, started with the first work; 1 works in this one.
        problem: What the error says when a process dies.
        hint: What it advises.
    """

    def __init__(self, num_workers: int, *, problem: str, hint: str) -> None:
        self._num_workers, self._problem, self._hint = num_workers, problem, hint
        self._pool: ProcessPoolExecutor | None = None

    def map_in_order(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result]:
        """Apply a function to items; see `map_in_order`.

        Args:
            work: Sent with each item, so it should be small beside the work.
            items: Read as results are taken, three a worker ahead.

        Yields:
            One result for each item, in order.

        Raises:
            StageFailedError: A worker process died; the next call starts new ones.
        """
        if self._num_workers == 1:
            yield from map(work, items)
            return
        if self._pool is None:
            self._pool = _new_pool(self._num_workers, None)
        try:
            yield from _in_order(self._pool, work, items, self._num_workers * _AHEAD_PER_WORKER)
        except BrokenProcessPool as error:
            self.close()
            raise StageFailedError(self._problem, hint=self._hint) from error

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _new_pool(num_workers: int, work: Callable[[Any], Any] | None) -> ProcessPoolExecutor:
    # Not fork: this process may hold threads and locks of other libraries.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker, initargs=(work,)
    )


def _in_order(
    pool: ProcessPoolExecutor,
    work: Callable[[Any], Any],
    items: Iterable[Any],
    max_ahead: int,
) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= max_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_work: Callable[[Any], Any] | None


def _start_worker(work: Callable[[Any], Any] | None) -> None:
    global _work
    _work = work
    # Ctrl-C reaches every process of the terminal; the parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _work_in_worker(item: Any) -> Any:
    if _work is None:
        raise RuntimeError("this process was started without work of its own")
    return _work(item)

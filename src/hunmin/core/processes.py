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
    # Not fork: this process may hold threads and locks of other libraries.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker, initargs=(work,)
    )
    try:
        yield from _in_order(pool, items, num_workers * _AHEAD_PER_WORKER)
    except BrokenProcessPool as error:
        raise StageFailedError(problem, hint=hint) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, items: Iterable[Any], max_ahead: int) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(_work_in_worker, item))
        if len(waiting) >= max_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_work: Callable[[Any], Any]


def _start_worker(work: Callable[[Any], Any]) -> None:
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
    return _work(item)

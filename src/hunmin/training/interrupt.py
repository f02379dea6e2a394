"""Ctrl-C and SIGTERM while training: finish the step, save, then end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stop_on_signal(request_stop: Callable[[str], None]) -> Iterator[None]:
    """Ask for a stop at the first Ctrl-C or SIGTERM; the second one interrupts at once.

    Args:
        request_stop: Called with the reason.

    Yields:
        Nothing.

    Note:
        Python delivers signals to the main thread only; elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        request_stop(f"{signal.Signals(number).name} received; once more to end at once")
        for name in before:
            signal.signal(name, before[name])

    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in before:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)

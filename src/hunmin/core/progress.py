"""Progress of long work: a bar on a terminal, a line every 30 seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

from hunmin.core.logs import get_logger, rank
from hunmin.core.units import format_bytes, format_count, format_duration

LINE_INTERVAL_SECONDS = 30.0
logger = get_logger(__name__)


class ProgressBar(Protocol):
    """What the work tells about itself."""

    def advance(self, amount: float = 1, **values: object) -> None:
        """Say that `amount` more units are done; `values` are shown beside the bar."""


class _Clock:
    """Amount done, rate and time left."""

    def __init__(self, title: str, total: float | None, unit: str, start: float) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = start
        self._start = start
        self._started = time.monotonic()

    def rate(self) -> float:
        return (self.done - self._start) / max(time.monotonic() - self._started, 1e-9)

    def amount(self, value: float) -> str:
        return format_bytes(value) if self.unit == "B" else f"{format_count(value)} {self.unit}"

    def seconds_left(self) -> float | None:
        rate = self.rate()
        return None if self.total is None or rate <= 0 else (self.total - self.done) / rate

    def line(self, values: dict[str, object]) -> str:
        share = f" of {self.amount(self.total)}" if self.total is not None else ""
        parts = [f"{self.title}: {self.amount(self.done)}{share}", f"{self.amount(self.rate())}/s"]
        parts += [f"{name} {value}" for name, value in values.items()]
        left = self.seconds_left()
        if left is not None and self.total is not None and self.done < self.total:
            parts.append(f"{format_duration(left)} left")
        return ", ".join(parts)


class _Lines:
    """Progress for logs."""

    def __init__(self, clock: _Clock) -> None:
        self._clock = clock
        self._last = time.monotonic()
        self._values: dict[str, object] = {}

    def advance(self, amount: float = 1, **values: object) -> None:
        self._clock.done += amount
        self._values.update(values)
        if time.monotonic() - self._last >= LINE_INTERVAL_SECONDS:
            self._last = time.monotonic()
            logger.info(self._clock.line(self._values))

    def finish(self) -> None:
        logger.info(self._clock.line(self._values))


class _Bar:
    """Progress for a terminal, drawn by rich."""

    def __init__(self, clock: _Clock, bar: Any, task: Any) -> None:
        self._clock, self._bar, self._task = clock, bar, task
        self._values: dict[str, object] = {}

    def advance(self, amount: float = 1, **values: object) -> None:
        self._clock.done += amount
        self._values.update(values)
        shown = [f"{self._clock.amount(self._clock.rate())}/s"]
        shown += [f"{name} {value}" for name, value in self._values.items()]
        self._bar.update(self._task, advance=amount, values="  ".join(shown))


@contextlib.contextmanager
def progress(
    title: str, *, total: float | None = None, unit: str = "items", start: float = 0
) -> Iterator[ProgressBar]:
    """Show how far a piece of long work is.

    Args:
        title: What is being done, a few words.
        total: Units of the whole work; None if unknown.
        unit: Name of a unit; "B" is shown as kB, MB, GB.
        start: Units already done before, when work is resumed; not counted in the rate.

    Yields:
        An object whose `advance` the work calls.

    Note:
        Drawn on stderr by rank 0 only: a bar on a terminal, a log line every 30 s elsewhere.
    """
    clock = _Clock(title, total, unit, start)
    if sys.stderr.isatty() and rank() == 0:
        with _terminal_bar(clock) as bar:
            yield bar
        return
    lines = _Lines(clock)
    yield lines
    lines.finish()


@contextlib.contextmanager
def _terminal_bar(clock: _Clock) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(clock.title, total=clock.total, completed=int(clock.done), values="")
        yield _Bar(clock, bar, task)

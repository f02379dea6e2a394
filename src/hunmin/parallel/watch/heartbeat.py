"""Heartbeats: each rank keeps telling the store of the run where it stands.

    main thread    mark(step, phase) ──┐
    second thread  beats: 1, 2, 3, …  ─┴─> store: heartbeat/RANK

A rank whose number of beats no longer rises is dead, stopped, or cut off. Beats are counted and not
timed, so the clocks of the nodes may differ.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Literal

from hunmin.core.errors import UnreachableError
from hunmin.core.logs import get_logger
from hunmin.parallel.watch.store import (
    Store,
    connect_store,
    launcher_holds_store,
    unreachable_store,
    within,
)
from hunmin.parallel.world import World

logger = get_logger(__name__)

Status = Literal["running", "failed", "ended", "finished"]
BEATS_TO_WAIT = 3
"""Intervals without a beat after which a rank counts as silent."""


@dataclass(frozen=True)
class Pulse:
    """What a rank last said of itself.

    Args:
        rank: Its number.
        host: Name of its machine.
        node: Number of its node, as torchrun counts them.
        beat: How often it has said so.
        step: Optimizer step it works on.
        phase: What it does in it.
        seconds: How long it had been in that phase.
        status: running; failed: in a collective, by others' fault; ended: by an error of its
            own; finished.
        note: The error that ended it.
    """

    rank: int
    host: str
    node: int
    beat: int
    step: int
    phase: str
    seconds: float
    status: Status
    note: str = ""

    @property
    def place(self) -> str:
        """Rank and machine, for people."""
        return f"rank {self.rank} on {self.host} (node {self.node})"


def node_number(world: World) -> int:
    """Return the number of this rank's node, as torchrun counts them."""
    return int(os.environ.get("GROUP_RANK", world.node))


class Heartbeat:
    """Tell the store where this rank stands, and read what the others tell.

    Args:
        world: This rank among all.
        every: Seconds between beats.
        on_stall: Called, in a thread of its own, once for each phase that lasts too long.
        stall_seconds: How long is too long; None for never.

    Note:
        A rank that trains alone has nobody to tell; it only remembers its marks.
    """

    def __init__(
        self,
        world: World,
        *,
        every: float = 2.0,
        on_stall: Callable[[Heartbeat], None] | None = None,
        stall_seconds: float | None = None,
    ) -> None:
        self.world = world
        self.every = every
        self._on_stall = on_stall
        self._stall_seconds = stall_seconds
        self._step, self._phase, self._since = 0, "starting", time.monotonic()
        self._status: Status = "running"
        self._note = ""
        self._beat = 0
        self._host, self._node = socket.gethostname(), node_number(world)
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # -- telling ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Give the first beat and let the others follow in the background.

        Raises:
            UnreachableError: The store does not answer.
        """
        if self.world.size == 1:
            return
        self._tell()
        self._thread = threading.Thread(target=self._keep_telling, name="heartbeat", daemon=True)
        self._thread.start()

    def mark(self, step: int, phase: str) -> None:
        """Remember what this rank does now; costs nothing.

        Args:
            step: Optimizer step it works on.
            phase: What it does in it.
        """
        self._step, self._phase, self._since = step, phase, time.monotonic()

    def end(self, status: Status, note: str = "") -> None:
        """Tell at once that this rank will do no more.

        Args:
            status: How it ended.
            note: The error, if one ended it.
        """
        if self._status == "running":
            self._status, self._note = status, note
            if self._thread is not None:
                self._try_to_tell()

    def stop(self) -> None:
        """End the beats."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * self._patience)
            self._thread = None

    def __enter__(self) -> Heartbeat:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell how it ended, and stop."""
        self.end("finished") if error is None else self.end("ended", _in_short(error))
        self.stop()

    @property
    def pulse(self) -> Pulse:
        """What this rank would say of itself now."""
        return Pulse(
            rank=self.world.rank,
            host=self._host,
            node=self._node,
            beat=self._beat,
            step=self._step,
            phase=self._phase,
            seconds=round(time.monotonic() - self._since, 1),
            status=self._status,
            note=self._note,
        )

    @property
    def _patience(self) -> float:
        """How long an answer of the store may take."""
        return max(2.0, 2.5 * self.every)

    def _keep_telling(self) -> None:
        told_stall = 0.0
        while not self._stopping.wait(self.every):
            self._try_to_tell()
            lasts = time.monotonic() - self._since
            is_long = self._stall_seconds is not None and lasts > self._stall_seconds
            if is_long and self._on_stall is not None and told_stall != self._since:
                told_stall = self._since
                # Looking takes a few beats, and this thread has to go on beating.
                threading.Thread(target=self._on_stall, args=(self,), daemon=True).start()

    def _try_to_tell(self) -> None:
        """A lost store is no reason to stop training: say so once and go on trying."""
        was_reached = self._store is not None
        try:
            self._tell()
        except UnreachableError as error:
            self._store = None
            if was_reached and not self._stopping.is_set():
                logger.warning("heartbeats are lost for now:\n%s", error)

    def _tell(self) -> None:
        if not self._lock.acquire(timeout=self._patience):
            raise unreachable_store(TimeoutError("the last beat is still on its way"))
        try:
            self._store = self._store or connect_store(self._patience)
            self._beat += 1
            self._store.set(f"heartbeat/{self.world.rank}", json.dumps(asdict(self.pulse)))
        except UnreachableError:
            raise
        except RuntimeError as error:  # what torch raises
            raise unreachable_store(error) from error
        finally:
            self._lock.release()

    # -- reading ---------------------------------------------------------------------------------

    def look(self) -> tuple[list[Pulse | None], list[Pulse | None]]:
        """Read the pulses of all ranks twice, `BEATS_TO_WAIT` intervals apart.

        Returns:
            The pulses by rank then and now; None for a rank that never had one.

        Raises:
            UnreachableError: The store does not answer.
        """
        before = self._read()
        time.sleep(BEATS_TO_WAIT * self.every)
        return before, self._read()

    def linger(self) -> None:
        """Hold the store, if it ends with this rank, until the others have read it."""
        if self.world.rank > 0 or self.world.size == 1 or launcher_holds_store():
            return
        with contextlib.suppress(UnreachableError):  # nothing left to hold
            for _ in range(4):
                before, now = self.look()
                if all(map(is_gone, before[1:], now[1:])):  # this is rank 0
                    return

    def _read(self) -> list[Pulse | None]:
        size, patience = self.world.size, self._patience
        try:
            return within(2 * patience, lambda: read_pulses(connect_store(patience), size))
        except (TimeoutError, RuntimeError) as error:
            raise unreachable_store(error) from error


def read_pulses(store: Store, size: int) -> list[Pulse | None]:
    """Read what all ranks last told.

    Args:
        store: The store of the run.
        size: Number of ranks.

    Returns:
        Pulses by rank; None for a rank that has told nothing.
    """
    keys = [f"heartbeat/{rank}" for rank in range(size)]
    known = keys if store.check(keys) else [key for key in keys if store.check([key])]
    told = dict(zip(known, store.multi_get(known), strict=True)) if known else {}
    return [Pulse(**json.loads(told[key])) if key in told else None for key in keys]


def is_silent(before: Pulse | None, now: Pulse | None) -> bool:
    """Return whether a rank has not beaten between two looks."""
    return now is None or (before is not None and before.beat == now.beat)


def is_gone(before: Pulse | None, now: Pulse | None) -> bool:
    """Return whether a rank will read nothing more: it ended, or is silent."""
    return now is None or now.status in ("ended", "finished") or is_silent(before, now)


def _in_short(error: BaseException) -> str:
    words: Sequence[str] = str(error).splitlines()
    return f"{type(error).__name__}: {words[0]}" if words else type(error).__name__

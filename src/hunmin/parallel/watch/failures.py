"""When ranks lose one another: who does not answer, where, and what to do.

A collective fails with "Connection closed by peer" or "Timed out waiting 3000ms" on whichever rank
happens to talk to the culprit, and then on all others as their neighbours give up. Heartbeats tell
the culprit from its victims: a victim has said that it failed, a culprit says nothing more.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from hunmin.core.errors import CollectiveError, HunminError, InputError, UnreachableError
from hunmin.core.logs import get_logger
from hunmin.parallel.watch.heartbeat import Heartbeat, Pulse, is_silent
from hunmin.parallel.world import World

logger = get_logger(__name__)

_SIGNS = re.compile(
    "connection (closed|reset|refused|aborted)|broken pipe|timed? ?out|no route to host"
    "|(read|write) error|pair closure|watchdog|host (is )?(down|unreachable)"
    "|nccl(remote|system|internal)error|communicator was aborted|remote process exited",
    re.IGNORECASE,
)
"""Words of gloo and NCCL for "the others are gone"."""


@dataclass(frozen=True)
class Diagnosis:
    """Why a collective failed.

    Args:
        problem: What is wrong, in a few words.
        details: What is known of each rank concerned, a line each.
        hint: What to do next.
        ranks: Whose fault it is; empty where no rank is to blame.
    """

    problem: str
    details: tuple[str, ...]
    hint: str
    ranks: tuple[int, ...] = ()


# -- collectives that end ------------------------------------------------------------------------


def bound_collectives(groups: Iterable[dist.ProcessGroup], seconds: float) -> None:
    """Give every collective of some process groups a time-out.

    Args:
        groups: The groups; `mesh.get_all_groups()` are those of a mesh.
        seconds: Above 0.

    Raises:
        InputError: The time-out is not above 0.

    Note:
        A group that torch makes for a mesh does not inherit the time-out of the default group
        unless it holds all ranks: torch 2.13 gives it half an hour.
    """
    if seconds <= 0:
        raise InputError(
            "a time-out is above 0 seconds", where="parallel.timeout", given=f"{seconds:g}"
        )
    for group in groups:
        # There is no public way to change it after the group was made.
        dist.distributed_c10d._set_pg_timeout(timedelta(seconds=seconds), group)


def collective_timeout(group: dist.ProcessGroup, device_type: str) -> float:
    """Return the seconds after which a collective of a group is an error.

    Args:
        group: The group.
        device_type: cpu or cuda.

    Returns:
        Seconds.
    """
    options: Any = group._get_backend(torch.device(device_type)).options
    seconds: float = options._timeout.total_seconds()
    return seconds


# -- explaining ----------------------------------------------------------------------------------


@contextlib.contextmanager
def watch_ranks(world: World, *, timeout: float, every: float = 2.0) -> Iterator[Heartbeat]:
    """Keep a heartbeat while ranks work together, and explain it when they lose one another.

    Args:
        world: This rank among all.
        timeout: Seconds after which a collective is an error. A phase that has lasted nearly as
            long is explained in the log: NCCL ends the process when the time is over.
        every: Seconds between beats.

    Yields:
        The heartbeat; `mark` it when a step or a phase begins.

    Raises:
        CollectiveError: A collective failed.
    """
    heartbeat = Heartbeat(world, every=every, on_stall=log_stall, stall_seconds=0.8 * timeout)
    with heartbeat, explain_collective_failures(heartbeat):
        yield heartbeat


@contextlib.contextmanager
def explain_collective_failures(heartbeat: Heartbeat) -> Iterator[None]:
    """Turn what gloo and NCCL raise into an error that names the ranks that do not answer.

    Args:
        heartbeat: Of this rank, started.

    Yields:
        Nothing.

    Raises:
        CollectiveError: A collective failed.

    Note:
        Takes a few heartbeats; on the rank that holds the store up to some more, so that the
        others can read it.
    """
    try:
        yield
    except BaseException as error:
        if not is_collective_failure(error):
            raise
        failure = explain(error, heartbeat)
        heartbeat.linger()
        raise failure from error


def is_collective_failure(error: BaseException) -> bool:
    """Return whether an error says that other ranks do not answer."""
    return failed_collective(error) is not None


def failed_collective(error: BaseException) -> RuntimeError | None:
    """Return the failure of a collective that is behind an error, None if there is none.

    Args:
        error: What was raised; a checkpoint's exception holds those of the ranks.

    Returns:
        The first one found.
    """
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or cause in seen or isinstance(cause, HunminError):
            continue
        if isinstance(cause, RuntimeError) and _speaks_of_peers(cause):
            return cause
        seen.append(cause)
        waiting += [failure[0] for failure in getattr(cause, "failures", {}).values()]
        waiting += [cause.__cause__, cause.__context__]
    return None


def _speaks_of_peers(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistNetworkError | dist.DistStoreError):
        return True
    # gloo raises a plain RuntimeError, with the name of its source file in front.
    speaks = isinstance(error, dist.DistBackendError) or "gloo" in str(error).lower()
    return speaks and _SIGNS.search(str(error)) is not None


def explain(error: BaseException, heartbeat: Heartbeat) -> CollectiveError:
    """Find out from the heartbeats why a collective failed.

    Args:
        error: What was raised.
        heartbeat: Of this rank.

    Returns:
        The error to raise.
    """
    own = heartbeat.pulse
    heartbeat.end("failed")
    diagnosis = _diagnose_live(heartbeat)
    cause = failed_collective(error) or error
    given = [*diagnosis.details, f"after up to {own.seconds:.1f} s: {_first_words(cause)}"]
    return CollectiveError(
        diagnosis.problem,
        where=f"{own.place}, step {own.step}, {own.phase}",
        given="\n           ".join(given),
        hint=f"{diagnosis.hint}; {how_it_goes_on()}",
    )


def _first_words(error: BaseException) -> str:
    """What gloo or NCCL says, without the place in their source and their guesses."""
    words = (str(error).splitlines() or [repr(error)])[0]
    return re.sub(r"\.? This is typically caused by .*", "", re.sub(r"^\[\S*:\d+\] ", "", words))


def how_it_goes_on() -> str:
    """Return who starts the ranks again: torchrun where it may, else the user."""
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if restarts < int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        return "torchrun starts the ranks again, from the last checkpoint"
    return "then give the same command again: training goes on from the last checkpoint"


def log_stall(heartbeat: Heartbeat) -> None:
    """Say who keeps the others waiting, before the time is over.

    Args:
        heartbeat: Of this rank.
    """
    own = heartbeat.pulse
    diagnosis = _diagnose_live(heartbeat)
    problem = diagnosis.problem if diagnosis.ranks else "all ranks are alive and do the same"
    logger.warning(
        "%s has been in step %d, %s, for %.0f s: %s\n  %s",
        own.place,
        own.step,
        own.phase,
        own.seconds,
        problem,
        "\n  ".join(diagnosis.details),
    )


def _diagnose_live(heartbeat: Heartbeat) -> Diagnosis:
    try:
        before, now = heartbeat.look()
    except UnreachableError as error:
        return Diagnosis(
            f"ranks lost one another, and {error.problem}",
            (f"store at {error.where}: {error.given}",),
            "look whether node 0 is up and can be reached from here",
        )
    return diagnose(heartbeat.pulse, before, now)


def diagnose(own: Pulse, before: Sequence[Pulse | None], now: Sequence[Pulse | None]) -> Diagnosis:
    """Tell the culprit from its victims; a pure function.

    Args:
        own: The pulse of the rank that asks.
        before: Pulses of all ranks.
        now: The same, some beats later.

    Returns:
        Why the collective failed.
    """
    others = [
        (rank, *pair) for rank, pair in enumerate(zip(before, now, strict=True)) if rank != own.rank
    ]
    ended = [p for _, _, p in others if p is not None and p.status == "ended"]
    if ended:
        return _those("ended with an error", ended, [p.note for p in ended], "read the error")
    silent = [
        (rank, p)
        for rank, b, p in others
        if is_silent(b, p) and (p is None or p.status == "running")
    ]
    if silent:
        return _silent(silent)
    left = [p for _, _, p in others if p is not None and p.status == "finished"]
    if left:
        notes = [f"left after step {p.step}" for p in left]
        return _those("left while others go on", left, notes, "this is an error of the program")
    behind = [p for _, _, p in others if p is not None and _is_behind(p, own)]
    if behind:
        notes = [f"in step {p.step}, {p.phase}, for {p.seconds:.0f} s" for p in behind]
        return _those("is behind", behind, notes, "see what it does, or raise parallel.timeout")
    return _network([p for p in now if p is not None])


def _silent(silent: Sequence[tuple[int, Pulse | None]]) -> Diagnosis:
    lines = [
        f"rank {rank}: never said anything"
        if pulse is None
        else f"{pulse.place}: last heard of in step {pulse.step}, {pulse.phase}"
        for rank, pulse in silent
    ]
    hosts = sorted({pulse.host for _, pulse in silent if pulse is not None})
    whom = _enumerate([rank for rank, _ in silent])
    hint = f"look at {', '.join(hosts) or 'their machines'} (is it up, was a process killed?)"
    verb = "does not answer" if len(silent) == 1 else "do not answer"
    return Diagnosis(f"{whom} {verb}", _few(lines), hint, tuple(rank for rank, _ in silent))


def _those(what: str, pulses: Sequence[Pulse], notes: Sequence[str], hint: str) -> Diagnosis:
    lines = [f"{pulse.place}: {note}" for pulse, note in zip(pulses, notes, strict=True)]
    ranks = tuple(pulse.rank for pulse in pulses)
    return Diagnosis(f"{_enumerate(ranks)} {what}", _few(lines), hint, ranks)


def _network(pulses: Sequence[Pulse]) -> Diagnosis:
    nodes = sorted({f"{pulse.host} (node {pulse.node})" for pulse in pulses})
    return Diagnosis(
        "a collective failed though every rank is alive: the network does not carry its data",
        _few([f"nodes: {', '.join(nodes[:8])}"]),
        "look at their links, and at GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME",
    )


def _is_behind(pulse: Pulse, own: Pulse) -> bool:
    if pulse.status != "running":
        return False
    return pulse.step < own.step or (pulse.step == own.step and pulse.phase != own.phase)


def _enumerate(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:8])) + (", …" if len(ranks) > 8 else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"


def _few(lines: Sequence[str]) -> tuple[str, ...]:
    more = [f"and {len(lines) - 4} more"] if len(lines) > 4 else []
    return (*lines[:4], *more)

"""The store through which ranks find one another: one prefix for each start, own connections.

torchrun keeps its store when it starts the ranks again, with all that the earlier ones wrote there:
gloo then connects to addresses of dead processes and fails. `agree_on_start` gives every start of
the ranks a name of its own, to be put before all keys.

The connection that training uses can be blocked or broken when it is needed most; whoever watches
the ranks opens another one.
"""

from __future__ import annotations

import hashlib
import os
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from hunmin.core.errors import UnreachableError

if TYPE_CHECKING:  # torch.distributed does not export their types
    from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
else:
    from torch.distributed import PrefixStore, Store, TCPStore

__all__ = [
    "PrefixStore",
    "Store",
    "agree_on_start",
    "connect_store",
    "launcher_holds_store",
    "store_address",
    "unreachable_store",
    "within",
]

Value = TypeVar("Value")
_START = "HUNMIN_START"
"""Variable that holds the name of this start of the ranks."""


def store_address() -> tuple[str, int]:
    """Return host and port of this run's store, as torchrun's environment gives them."""
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def launcher_holds_store() -> bool:
    """Return whether the store outlives the ranks: torchrun's launcher on node 0 holds it."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def agree_on_start(store: Store, *, rank: int, size: int, seconds: float) -> str:
    """Agree with the other ranks on a name that no earlier start of them had.

    Args:
        store: The store of the run; it may hold what earlier starts wrote.
        rank: This rank.
        size: All ranks.
        seconds: How long to wait for the others.

    Returns:
        The name, the same on every rank; remembered for `connect_store`.

    Raises:
        UnreachableError: Not all ranks came.

    Note:
        Collective. Every rank writes a token of its own; rank 0 publishes the list of all, again
        when one changes. The others take a list only if it holds their token, and rank 0 lets all
        go when all have taken it. Leftovers of an earlier start never fit.
    """
    token, name = secrets.token_hex(8), ""
    store.set(f"start/token/{rank}", token)
    pause, deadline = 0.02, time.monotonic() + seconds
    while time.monotonic() < deadline:
        if rank == 0:
            _publish(store, size)
        everyone = _get(store, "start/all").split(",")
        if len(everyone) == size and everyone[rank] == token:
            name = hashlib.sha256(",".join(everyone).encode()).hexdigest()[:16]
            store.set(f"start/taken/{rank}", name)
        if name and _get(store, "start/go") == name:
            os.environ[_START] = name
            return name
        time.sleep(pause)
        pause = min(1.3 * pause, 0.5)  # a thousand ranks ask the same store
    raise UnreachableError(
        f"not all {size} ranks came to the store of the run within {seconds:g} s",
        hint="look whether torchrun runs on every node with the same --nnodes and --nproc-per-node",
    )


def _publish(store: Store, size: int) -> None:
    """What rank 0 does: list the tokens, and let all go when all have taken the list."""
    tokens, taken = ([f"start/{what}/{r}" for r in range(size)] for what in ("token", "taken"))
    if not store.check(tokens):
        return
    everyone = b",".join(store.multi_get(tokens))
    store.set("start/all", everyone.decode())
    name = hashlib.sha256(everyone).hexdigest()[:16]
    if store.check(taken) and set(store.multi_get(taken)) == {name.encode()}:
        store.set("start/go", name)


def _get(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""


def connect_store(seconds: float) -> Store:
    """Open another connection to the store of this run.

    Args:
        seconds: How long to wait for it, and for each answer later.

    Returns:
        The store, under a prefix of hunmin's own and of this start of the ranks.

    Raises:
        UnreachableError: It does not answer.
    """
    host, port = store_address()
    try:
        # torch prints pages of C++ frames where nobody listens; a plain socket says it in a word.
        socket.create_connection((host, port), timeout=seconds).close()
        store = TCPStore(
            host,
            port,
            is_master=False,
            wait_for_workers=False,
            timeout=timedelta(seconds=seconds),
        )
    except (OSError, RuntimeError) as error:  # what torch raises is a RuntimeError
        raise unreachable_store(error) from error
    return PrefixStore(f"hunmin/{os.environ.get(_START, '')}", store)


def unreachable_store(error: BaseException) -> UnreachableError:
    """Return the error that says that the store is gone, and who held it.

    Args:
        error: What happened.

    Returns:
        The error to raise.
    """
    holder = "torchrun on node 0" if launcher_holds_store() else "rank 0"
    host, port = store_address()
    words = str(error).splitlines()
    return UnreachableError(
        f"the store of the run does not answer; {holder} holds it",
        where=f"{host}:{port}",
        given=words[0] if words else type(error).__name__,
        hint="look whether that machine is up and can be reached from here",
    )


def within(seconds: float, function: Callable[[], Value]) -> Value:
    """Call a function that may never come back, and wait for it only so long.

    Args:
        seconds: How long.
        function: Left to itself in the background after that.

    Returns:
        What it returned.

    Raises:
        TimeoutError: It has not come back in time.
    """
    answers: queue.Queue[tuple[Value, None] | tuple[None, BaseException]] = queue.Queue()

    def call() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            answers.put((None, error))

    threading.Thread(target=call, daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]

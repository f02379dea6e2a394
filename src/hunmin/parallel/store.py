"""The store through which ranks find one another, reached by a connection of one's own.

The connection that training uses can be blocked or broken when it is needed most; whoever watches
the ranks opens another one.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from hunmin.core.errors import UnreachableError

if TYPE_CHECKING:  # torch.distributed does not export their types
    from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
else:
    from torch.distributed import PrefixStore, Store, TCPStore

__all__ = [
    "Store",
    "connect_store",
    "launcher_holds_store",
    "store_address",
    "unreachable_store",
    "within",
]

Value = TypeVar("Value")


def store_address() -> tuple[str, int]:
    """Return host and port of this run's store, as torchrun's environment gives them."""
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def launcher_holds_store() -> bool:
    """Return whether the store outlives the ranks: torchrun's launcher on node 0 holds it."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def connect_store(seconds: float) -> Store:
    """Open another connection to the store of this run.

    Args:
        seconds: How long to wait for it, and for each answer later.

    Returns:
        The store, under a prefix of hunmin's own.

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
    return PrefixStore("hunmin", store)


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

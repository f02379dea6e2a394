"""Bytes of a remote file, read on where a connection broke."""

from __future__ import annotations

import functools
import io
import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from hunmin.core.errors import UnreachableError
from hunmin.core.logs import get_logger
from hunmin.text.remote.address import WEB, RemoteFile, scheme_of

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each new try."""
Result = TypeVar("Result")
logger = get_logger(__name__)


class Body(Protocol):
    """Bytes of a file from some place on."""

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end, or where the connection ends."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Store(Protocol):
    """What can open its files anywhere."""

    def open(self, file: RemoteFile, start: int, stop: int | None) -> Body:
        """Return the bytes from `start` on; `stop` is the place to read to, if that is known."""
        ...


def store_of(address: str) -> Store:
    """Return the store behind an address, one for each bucket and process."""
    bucket = address.partition("://")[2].partition("/")[0]
    return _store(scheme_of(address), bucket, os.getpid())


@functools.lru_cache(maxsize=64)
def _store(scheme: str, bucket: str, process: int) -> Store:
    """Connections must not be shared with a process that was forked, so its id is in the key."""
    if scheme in WEB:
        from hunmin.text.remote.web import WebStore

        return WebStore()
    from hunmin.text.remote.objects import ObjectStore

    return ObjectStore(scheme, bucket)


def retried(action: Callable[[], Result], tries: int) -> Result:
    """Do something that needs the network, again after a pause if it could not be reached.

    Args:
        action: What to do.
        tries: Most times to do it.

    Returns:
        Its result.

    Raises:
        UnreachableError: The last try failed too.
    """
    for pause in PAUSES[: tries - 1]:
        try:
            return action()
        except UnreachableError as error:
            logger.warning("%s: %s; next try in %g s", error.where, error.problem, pause)
            time.sleep(pause)
    return action()


class RemoteStream(io.RawIOBase):
    """A remote file as a stream of bytes; it ends where the file ends, never before.

    Args:
        file: What is read.
        is_random: Reads jump about: each asks for its own bytes only.

    Raises:
        UnreachableError: The connection broke, and six tries did not bring one more byte.
        InputError: The file was changed, or may not be read any more.
    """

    def __init__(self, file: RemoteFile, *, is_random: bool = False) -> None:
        self._file, self._is_random = file, is_random
        self._store = store_of(file.address)
        self._body: Body | None = None
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from any place."""
        return True

    def size(self) -> int:
        """Return the length of the file in bytes."""
        return self._file.size

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        if start + offset != self._position:
            self._let_go()
            self._position = start + offset
        return self._position

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go()
        super().close()

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes; fewer only at the end of the file."""
        left = max(self._file.size - self._position, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        found: list[bytes] = []
        while wanted:
            found.append(self._some(wanted))
            wanted -= len(found[-1])
        return found[0] if len(found) == 1 else b"".join(found)

    def _some(self, size: int) -> bytes:
        data = retried(lambda: self._next(size), len(PAUSES) + 1)
        self._position += len(data)
        return data

    def _next(self, size: int) -> bytes:
        """Return at least one byte from the place that was reached."""
        try:
            if self._body is None:
                stop = self._position + size if self._is_random else None
                self._body = self._store.open(self._file, self._position, stop)
            data = self._body.read(size)
            if not data:
                raise self._ended()
        except UnreachableError:
            self._let_go()
            raise
        if self._is_random:
            self._let_go()
        return data

    def _ended(self) -> UnreachableError:
        return UnreachableError(
            f"the connection ended at byte {self._position:,} of {self._file.size:,}",
            where=str(self._file),
            hint="check the network, then run the same command again",
        )

    def _let_go(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

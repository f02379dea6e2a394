"""Boundaries found before, kept by the hash of analyser and text."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from types import TracebackType

from hunmin.core.logs import get_logger
from hunmin.text.segmentation.boundaries import NO_BOUNDARIES, Boundaries, BoundaryKind

FILE_NAME = "boundaries-1.sqlite3"
"""The number goes up when packed boundaries change."""
_KINDS = tuple(BoundaryKind)
_KIND_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_KIND_BITS = 3
_QUESTIONS_AT_ONCE = 500
_WAIT_SECONDS = 10.0
logger = get_logger(__name__)


def pack_boundaries(boundaries: Boundaries) -> bytes:
    """Return boundaries as bytes, four for each: distance from the one before, and kind."""
    packed, before = array("I"), 0
    for position, kind in zip(boundaries.positions, boundaries.kinds, strict=True):
        packed.append((position - before) << _KIND_BITS | _KIND_NUMBERS[kind])
        before = position
    return packed.tobytes()


def unpack_boundaries(data: bytes) -> Boundaries:
    """Return what was packed.

    Args:
        data: From `pack_boundaries`.

    Returns:
        The boundaries.

    Raises:
        ValueError: The bytes were not packed so.
    """
    if not data:
        return NO_BOUNDARIES
    packed = array("I")
    packed.frombytes(data)
    mask = (1 << _KIND_BITS) - 1
    if any(not value >> _KIND_BITS or value & mask >= len(_KINDS) for value in packed):
        raise ValueError("not packed boundaries")
    positions = tuple(accumulate(value >> _KIND_BITS for value in packed))
    return Boundaries(positions, tuple([_KINDS[value & mask] for value in packed]))


class BoundaryCache:
    """A file with boundaries by text; without it the work is only slower.

    A damaged file is made again, a locked or unusable one is done without; both are told once.
    Several processes may use one file.

    Args:
        folder: Where the file lies; made if missing.
        identity: Of the analyser.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.path = folder / FILE_NAME
        self._salt = f"{identity}\0{sys.byteorder}\0".encode()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> BoundaryCache:
        with self._guard():
            self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def find(self, texts: Sequence[str]) -> list[Boundaries | None]:
        """Return what is known of each text, None where nothing is."""
        keys = [self._key(text) for text in texts]
        known: dict[bytes, bytes] = {}
        with self._guard():
            known = dict(self._ask(keys))
        return [_fitting(text, known.get(key)) for text, key in zip(texts, keys, strict=True)]

    def keep(self, found: Iterable[tuple[str, bytes]]) -> None:
        """Keep the packed boundaries of some texts."""
        if self._connection is None:
            return
        rows = [(self._key(text), packed) for text, packed in found]
        with self._guard(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO boundaries VALUES (?, ?)", rows)

    def _key(self, text: str) -> bytes:
        content = self._salt + text.encode("utf-8", errors="surrogatepass")
        return blake2b(content, digest_size=16).digest()

    def _ask(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        if self._connection is None:
            return
        for start in range(0, len(keys), _QUESTIONS_AT_ONCE):
            some = keys[start : start + _QUESTIONS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, packed FROM boundaries WHERE key IN ({marks})"
            yield from self._connection.execute(query, some)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.path, timeout=_WAIT_SECONDS)
        # A crash of the machine may cost the file, never a result.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS boundaries (key BLOB PRIMARY KEY, packed BLOB NOT NULL) "
            "WITHOUT ROWID"
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            self._close()
            logger.warning(
                "%s: cannot be used (%s); morphemes are found without remembering them",
                self.path,
                error,
            )
        except sqlite3.DatabaseError as error:
            self._start_again(error)

    def _start_again(self, error: sqlite3.DatabaseError) -> None:
        self._close()
        logger.warning("%s: damaged (%s); it is made again, empty", self.path, error)
        self.path.unlink(missing_ok=True)
        with self._guard():
            self._open()


def _fitting(text: str, packed: bytes | None) -> Boundaries | None:
    if packed is None:
        return None
    try:
        found = unpack_boundaries(packed)
    except ValueError:
        return None
    return found if not found.positions or found.positions[-1] < len(text) else None

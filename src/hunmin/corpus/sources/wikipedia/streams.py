"""The bytes of a dump in pieces that can be read side by side.

A multistream dump is a row of bz2 streams of a hundred pages each. They are found by their first
ten bytes, which other data holds by chance once in 2^80 positions: the index is not needed.
"""

from __future__ import annotations

import bz2
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.files import COMPRESSIONS, Location, open_raw, opened
from hunmin.text.remote.address import RemoteFile, is_address

_STREAM = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")
PIECE_BYTES = 1 << 20
_MIN_STREAMS = 3
_MAX_PIECE_BYTES = 1 << 22
# Where a multistream dump has begun more streams than one by any chance.
_PROBE_BYTES = 1 << 24
_MARK_BYTES = 10


class Piece(NamedTuple):
    """A stretch of a dump."""

    path: Location
    """The file."""
    start: int
    """Where it begins in the file; unpacked bytes have -1."""
    length: int
    """Bytes in the file."""
    data: bytes = b""
    """Its bytes, where they are at hand already."""

    def unpack(self) -> bytes:
        """Unpack the piece.

        Returns:
            XML, or a part of it.

        Raises:
            InputError: The data is damaged or ends too early.
        """
        if self.start < 0:
            return self.data
        return b"".join(self._streams(self.data or self._packed()))

    def _packed(self) -> bytes:
        with open_raw(self.path) as file:
            file.seek(self.start)
            return file.read(self.length) or b""

    def _streams(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            decompressor = bz2.BZ2Decompressor()
            try:
                yield decompressor.decompress(packed)
            except OSError as error:
                raise self._damaged(str(error)) from error
            if not decompressor.eof:
                raise self._damaged("the stream ends too early")
            packed = decompressor.unused_data

    def _damaged(self, problem: str) -> InputError:
        return InputError(
            f"the bz2 data is damaged: {problem}",
            where=f"{self.path}, stream at byte {self.start:,}",
            hint="fetch the dump again and compare its checksum",
        )


def find_dump(path: str) -> list[Location]:
    """Find the file of a dump.

    Args:
        path: What the recipe names.

    Returns:
        The file; nothing if it does not exist on this machine.

    Raises:
        MissingInputError: Nothing lies behind an address.
        InputError: The address cannot be read.
        UnreachableError: The server does not answer.
    """
    if is_address(path):
        from hunmin.text.remote.find import remote_file

        return [remote_file(path)]
    return [Path(path)] if Path(path).is_file() else []


def pieces(path: Location) -> Iterator[Piece]:
    """Yield a dump in pieces, in order.

    Args:
        path: XML, plain or packed; of a multistream bz2 file the pieces are packed still.

    Yields:
        Stretches of some hundred pages; the same ones on every machine.

    Raises:
        InputError: Packed data is damaged.
    """
    if isinstance(path, RemoteFile):
        yield from _fetched_pieces(path)
        return
    starts = stream_starts(path) if path.suffix.lower() == ".bz2" else []
    if len(starts) < _MIN_STREAMS:
        yield from _unpacked_pieces(path)
        return
    ends = [*starts[1:], path.stat().st_size]
    first = starts[0]
    for start, end in zip(starts, ends, strict=True):
        if end - first >= PIECE_BYTES // 4 or end == ends[-1] or start == starts[0]:
            yield Piece(path, first, end - first)
            first = end


def stream_starts(path: Path) -> list[int]:
    """Return where the bz2 streams of a file begin."""
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [match.start() for match in _STREAM.finditer(data)]


def _fetched_pieces(path: RemoteFile) -> Iterator[Piece]:
    """The same pieces, found as the file passes by: it is fetched once, and by this process."""
    with open_raw(path) as file:
        window = _Window(path, file.read(_PROBE_BYTES) or b"")
        is_bz2 = path.suffix.lower() == ".bz2"
        if not is_bz2 or len(_STREAM.findall(window.data)) < _MIN_STREAMS:
            yield from _unpacked_pieces(path)
            return
        while True:
            yield from window.pieces()
            more = file.read(_MAX_PIECE_BYTES) or b""
            if not more:
                break
            window.data += more
        yield from window.rest()


class _Window:
    """The part of a packed file that is at hand."""

    def __init__(self, path: RemoteFile, data: bytes) -> None:
        self._path, self.data, self._offset = path, bytearray(data), 0
        self._is_first = True
        self._searched = 1

    def pieces(self) -> Iterator[Piece]:
        """Yield what ends where a stream begins."""
        while match := _STREAM.search(self.data, self._searched):
            if self._is_first or match.start() >= PIECE_BYTES // 4:
                yield self._take(match.start())
            else:
                self._searched = match.start() + 1
        self._searched = max(self._searched, len(self.data) - _MARK_BYTES + 1)

    def rest(self) -> Iterator[Piece]:
        """Yield what is left at the end of the file."""
        if self.data:
            yield self._take(len(self.data))

    def _take(self, length: int) -> Piece:
        piece = Piece(self._path, self._offset, length, bytes(self.data[:length]))
        del self.data[:length]
        self._offset += length
        self._is_first, self._searched = False, 1
        return piece


def _unpacked_pieces(path: Location) -> Iterator[Piece]:
    compression = COMPRESSIONS.get(path.suffix.lower())
    taken = 0

    def advance(num_bytes: int) -> None:
        nonlocal taken
        taken += num_bytes

    with opened(path, compression, advance) as stream:
        while data := stream.read(_MAX_PIECE_BYTES):
            yield Piece(path, -1, taken, data)
            taken = 0

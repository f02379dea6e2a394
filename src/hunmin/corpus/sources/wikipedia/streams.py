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
from hunmin.text.files import COMPRESSIONS, opened

_STREAM = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")
PIECE_BYTES = 1 << 20
_MIN_STREAMS = 3
_MAX_PIECE_BYTES = 1 << 22


class Piece(NamedTuple):
    """A stretch of a dump."""

    path: Path
    """The file."""
    start: int
    """Where it begins in the file; unpacked bytes have -1."""
    length: int
    """Bytes in the file."""
    data: bytes = b""
    """Unpacked bytes, where they are at hand."""

    def unpack(self) -> bytes:
        """Unpack the piece.

        Returns:
            XML, or a part of it.

        Raises:
            InputError: The data is damaged or ends too early.
        """
        if self.start < 0:
            return self.data
        with self.path.open("rb") as file:
            file.seek(self.start)
            packed = file.read(self.length)
        return b"".join(self._streams(packed))

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


def pieces(path: Path) -> Iterator[Piece]:
    """Yield a dump in pieces, in order.

    Args:
        path: XML, plain or packed; of a multistream bz2 file the pieces are packed still.

    Yields:
        Stretches of some hundred pages; the same ones on every machine.

    Raises:
        InputError: Packed data is damaged.
    """
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


def _unpacked_pieces(path: Path) -> Iterator[Piece]:
    compression = COMPRESSIONS.get(path.suffix.lower())
    taken = 0

    def advance(num_bytes: int) -> None:
        nonlocal taken
        taken += num_bytes

    with opened(path, compression, advance) as stream:
        while data := stream.read(_MAX_PIECE_BYTES):
            yield Piece(path, -1, taken, data)
            taken = 0

"""Lines of large text files: streamed, decoded in blocks, with byte offsets for what is wrong."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from hunmin.core.errors import InputError
from hunmin.text.encoding import undecodable

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 28
_ASCII_COMPATIBLE = frozenset({"utf-8", "cp949", "euc_kr", "ascii", "iso8859-1", "cp1252"})

OnUndecodable = Literal["refuse", "reject"]


class Line(NamedTuple):
    """One line of a file."""

    number: int
    """Counted from 1."""
    text: str
    """Content without the line end; with replacement characters if `problem` is set."""
    problem: str | None
    """Why the line cannot be used; None if nothing is wrong."""


def read_lines(
    stream: BinaryIO,
    encoding: str,
    *,
    where: str,
    mark_bytes: int = 0,
    on_undecodable: OnUndecodable = "refuse",
) -> Iterator[Line]:
    """Yield the lines of a stream in order.

    Args:
        stream: Bytes from the start of the file.
        encoding: A Python text codec.
        where: How messages call the file.
        mark_bytes: Length of the byte order mark to skip.
        on_undecodable: `refuse` raises at the first line that cannot be decoded; `reject` yields
            it with its problem.

    Yields:
        Every line, the empty ones too.

    Raises:
        TextEncodingError: A byte does not fit the encoding, and `on_undecodable` is `refuse`.
        InputError: A line is longer than 256 MiB.

    Note:
        Memory: one block of 1 MiB, or the longest line.
    """
    stream.read(mark_bytes)
    offset = mark_bytes
    if encoding not in _ASCII_COMPATIBLE:
        stream = io.BufferedReader(_Utf8Recoder(stream, encoding, offset, where))
        encoding = "utf-8"
    number = 1
    for block in _blocks_of_lines(stream, where):
        text = _decoded(block, encoding)
        if text is None:
            yield from _one_by_one(block, encoding, number, offset, where, on_undecodable)
        else:
            lines = text.removesuffix("\n").split("\n")
            for index, line in enumerate(lines):
                yield Line(number + index, line.removesuffix("\r"), None)
        number += block.count(b"\n")
        offset += len(block)


def _blocks_of_lines(stream: BinaryIO, where: str) -> Iterator[bytes]:
    pending: list[bytes] = []
    pending_bytes = 0
    while chunk := stream.read(BLOCK_BYTES):
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            pending.append(chunk)
            pending_bytes += len(chunk)
            if pending_bytes > MAX_LINE_BYTES:
                raise InputError(
                    f"a line is longer than {MAX_LINE_BYTES >> 20} MiB",
                    where=where,
                    hint="is this really text with line ends? Split the file into lines",
                )
            continue
        yield b"".join([*pending, chunk[:end]])
        pending, pending_bytes = [chunk[end:]], len(chunk) - end
    last = b"".join(pending)
    if last:
        yield last


def _decoded(block: bytes, encoding: str) -> str | None:
    """Return the block's text, or None if a line of it has to be looked at more closely."""
    if b"\0" in block:
        return None
    try:
        return block.decode(encoding)
    except UnicodeDecodeError:
        return None


def _one_by_one(
    block: bytes, encoding: str, number: int, offset: int, where: str, on_undecodable: OnUndecodable
) -> Iterator[Line]:
    for raw in block.removesuffix(b"\n").split(b"\n"):
        start = _first_bad_byte(raw, encoding)
        if start is not None and on_undecodable == "refuse":
            raise undecodable(raw[start : start + 8], offset + start, where, encoding, number)
        text = raw.decode(encoding, errors="replace").removesuffix("\r").replace("\0", "\ufffd")
        problem = None if start is None else f"undecodable at byte {offset + start}"
        yield Line(number, text, problem)
        number += 1
        offset += len(raw) + 1


def _first_bad_byte(raw: bytes, encoding: str) -> int | None:
    zero = raw.find(b"\0")
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start if zero < 0 else min(error.start, zero)
    return None if zero < 0 else zero


class _Utf8Recoder(io.RawIOBase):
    """A stream in another encoding, as UTF-8 bytes."""

    def __init__(self, stream: BinaryIO, encoding: str, offset: int, where: str) -> None:
        self._stream, self._encoding, self._offset, self._where = stream, encoding, offset, where
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._ready:
            chunk = self._stream.read(BLOCK_BYTES)
            self._ready = self._decode(chunk).encode("utf-8")
            if not chunk:
                break
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decode(self, chunk: bytes) -> str:
        pending = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            at = self._offset - len(pending) + error.start
            bad = (pending + chunk)[error.start : error.start + 8]
            raise undecodable(bad, at, self._where, self._encoding) from error
        self._offset += len(chunk)
        return text

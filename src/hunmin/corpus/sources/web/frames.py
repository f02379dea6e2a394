"""Records of a WARC archive, one by one, also past those that are broken.

FastWARC ends at the first record that breaks the format, and takes a record that is cut short for
whole. So records are parted here, and it reads them singly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_HEAD_BYTES = 1 << 16
MAX_RECORD_BYTES = 1 << 26
_READ_BYTES = 1 << 20
_KEPT_BYTES = 1000
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_TYPE = re.compile(rb"^warc-type:[ \t]*([a-z]+)", re.IGNORECASE | re.MULTILINE)
_NEXT = re.compile(rb"(?:\r\n|\n)WARC/\d\.\d\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class Frame(NamedTuple):
    """One record as it stands in the archive."""

    offset: int
    """Where it begins in the unpacked archive, in bytes."""
    kind: str
    """Its WARC-Type; empty if the record is broken."""
    data: bytes
    """Head and content; of a broken record the first bytes."""
    problem: str = ""
    """How it breaks the format."""


class _Window:
    """The part of a stream that is being looked at."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.data = bytearray()
        self.offset = 0
        self.is_complete = False

    def fill(self, size: int) -> bool:
        """Have so many bytes at hand; False if the stream has fewer."""
        while len(self.data) < size and not self.is_complete:
            chunk = self._stream.read(max(_READ_BYTES, size - len(self.data)))
            self.data += chunk
            self.is_complete = not chunk
        return len(self.data) >= size

    def drop(self, size: int) -> None:
        del self.data[:size]
        self.offset += size

    def skip_to_record(self, start: int) -> None:
        """Drop everything up to the next line that begins a record."""
        self.fill(start + 1)
        while True:
            match = _NEXT.search(self.data, start)
            if match is not None:
                self.drop(match.start() + (2 if self.data[match.start()] == 13 else 1))
                return
            if self.is_complete:
                self.drop(len(self.data))
                return
            self.drop(max(len(self.data) - 32, 0))
            start = 0
            self.fill(len(self.data) + 1)


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the records of an archive.

    Args:
        stream: The unpacked archive.

    Yields:
        Every record; one that breaks the format comes with its problem, and reading goes on at
        the next one.

    Note:
        Memory: one record of at most 64 MiB.
    """
    window = _Window(stream)
    while True:
        _skip_blank(window)
        if not window.fill(1):
            return
        yield _next_frame(window)


def _skip_blank(window: _Window) -> None:
    while window.fill(1) and window.data[0] in b"\r\n":
        blank = len(window.data) - len(window.data.lstrip(b"\r\n"))
        window.drop(blank)


def _next_frame(window: _Window) -> Frame:
    window.fill(MAX_HEAD_BYTES)
    end = _HEAD_END.search(window.data, 0, MAX_HEAD_BYTES)
    if not window.data.startswith(b"WARC/") or end is None:
        is_head = window.data.startswith(b"WARC/")
        return _broken(window, "its head does not end" if is_head else "no WARC/ at its start", 1)
    head = bytes(window.data[: end.end()])
    length, kind = _LENGTH.search(head), _TYPE.search(head)
    if length is None or kind is None:
        missing = "Content-Length" if length is None else "WARC-Type"
        return _broken(window, f"no {missing}", end.start())
    size = len(head) + int(length[1])
    if size > MAX_RECORD_BYTES:
        return _broken(window, f"longer than {MAX_RECORD_BYTES >> 20} MiB", end.start())
    if not window.fill(size):
        return _broken(window, "it ends too early", end.start())
    if window.fill(size + 1) and window.data[size] not in b"\r\n":
        return _broken(window, "its Content-Length is wrong", end.start())
    frame = Frame(window.offset, kind[1].decode().lower(), bytes(window.data[:size]))
    window.drop(size)
    return frame


def _broken(window: _Window, problem: str, resume: int) -> Frame:
    frame = Frame(window.offset, "", bytes(window.data[:_KEPT_BYTES]), problem)
    window.skip_to_record(resume)
    return frame

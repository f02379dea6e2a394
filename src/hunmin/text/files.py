"""Text files on disk, on object stores and the web: unpacked on the way, decoded, line by line."""

from __future__ import annotations

import contextlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from hunmin.core.errors import HunminError, InputError, MissingInputError, suggest
from hunmin.text.encoding import detect_encoding
from hunmin.text.lines import Line, read_lines
from hunmin.text.remote.address import RemoteFile
from hunmin.text.remote.stream import RemoteStream

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""Ending of a file's name -> how it is packed."""
Advance = Callable[[int], None]
Location = Path | RemoteFile
"""Where a file lies."""


def read_text_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a text file, packed or not, in whatever encoding it is.

    Args:
        path: A file; `.gz`, `.zst`, `.bz2` and `.xz` are unpacked on the way.

    Yields:
        Every line, the empty ones too.

    Raises:
        MissingInputError: There is no such file.
        TextEncodingError: It is not text, or in no known encoding.
        InputError: The compressed data is damaged, or a line is longer than 256 MiB.
    """
    if not path.exists():
        raise missing_path(path)
    if path.is_dir():
        raise InputError("a file is wanted here", where=path, given="a folder")
    compression = COMPRESSIONS.get(path.suffix.lower())
    with opened(path, compression) as stream:
        encoding, mark_bytes = detect_encoding(stream, where=str(path))
    with opened(path, compression) as stream:
        yield from read_lines(stream, encoding, where=str(path), mark_bytes=mark_bytes)


@contextlib.contextmanager
def opened(
    path: Location, compression: str | None, advance: Advance | None = None
) -> Iterator[BinaryIO]:
    """Open a file, unpacking it on the way.

    Args:
        path: The file.
        compression: gzip, zstd, bz2, xz or None.
        advance: Is told of the bytes taken from disk or network.

    Yields:
        The unpacked bytes as a stream; members, frames and streams that follow each other are one.

    Raises:
        InputError: The compressed data is damaged or ends too early, or the file cannot be read.
        UnreachableError: The connection to a remote file broke, and no new one could be made.
    """
    with open_raw(path) as raw:
        counted = cast(BinaryIO, raw if advance is None else _Counted(raw, advance))
        if compression is None:
            yield counted
            return
        if is_empty(path):
            raise _damaged(path, compression, "the file is empty")
        try:
            with _unpacked(counted, compression) as unpacked:
                yield unpacked
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, HunminError):
                raise
            raise _damaged(path, compression, str(error)) from error


def open_raw(path: Location, *, is_random: bool = False) -> io.RawIOBase:
    """Open a file as it is stored.

    Args:
        path: The file.
        is_random: It is read here and there, not from start to end.

    Returns:
        Its bytes; any place of it can be sought.

    Raises:
        MissingInputError: There is no such file.
        InputError: It cannot be read.
    """
    if isinstance(path, RemoteFile):
        return RemoteStream(path, is_random=is_random)
    try:
        return io.FileIO(path, "rb")
    except FileNotFoundError as error:
        raise missing_path(path) from error
    except OSError as error:
        raise InputError(
            f"this file cannot be read: {error.strerror}",
            where=path,
            hint="check who may read it (ls -l), or leave it out",
        ) from error


@contextlib.contextmanager
def _unpacked(stream: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    if compression == "xz":
        with lzma.LZMAFile(stream) as file:
            yield cast(BinaryIO, file)
    else:
        native = pa.PythonFile(stream, mode="r")
        with pa.CompressedInputStream(native, compression) as file:
            yield file


def size_of(path: Location) -> int:
    """Return the size of a file in bytes."""
    return path.size if isinstance(path, RemoteFile) else path.stat().st_size


def is_empty(path: Location) -> bool:
    """Say whether a file holds nothing; a pipe, whose size is not known, is not empty."""
    if isinstance(path, RemoteFile):
        return path.size == 0
    return path.is_file() and path.stat().st_size == 0


def _damaged(path: Location, compression: str, problem: str) -> InputError:
    return InputError(
        f"the {compression} data is damaged: {problem}",
        where=str(path),
        hint="fetch or make the file again",
    )


class _Counted:
    """A file that tells how many bytes were read from it."""

    closed = False

    def __init__(self, raw: io.RawIOBase, advance: Advance) -> None:
        self._raw, self._advance = raw, advance

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size) or b""
        self._advance(len(data))
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def missing_path(path: Path) -> MissingInputError:
    """Return the error for a path that does not exist; it names what lies nearest."""
    parent = path.parent
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    siblings = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
    missing = path.relative_to(parent).parts[0]
    shown = ", ".join(siblings[:8]) + (", …" if len(siblings) > 8 else "")
    return MissingInputError(
        f"there is no such file or folder.{suggest(missing, siblings)}",
        where=path,
        given=f"in {parent} there is: {shown or 'nothing'}",
        hint="paths are relative to the folder the command runs in",
    )

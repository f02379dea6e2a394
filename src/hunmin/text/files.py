"""Text files on disk: found, unpacked on the way, decoded, line by line."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from hunmin.core.errors import InputError, MissingInputError, suggest
from hunmin.text.encoding import detect_encoding
from hunmin.text.lines import Line, read_lines

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
Advance = Callable[[int], None]


def read_text_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a text file, packed or not, in whatever encoding it is.

    Args:
        path: A file; `.gz` and `.zst` are unpacked on the way.

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
    path: Path, compression: str | None, advance: Advance | None = None
) -> Iterator[BinaryIO]:
    """Open a file, unpacking it on the way.

    Args:
        path: The file.
        compression: gzip, zstd or None.
        advance: Is told of the bytes taken from disk.

    Yields:
        The unpacked bytes as a stream.

    Raises:
        InputError: The compressed data is damaged.
    """
    with path.open("rb", buffering=0) as raw:
        counted = cast(BinaryIO, raw if advance is None else _Counted(raw, advance))
        try:
            if compression is None:
                yield counted
            else:
                native = pa.PythonFile(counted, mode="r")
                with pa.CompressedInputStream(native, compression) as unpacked:
                    yield unpacked
        except (OSError, zlib.error) as error:
            if compression is None or isinstance(error, InputError):
                raise
            raise InputError(
                f"the {compression} data is damaged: {error}",
                where=path,
                hint="fetch or make the file again",
            ) from error


class _Counted:
    """A file that tells how many bytes were read from it."""

    closed = False

    def __init__(self, raw: io.RawIOBase, advance: Advance) -> None:
        self._raw, self._advance = raw, advance

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size) or b""
        self._advance(len(data))
        return data

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

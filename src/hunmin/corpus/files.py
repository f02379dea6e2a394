"""The `files` source: text, JSON lines and Parquet, streamed."""

from __future__ import annotations

import contextlib
import io
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.corpus.discover import InputFile, find_files
from hunmin.corpus.jsonl import read_jsonl
from hunmin.corpus.parquet import read_parquet
from hunmin.corpus.records import Record, batched, cut_records
from hunmin.corpus.spec import FilesSource
from hunmin.corpus.textfile import read_text
from hunmin.text.encoding import detect_encoding
from hunmin.text.lines import Line, read_lines

Advance = Callable[[int], None]


class FileReader:
    """Reads the files of a source one after the other.

    Args:
        source: What the recipe says.
        max_characters: Longer texts are cut.

    Raises:
        InputError: A path is missing, or a file's format is not known.
    """

    unit = "B"

    def __init__(self, source: FilesSource, max_characters: int) -> None:
        self._source, self._max_characters = source, max_characters
        self._files = find_files(source)
        self.name = source.source_name
        self.total: float | None = sum(file.path.stat().st_size for file in self._files)

    def batches(self, advance: Advance) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of the bytes read from disk."""
        records = itertools.chain.from_iterable(
            self._records(file, advance) for file in self._files
        )
        yield from batched(cut_records(records, self._max_characters))

    def _records(self, file: InputFile, advance: Advance) -> Iterator[Record]:
        if file.format == "parquet":
            yield from read_parquet(file, self._source, advance)
            return
        lines = _lines(file, self._source, advance)
        if file.format == "jsonl":
            yield from read_jsonl(lines, file, self._source)
        else:
            yield from read_text(lines, file, self._source, self._max_characters)


def _lines(file: InputFile, source: FilesSource, advance: Advance) -> Iterator[Line]:
    where = str(file.path)
    encoding, mark_bytes = source.encoding, 0
    with _opened(file) as stream:
        if encoding == "auto":
            encoding, mark_bytes = detect_encoding(stream, where=where)
        elif encoding == "utf-8" and stream.read(3) == b"\xef\xbb\xbf":
            mark_bytes = 3
    with _opened(file, advance) as stream:
        yield from read_lines(
            stream, encoding, where=where, mark_bytes=mark_bytes, on_undecodable=source.undecodable
        )


@contextlib.contextmanager
def _opened(file: InputFile, advance: Advance | None = None) -> Iterator[BinaryIO]:
    """Open a file, unpacking it on the way; bytes taken from disk are reported."""
    with file.path.open("rb", buffering=0) as raw:
        counted = cast(BinaryIO, raw if advance is None else _Counted(raw, advance))
        try:
            if file.compression is None:
                yield counted
            else:
                native = pa.PythonFile(counted, mode="r")
                with pa.CompressedInputStream(native, file.compression) as unpacked:
                    yield unpacked
        except (OSError, zlib.error) as error:
            if file.compression is None or isinstance(error, InputError):
                raise
            raise InputError(
                f"the {file.compression} data is damaged: {error}",
                where=file.path,
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

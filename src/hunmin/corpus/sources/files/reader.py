"""The `files` source: every format by its reader, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from hunmin.corpus.records import Record, batched, cut_records
from hunmin.corpus.sources.files.delimited import read_delimited
from hunmin.corpus.sources.files.discover import InputFile, find_files
from hunmin.corpus.sources.files.json_document import read_json
from hunmin.corpus.sources.files.jsonl import read_jsonl
from hunmin.corpus.sources.files.parquet import read_parquet
from hunmin.corpus.sources.files.text import read_text
from hunmin.corpus.sources.reader import SourceReader, pack_files
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.encoding import detect_encoding
from hunmin.text.files import Advance, opened, size_of
from hunmin.text.lines import Line, read_lines

LineReader = Callable[[Iterator[Line], InputFile, FilesSource], Iterator[Record]]
LINE_READERS: Mapping[str, LineReader] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_delimited,
    "tsv": read_delimited,
}
"""Format -> what makes records of a file's lines; plain text and Parquet have ways of their own."""


class FileReader(SourceReader):
    """Reads the files of a source one after the other.

    Args:
        source: What the recipe says.
        max_characters: Longer texts are cut.
        files: Those to read; all of the source by default.

    Raises:
        InputError: A path is missing, or a file's format is not known.
    """

    unit = "B"

    def __init__(
        self, source: FilesSource, max_characters: int, files: Sequence[InputFile] | None = None
    ) -> None:
        self._source, self._max_characters = source, max_characters
        self._files = find_files(source) if files is None else files
        self.name = source.source_name
        self.total: float | None = sum(size_of(file.path) for file in self._files)

    def split(self, part_bytes: int) -> list[SourceReader]:
        """Return a reader for every few files."""
        packs = pack_files(self._files, lambda file: file.path, part_bytes)
        return [FileReader(self._source, self._max_characters, files) for files in packs]

    def batches(self, advance: Advance) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of the bytes read."""
        yield from batched(cut_records(self.records(advance), self._max_characters))

    def records(self, advance: Advance) -> Iterator[Record]:
        """Yield all records as they stand in the files, however long."""
        for file in self._files:
            yield from self._records(file, advance)

    def _records(self, file: InputFile, advance: Advance) -> Iterator[Record]:
        if file.format == "parquet":
            yield from read_parquet(file, self._source, advance)
            return
        if file.format == "html":
            from hunmin.corpus.sources.web.html import read_html

            yield from read_html(file, self._source, advance)
            return
        lines = _lines(file, self._source, advance)
        if file.format == "text":
            yield from read_text(lines, file, self._source, self._max_characters)
        else:
            yield from LINE_READERS[file.format](lines, file, self._source)


def _lines(file: InputFile, source: FilesSource, advance: Advance) -> Iterator[Line]:
    where = str(file.path)
    encoding, mark_bytes = source.encoding, 0
    with opened(file.path, file.compression) as stream:
        if encoding == "auto":
            encoding, mark_bytes = detect_encoding(stream, where=where)
        elif encoding == "utf-8" and stream.read(3) == b"\xef\xbb\xbf":
            mark_bytes = 3
    with opened(file.path, file.compression, advance) as stream:
        yield from read_lines(
            stream, encoding, where=where, mark_bytes=mark_bytes, on_undecodable=source.undecodable
        )

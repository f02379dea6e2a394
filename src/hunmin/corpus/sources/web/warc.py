"""The `warc` source: pages of web archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError
from hunmin.core.extras import require
from hunmin.core.processes import map_in_order
from hunmin.corpus.records import Record, batched, cut_records, to_json
from hunmin.corpus.sources.files.discover import expand_path, resolved, shown_path
from hunmin.corpus.sources.files.fields import UNDECODABLE
from hunmin.corpus.sources.reader import SourceReader, pack_files
from hunmin.corpus.sources.spec import WarcSource
from hunmin.corpus.sources.web.charset import decode_page
from hunmin.corpus.sources.web.extract import TOO_COMPLEX, extract_text, title_of
from hunmin.corpus.sources.web.frames import Frame, frames
from hunmin.text.files import COMPRESSIONS, Advance, Location, opened, size_of

MALFORMED, NOT_HTML, NO_SUCCESS = "malformed WARC record", "not HTML", "not a success"
_PIECE_BYTES = 1 << 21
_READ_KINDS = frozenset({"response", "resource", "conversion", ""})
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})


class Capture(NamedTuple):
    """A record of an archive."""

    label: str
    """Name of the archive."""
    frame: Frame
    """The record."""


class _Page(NamedTuple):
    """What a record holds, before its text is extracted."""

    url: str
    date: str
    mime: str
    declared: str | None
    content: bytes
    reason: str | None
    problem: str


@dataclass(frozen=True)
class CaptureReader:
    """Makes records of archived pages; goes to the workers.

    Args:
        source: What the recipe says.
        max_characters: Longer pages are cut.
    """

    source: WarcSource
    max_characters: int

    def __call__(self, captures: list[Capture]) -> list[pa.RecordBatch]:
        """Return the records of some captures, in their order."""
        records = (self._record(capture) for capture in captures)
        return list(batched(cut_records(records, self.max_characters)))

    def _record(self, capture: Capture) -> Record:
        label, frame = capture
        if frame.problem:
            page = _Page("", "", "", None, frame.data, MALFORMED, frame.problem)
        else:
            page = _parse(frame)
        text, meta, reason = self._read(page, frame.kind)
        place = {"path": label, "offset": frame.offset}
        return Record(
            key=f"{page.url} {page.date}" if page.url else None,
            text=text,
            language=self.source.language,
            source=self.source.source_name,
            license=self.source.license,
            group=_host(page.url) or None,
            meta=to_json(place | {"url": page.url, "date": page.date, "mime": page.mime} | meta),
            reason=reason,
        )

    def _read(self, page: _Page, kind: str) -> tuple[str, dict[str, Any], str | None]:
        """Return text, what is known about it, and why it cannot be used."""
        if page.reason is not None:
            return "", {"problem": page.problem}, page.reason
        decoded = decode_page(page.content, page.declared)
        meta: dict[str, Any] = {"charset": decoded.encoding}
        if decoded.problem:
            return "", meta | {"problem": decoded.problem}, UNDECODABLE
        if kind == "conversion":
            return decoded.text, meta, None
        meta["title"] = title_of(decoded.text)
        extracted = extract_text(decoded.text, self.source.extractor)
        if extracted.problem:
            return "", meta | {"problem": extracted.problem}, TOO_COMPLEX
        return extracted.text, meta, None


def _parse(frame: Frame) -> _Page:
    """Read the heads of a record and undo how its content was sent."""
    module = require("fastwarc.warc", extra="web")
    try:
        archive = module.ArchiveIterator(
            io.BytesIO(frame.data), auto_decode="all", strict_mode=False
        )
        record = next(iter(archive))
        headers, is_http = record.headers, record.is_http_parsed
        mime = record.http_content_type if is_http else headers.get("Content-Type")
        page = _Page(
            url=(headers.get("WARC-Target-URI") or "").strip("<>"),
            date=headers.get("WARC-Date") or "",
            mime=(mime or "").partition(";")[0].strip().lower(),
            declared=record.http_charset if is_http else None,
            content=record.reader.read(),
            reason=None,
            problem="",
        )
        status = record.http_headers.status_code if is_http else 200
    except (OSError, ValueError, StopIteration) as error:
        problem = f"its content cannot be read: {error}"
        return _Page("", "", "", None, b"", MALFORMED, problem)
    return _judge(page, status, frame.kind)


def _judge(page: _Page, status: int | None, kind: str) -> _Page:
    if kind == "response" and status is None:
        return page._replace(reason=MALFORMED, problem="no HTTP status")
    if status is not None and not 200 <= status < 300:
        return page._replace(reason=NO_SUCCESS, problem=f"HTTP status {status}")
    if kind != "conversion" and not _is_html(page):
        return page._replace(reason=NOT_HTML, problem=page.mime or "no Content-Type")
    return page


def _is_html(page: _Page) -> bool:
    start = page.content[:1024].lstrip().lower()
    looks = start.startswith((b"<!doctype html", b"<html")) or b"<html" in start
    return page.mime in _HTML_TYPES or (page.mime == "" and looks)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class WarcReader(SourceReader):
    """Streams the pages of archives.

    Args:
        source: What the recipe says.
        max_characters: Longer pages are cut.
        num_workers: Processes that extract text.
        files: Labels and paths of the archives to read; all of the source by default.

    Raises:
        MissingExtraError: fastwarc or an extractor is not installed.
        MissingInputError: A path does not exist.
        EmptyCorpusError: There is no archive.
    """

    unit = "B"

    def __init__(
        self,
        source: WarcSource,
        max_characters: int,
        num_workers: int = 1,
        files: Sequence[tuple[str, Location]] | None = None,
    ) -> None:
        require("fastwarc", extra="web")
        extract_text("", source.extractor)
        self._reader = CaptureReader(source, max_characters)
        self._files = find_archives(source) if files is None else files
        self._num_workers = num_workers
        self.name = source.source_name
        self.total: float | None = sum(size_of(path) for _, path in self._files)

    def split(self, part_bytes: int) -> list[SourceReader]:
        """Return a reader for every few archives; one that stays alone may use all processes."""
        packs = pack_files(self._files, lambda file: file[1], part_bytes)
        if len(packs) == 1:
            return [self]
        source, max_characters = self._reader.source, self._reader.max_characters
        return [WarcReader(source, max_characters, files=files) for files in packs]

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of the bytes read."""
        done = map_in_order(
            self._reader,
            _pieces(self._captures(advance)),
            self._num_workers,
            problem="a process that read web pages died",
            hint="was there enough memory? `corpus.num_workers=1` reads in one process",
        )
        for batches in done:
            yield from batches

    def _captures(self, advance: Advance) -> Iterator[Capture]:
        for label, path in self._files:
            compression = COMPRESSIONS.get(path.suffix.lower())
            with opened(path, compression, advance) as stream:
                for frame in frames(stream):
                    if frame.kind in _READ_KINDS:
                        yield Capture(label, frame)


def _pieces(captures: Iterable[Capture]) -> Iterator[list[Capture]]:
    piece: list[Capture] = []
    num_bytes = 0
    for capture in captures:
        piece.append(capture)
        num_bytes += len(capture.frame.data)
        if num_bytes >= _PIECE_BYTES:
            yield piece
            piece, num_bytes = [], 0
    if piece:
        yield piece


def find_archives(source: WarcSource) -> list[tuple[str, Location]]:
    """Return label and path of the archives of a source, in the order of their labels.

    Args:
        source: Its paths may be files, folders, globs and addresses.

    Returns:
        Each archive once.

    Raises:
        MissingInputError: A path does not exist, or a glob matches nothing.
        EmptyCorpusError: The folders hold no archive.
    """
    found: dict[Location, tuple[str, Location]] = {}
    for path in source.paths:
        for label, file, was_named in expand_path(path):
            if was_named or ".warc" in file.suffixes or ".wet" in file.suffixes:
                found.setdefault(resolved(file), (label, file))
    if not found:
        raise EmptyCorpusError(
            f"no archive to read for the source '{source.source_name}'",
            where=", ".join(map(shown_path, source.paths)),
            allowed=".warc, .warc.gz, .warc.zst, .warc.wet.gz",
            hint="name another folder, or the files themselves",
        )
    return sorted(found.values(), key=lambda pair: (pair[0], str(pair[1])))

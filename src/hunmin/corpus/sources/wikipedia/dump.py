"""The `wikipedia-dump` source: articles from the XML that Wikimedia publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.processes import map_in_order
from hunmin.corpus.records import Record, batched, cut_records, to_json
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import WikipediaDumpSource
from hunmin.corpus.sources.wikipedia.pages import (
    MALFORMED,
    PAGE_START,
    Page,
    SiteInfo,
    outer_parts,
    parse_pages,
    parse_site_info,
)
from hunmin.corpus.sources.wikipedia.streams import Piece, find_dump, pieces
from hunmin.corpus.sources.wikipedia.wikitext import Wikitext, wikitext_of_edition
from hunmin.text.files import Location, missing_path, size_of

FILE_NAMESPACE, CATEGORY_NAMESPACE = 6, 14
MAX_PAGE_BYTES = 1 << 27
_KEPT_CHARACTERS = 1000


class ReadPiece(NamedTuple):
    """What a worker made of a piece."""

    before: bytes
    """The end of a page that began in an earlier piece."""
    batches: list[pa.RecordBatch]
    """The records of its whole pages."""
    after: bytes
    """The start of a page that ends in a later piece."""
    file_bytes: int
    """Bytes of the file that are done with."""


@dataclass(frozen=True)
class PageReader:
    """Makes records of a dump's pieces; goes to the workers.

    Args:
        source: What the recipe says.
        site: What the dump's head says.
        wikitext: How its pages are read.
        max_characters: Longer articles are cut.
    """

    source: WikipediaDumpSource
    site: SiteInfo
    wikitext: Wikitext
    max_characters: int

    def __call__(self, piece: Piece) -> ReadPiece:
        """Read a piece."""
        before, whole, after = outer_parts(piece.unpack())
        return ReadPiece(before, self.read(whole), after, piece.length)

    def read(self, xml: bytes) -> list[pa.RecordBatch]:
        """Return the records of whole pages."""
        # A character that is not UTF-8 spoils itself, not its page.
        found = parse_pages(xml.decode("utf-8", errors="replace"))
        records = (record for page in found for record in self._records(page))
        return list(batched(cut_records(records, self.max_characters)))

    def _records(self, page: Page) -> Iterator[Record]:
        source = self.source
        if page.problem:
            yield self._record(page, page.wikitext[:_KEPT_CHARACTERS], MALFORMED)
            return
        if page.namespace not in source.namespaces or page.is_redirect:
            return
        if not source.disambiguation and self.wikitext.is_disambiguation(page.wikitext):
            return
        text = self.wikitext(page.wikitext)
        if source.title and text:
            text = f"{page.title}\n\n{text}"
        yield self._record(page, text, None)

    def _record(self, page: Page, text: str, reason: str | None) -> Record:
        source = self.source
        return Record(
            key=page.id or None,
            text=text,
            language=source.language,
            source=source.source_name,
            license=source.license,
            group=None,
            meta=to_json(self._meta(page)),
            reason=reason,
        )

    def _meta(self, page: Page) -> dict[str, object]:
        meta: dict[str, object] = {
            "page": page.id,
            "title": page.title,
            "revision": page.revision,
            "url": self.site.url(page.title),
        }
        if self.source.categories:
            meta["categories"] = self.wikitext.categories_of(page.wikitext)
        return meta | ({"problem": page.problem} if page.problem else {})


class WikipediaDumpReader(SourceReader):
    """Streams the articles of a dump.

    Args:
        source: What the recipe says.
        max_characters: Longer articles are cut.
        num_workers: Processes that unpack and read.

    Raises:
        MissingInputError: There is no such file.
        InputError: The file is no dump.
        UnreachableError: A server does not answer.
    """

    unit = "B"

    def __init__(
        self, source: WikipediaDumpSource, max_characters: int, num_workers: int = 1
    ) -> None:
        found = find_dump(source.path)
        if not found:
            raise _no_file(Path(source.path))
        self._path, self._num_workers = found[0], num_workers
        self.name = source.source_name
        self.total: float | None = size_of(self._path)
        site = _read_head(self._path)
        names = site.namespaces
        self._reader = PageReader(
            source,
            site,
            wikitext_of_edition(
                frozenset({names.get(FILE_NAMESPACE, "")}),
                frozenset({names.get(CATEGORY_NAMESPACE, "")}),
                source.templates,
            ),
            max_characters,
        )

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of the bytes of the file that are done with."""
        done = map_in_order(
            self._reader,
            pieces(self._path),
            self._num_workers,
            problem="a process that read the dump died",
            hint="was there enough memory? `num_workers: 1` reads in one process",
        )
        yield from self._joined(done, advance)

    def _joined(
        self, done: Iterable[ReadPiece], advance: Callable[[int], None]
    ) -> Iterator[pa.RecordBatch]:
        """Put together the pages that lie across pieces."""
        begun: list[bytes] = []
        begun_bytes = 0
        for piece in done:
            advance(piece.file_bytes)
            begun.append(piece.before)
            begun_bytes += len(piece.before)
            if piece.batches or piece.after:
                yield from self._reader.read(b"".join(begun))
                begun, begun_bytes = [], 0
            yield from piece.batches
            begun.append(piece.after)
            begun_bytes += len(piece.after)
            if begun_bytes > MAX_PAGE_BYTES:
                raise _endless_page(self._path)
        rest = b"".join(begun)
        yield from self._reader.read(rest)
        if b"</mediawiki>" not in rest:
            raise _cut_short(self._path)


def _read_head(path: Location) -> SiteInfo:
    head = b""
    for piece in pieces(path):
        head += piece.unpack()
        if b"</siteinfo>" in head or PAGE_START in head or len(head) > MAX_PAGE_BYTES:
            break
    if b"<mediawiki" not in head:
        raise InputError(
            "this is no dump of a wiki",
            where=str(path),
            given=head[:60].decode("utf-8", errors="replace") or "an empty file",
            allowed="XML that begins with <mediawiki>, also .bz2, .gz, .xz or .zst",
            hint="name the file …-pages-articles-multistream.xml.bz2, not its index",
        )
    return parse_site_info(head.partition(PAGE_START)[0].decode("utf-8", errors="replace"))


def _no_file(path: Path) -> InputError:
    if not path.exists():
        return missing_path(path)
    dumps = sorted(entry.name for entry in path.glob("*pages-articles*.xml*"))
    return EmptyCorpusError(
        "a dump is one file, and this is a folder",
        where=path,
        given=", ".join(dumps) or "no file named …pages-articles….xml.bz2 in it",
        hint="name the file; a dump in several files is several sources",
    )


def _endless_page(path: Location) -> InputError:
    return InputError(
        f"a page is longer than {MAX_PAGE_BYTES >> 20} MiB",
        where=str(path),
        hint="is this an export of a wiki? Fetch it again and compare its checksum",
    )


def _cut_short(path: Location) -> InputError:
    return InputError(
        "the dump ends before its end: no </mediawiki>",
        where=str(path),
        hint="fetch it again and compare its checksum",
    )

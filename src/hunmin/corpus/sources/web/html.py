"""HTML files: one file, one document."""

from __future__ import annotations

from collections.abc import Iterator

from hunmin.core.errors import TextEncodingError
from hunmin.corpus.records import Record, to_json
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import UNDECODABLE
from hunmin.corpus.sources.spec import FilesSource
from hunmin.corpus.sources.web.charset import DecodedPage, decode_page
from hunmin.corpus.sources.web.extract import (
    MAX_PAGE_CHARACTERS,
    TOO_COMPLEX,
    extract_text,
    title_of,
)
from hunmin.text.files import Advance, opened

_MAX_BYTES = 4 * MAX_PAGE_CHARACTERS


def read_html(file: InputFile, source: FilesSource, advance: Advance) -> Iterator[Record]:
    """Yield the document of an HTML file.

    Args:
        file: Where it lies.
        source: Says how it is decoded and extracted.
        advance: Told of the bytes read.

    Yields:
        One record; a page that cannot be read comes with a reason.

    Raises:
        TextEncodingError: It does not fit an encoding, and the source refuses such files.
    """
    with opened(file.path, file.compression, advance) as stream:
        data = stream.read(_MAX_BYTES + 1)
    page = _decoded(data, source)
    if page.problem and source.undecodable == "refuse":
        raise TextEncodingError(
            f"this page is not text: {page.problem}",
            where=str(file.path),
            hint="name its encoding (`encoding: cp949`), or say `undecodable: reject`",
        )
    text, reason, problem = "", UNDECODABLE, page.problem
    if not page.problem:
        text, problem = extract_text(page.text, source.extractor)
        reason = TOO_COMPLEX
    meta = {"path": file.label, "title": title_of(page.text), "charset": page.encoding}
    yield Record(
        key=file.label,
        text=text,
        language=source.language,
        source=source.source_name,
        license=source.license,
        group=None,
        meta=to_json(meta | ({"problem": problem} if problem else {})),
        reason=reason if problem else None,
    )


def _decoded(data: bytes, source: FilesSource) -> DecodedPage:
    if source.encoding == "auto":
        return decode_page(data)
    try:
        return DecodedPage(data.decode(source.encoding), source.encoding, "")
    except UnicodeDecodeError as error:
        text = data.decode(source.encoding, errors="replace")
        return DecodedPage(text, source.encoding, f"byte {error.start:,}: {error.reason}")

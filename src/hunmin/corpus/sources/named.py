"""Texts that a command line names: `[NAME=]PATH[:FIELD]`, or a documents artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.corpus.documents import DOCUMENTS_KIND, Split, part_paths, read_documents
from hunmin.corpus.kernels import normalize_text
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import FieldNames, FilesSource, TableLayout
from hunmin.text.cleaning import CleanText
from hunmin.text.languages import UNDETERMINED

Unit = Literal["file", "paragraph", "line"]
MAX_CHARACTERS = 1_000_000
_TOLD: dict[str, Literal["auto", "json", "html"]] = {
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}
_CLEAN = CleanText()
logger = get_logger(__name__)


class NamedText(NamedTuple):
    """A text, normalised and cleaned as a build does it."""

    text: str
    """Never empty."""
    source: str
    """Name of what it comes from."""
    language: str
    """BCP 47 tag; `und` where nothing says it."""


@dataclass(frozen=True)
class Limits:
    """How much is read."""

    max_bytes: int | None = None
    """Most UTF-8 bytes of each path; None for all."""
    split: Split = "train"
    """The split that is read of documents artifacts."""


def source_of(
    written: str, *, unit: Unit = "paragraph", language: str = UNDETERMINED
) -> FilesSource:
    """Return the source that `[NAME=]PATH[:FIELD]` means.

    Args:
        written: A file, a folder or a glob; FIELD names what holds the text in JSON, Parquet and
            tables, or a column by its number from 1, and is `text` by default.
        unit: What one document of a plain text file is.
        language: BCP 47 tag of the texts.

    Returns:
        The source, as a recipe would have it; JSON documents and HTML pages go by their ending.

    Raises:
        InputError: The name, the field or the language cannot be used.
    """
    name, path, field = split_written(written)
    endings = [suffix.lower() for suffix in Path(path).suffixes]
    try:
        return FilesSource(
            paths=(path,),
            name=name,
            language=language,
            unit=unit,
            format=next((_TOLD[end] for end in endings if end in _TOLD), "auto"),
            fields=FieldNames(text=field or "text"),
            table=TableLayout(header=not (field or "").isdigit()),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"this names no texts: {first['msg']}",
            where=written,
            given=repr(first["input"]),
            allowed="[NAME=]PATH[:FIELD], such as reviews=reviews.jsonl:document",
        ) from error


def split_written(written: str) -> tuple[str | None, str, str | None]:
    """Part `[NAME=]PATH[:FIELD]`; whatever exists as a path is one.

    Args:
        written: What the user wrote.

    Returns:
        Name and field, None where there are none, around the path.
    """
    if _is_there(written):
        return None, written, None
    name, equals, rest = written.partition("=")
    if not equals or not name or "/" in name:
        name, rest = "", written
    for place, character in enumerate(rest):
        if character == ":" and _is_there(rest[:place]) and rest[place + 1 :]:
            return name or None, rest[:place], rest[place + 1 :]
    return name or None, rest, None


def _is_there(path: str) -> bool:
    return bool(path) and (Path(path).exists() or bool(set(path) & set("*?[") and ":" not in path))


def read_named(
    written: Sequence[str],
    *,
    unit: Unit = "paragraph",
    language: str = UNDETERMINED,
    limits: Limits = Limits(),
    title: str = "reading",
) -> list[NamedText]:
    """Read what a command line names.

    Args:
        written: Items `[NAME=]PATH[:FIELD]`, or folders of documents artifacts.
        unit: What one document of a plain text file is.
        language: BCP 47 tag of texts that say nothing else.
        limits: How much is read.
        title: Of the progress bar.

    Returns:
        The texts that are not empty, in their order.

    Raises:
        MissingInputError: A path does not exist.
        EmptyCorpusError: A path holds no text.
        InputError: A file cannot be read as what it seems to be.
    """
    found: list[NamedText] = []
    for item in written:
        texts = list(_read(item, unit, language, limits, title))
        if not texts:
            raise EmptyCorpusError(
                "there is no text here", where=item, hint="name other files, or another field"
            )
        found += texts
    return found


def is_artifact(path: str | Path) -> bool:
    """Tell whether a folder is an artifact."""
    return (Path(path) / MANIFEST_NAME).is_file()


def _read(
    written: str, unit: Unit, language: str, limits: Limits, title: str
) -> Iterator[NamedText]:
    name, path, _ = split_written(written)
    if is_artifact(path):
        yield from _read_artifact(name, Path(path), limits, title)
        return
    source = source_of(written, unit=unit, language=language)
    reader = FileReader(source, MAX_CHARACTERS)
    with progress(f"{title} {source.source_name}", total=reader.total, unit="B") as bar:
        yield from _texts(reader.batches(bar.advance), source.source_name, limits)


def _read_artifact(name: str | None, path: Path, limits: Limits, title: str) -> Iterator[NamedText]:
    documents = load_artifact(path, DOCUMENTS_KIND, verify=False)
    parts = part_paths(path / limits.split)
    total = sum(pq.read_metadata(part).num_rows for part in parts)
    with progress(f"{title} {path}", total=total, unit="documents") as bar:
        columns = ["text", "language", "source"]
        batches = _counted(read_documents(documents, limits.split, columns), bar.advance)
        yield from _texts(batches, name, limits)


def _counted(
    batches: Iterator[pa.RecordBatch], advance: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        advance(batch.num_rows)


def _texts(
    batches: Iterator[pa.RecordBatch], name: str | None, limits: Limits
) -> Iterator[NamedText]:
    """Yield clean texts until there are enough bytes of them; records with a reason are none."""
    room = limits.max_bytes
    for batch in batches:
        batch = _CLEAN(normalize_text(batch))
        reasons = (
            batch["reason"] if "reason" in batch.schema.names else pa.nulls(batch.num_rows)
        ).to_pylist()
        columns = (batch[column].to_pylist() for column in ("text", "source", "language"))
        for text, source, language, reason in zip(*columns, reasons, strict=True):
            if not text.strip() or reason is not None:
                continue
            yield NamedText(text, name or source, language)
            if room is not None:
                room -= len(text.encode())
                if room <= 0:
                    logger.info("%s: the rest is left out, this is enough", name or source)
                    return

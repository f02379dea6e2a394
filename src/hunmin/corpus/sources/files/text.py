"""Plain text files: one document a file, a paragraph or a line."""

from __future__ import annotations

from collections.abc import Iterator

from hunmin.corpus.records import Record, to_json
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.lines import Line


def read_text(
    lines: Iterator[Line], file: InputFile, source: FilesSource, max_characters: int
) -> Iterator[Record]:
    """Yield the documents of a text file.

    Args:
        lines: The file's lines.
        file: Where they come from.
        source: Says what a document is: the file, a paragraph (parted by empty lines) or a line.
        max_characters: A longer document ends at the line that reaches it.

    Yields:
        Records without key (paragraphs and lines), or with the file's name as key and group.
    """
    gathered: list[str] = []
    first, characters, piece = 1, 0, 0
    for line in lines:
        if line.problem is not None:
            yield _record(file, source, line.text, line.number, reason=line.problem)
            continue
        if not gathered:
            first = line.number
        gathered.append(line.text)
        characters += len(line.text) + 1
        if _is_complete(line.text, source.unit) or characters >= max_characters:
            yield _record(file, source, "\n".join(gathered), first, piece=piece)
            gathered, characters, piece = [], 0, piece + 1
    if gathered or piece == 0:
        yield _record(file, source, "\n".join(gathered), first, piece=piece)


def _is_complete(line: str, unit: str) -> bool:
    return unit == "line" or (unit == "paragraph" and not line.strip())


def _record(
    file: InputFile,
    source: FilesSource,
    text: str,
    line: int,
    *,
    piece: int = 0,
    reason: str | None = None,
) -> Record:
    whole = source.unit == "file" and reason is None
    key = None if not whole else file.label if piece == 0 else f"{file.label}#{piece}"
    meta = {"path": file.label, "line": line}
    if reason is not None:
        meta["problem"] = reason
    return Record(
        key=key,
        text=text,
        language=source.language,
        source=source.source_name,
        license=source.license,
        group=file.label if whole else None,
        meta=to_json(meta),
        reason=None if reason is None else "undecodable",
    )

"""JSON files: one value a file, documents at the end of a path (SQuAD and its kin)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hunmin.core.errors import InputError
from hunmin.corpus.records import Record
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import UNDECODABLE, FieldReader
from hunmin.corpus.sources.files.jsonl import INVALID_JSON, no_text_field, parse_json
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.lines import Line

MAX_CHARACTERS = 1 << 29
_KEPT_CHARACTERS = 1000


def read_json(lines: Iterator[Line], file: InputFile, source: FilesSource) -> Iterator[Record]:
    """Yield the documents of a JSON file.

    Args:
        lines: The file's lines.
        file: Where they come from.
        source: Names the fields; lists on the text's path make several documents.

    Yields:
        Records; a file that is no JSON comes with a reason and its first characters.

    Raises:
        InputError: There is no text field in it, or it is larger than 512 M characters.

    Note:
        Memory: the whole file and its objects. Larger data belongs into JSON lines.
    """
    reader = FieldReader(source, file.label, "object")
    text, undecodable = _whole(lines, file)
    value, problem = (None, undecodable) if undecodable else parse_json(text)
    if value is None:
        reason = UNDECODABLE if undecodable else INVALID_JSON
        yield reader.reject(text[:_KEPT_CHARACTERS], 1, reason, problem)
        return
    members = value if isinstance(value, list) else [value]
    if members and not any(reader.has_text(member) for member in members):
        raise no_text_field("the file", members[0], file, source)
    for number, member in enumerate(members, 1):
        yield from reader.records(member, number, _shown(member))


def _whole(lines: Iterator[Line], file: InputFile) -> tuple[str, str]:
    """Return the file's text and what is wrong with it."""
    gathered: list[str] = []
    characters, problem = 0, ""
    for line in lines:
        gathered.append(line.text)
        characters += len(line.text) + 1
        problem = problem or line.problem or ""
        if characters > MAX_CHARACTERS:
            raise InputError(
                f"this JSON file is longer than {MAX_CHARACTERS >> 20} M characters",
                where=str(file.path),
                hint="write one object a line: jq -c '.[]' FILE.json > FILE.jsonl",
            )
    return "\n".join(gathered), problem


def _shown(value: Any) -> str:
    return str(value)[:_KEPT_CHARACTERS]

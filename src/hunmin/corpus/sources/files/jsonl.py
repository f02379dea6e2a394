"""JSON lines: one object with a text a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hunmin.core.errors import InputError, suggest
from hunmin.corpus.records import Record
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import UNDECODABLE, FieldReader
from hunmin.corpus.sources.files.paths import paths_to_text, text_fields
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.lines import Line

INVALID_JSON = "invalid JSON"
_DECODER = json.JSONDecoder()
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(lines: Iterator[Line], file: InputFile, source: FilesSource) -> Iterator[Record]:
    """Yield one record for each line that is not blank.

    Args:
        lines: The file's lines.
        file: Where they come from.
        source: Names the fields.

    Yields:
        Records; a line that is no JSON object or has no text comes with a reason.

    Raises:
        InputError: The first object has no text field: the recipe names the wrong one.
    """
    reader = FieldReader(source, file.label, "line")
    plain_field = reader.plain_field
    is_first = True
    for line in lines:
        if not line.text or line.text.isspace():
            continue
        values, problem = _parse(line)
        if values is None:
            reason = UNDECODABLE if line.problem else INVALID_JSON
            yield reader.reject(line.text, line.number, reason, problem)
            continue
        text = None if plain_field is None else values.get(plain_field)
        if isinstance(text, str):
            is_first = False
            yield reader.record(values, text, line.number)
            continue
        if is_first and not reader.has_text(values):
            raise no_text_field(f"line {line.number}", values, file, source)
        is_first = False
        yield from reader.records(values, line.number, line.text)


def _parse(line: Line) -> tuple[dict[str, Any] | None, str]:
    if line.problem is not None:
        return None, line.problem
    values, problem = parse_json(line.text)
    if values is not None and not isinstance(values, dict):
        return None, f"a {type(values).__name__}, not an object"
    return values, problem


def parse_json(text: str) -> tuple[Any, str]:
    """Read a JSON value.

    Args:
        text: With nothing but blanks around the value.

    Returns:
        The value and an empty string, or None and what is wrong; for null both.
    """
    try:
        text = text.strip()
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        return None, str(error)
    if end != len(text):
        return None, f"more after the end of the object: char {end}"
    if value is None:
        return None, "null, not an object"
    if _SURROGATE_ESCAPE.search(text) and not _is_unicode(value):
        return None, "half of a surrogate pair, which is not a character"
    return value, ""


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def no_text_field(place: str, value: Any, file: InputFile, source: FilesSource) -> InputError:
    """Return the error for a recipe that names the wrong field.

    Args:
        place: Where in the file the object stands.
        value: The object.
        file: The file.
        source: Names the field.

    Returns:
        The error, with the field that is most likely meant.
    """
    field = text_fields(source.fields)[0]
    lengths = paths_to_text(value)
    names = list(dict.fromkeys([*value, *lengths])) if isinstance(value, dict) else list(lengths)
    # The longest one is most likely what the user means.
    example = max(lengths, key=lengths.__getitem__, default="NAME")
    return InputError(
        f"{place} has no field '{field}' for the text.{suggest(field, names)}",
        where=str(file.path),
        given=f"the fields {', '.join(names[:20]) or '(none)'}",
        hint=f"name the field in the source: `fields: {{text: {example}}}`",
    )

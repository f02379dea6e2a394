"""JSON lines: one object with a text a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hunmin.core.errors import InputError, suggest
from hunmin.corpus.records import Record
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import FieldReader
from hunmin.corpus.spec import FilesSource
from hunmin.text.lines import Line

INVALID_JSON = "invalid JSON"
_DECODER = json.JSONDecoder()
NO_TEXT = "no text field"
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
    field = source.fields.text
    is_first = True
    for line in lines:
        if not line.text or line.text.isspace():
            continue
        values, problem = _parse(line)
        if values is None:
            reason = "undecodable" if line.problem else INVALID_JSON
            yield reader.reject(line.text, line.number, reason, problem)
            continue
        text = values.get(field)
        if is_first and field not in values:
            raise _no_text_field(field, values, file, line.number)
        is_first = False
        if isinstance(text, str):
            yield reader.record(values, text, line.number)
        else:
            kind = "missing" if text is None else f"a {type(text).__name__}, not a string"
            yield reader.reject(line.text, line.number, NO_TEXT, f"'{field}' is {kind}")


def _parse(line: Line) -> tuple[dict[str, Any] | None, str]:
    if line.problem is not None:
        return None, line.problem
    try:
        text = line.text.strip()
        values, end = _DECODER.raw_decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        return None, str(error)
    if end != len(text):
        return None, f"more after the end of the object: char {end}"
    if not isinstance(values, dict):
        return None, f"a {type(values).__name__}, not an object"
    if _SURROGATE_ESCAPE.search(text) and not _is_unicode(values):
        return None, "half of a surrogate pair, which is not a character"
    return values, ""


def _is_unicode(values: dict[str, Any]) -> bool:
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_text_field(
    field: str, values: dict[str, Any], file: InputFile, line_number: int
) -> InputError:
    near = suggest(field, values)
    lengths = {name: len(value) for name, value in values.items() if isinstance(value, str)}
    # The longest one is most likely what the user means.
    example = max(lengths, key=lengths.__getitem__, default="NAME")
    return InputError(
        f"line {line_number} has no field '{field}' for the text.{near}",
        where=file.path,
        given=f"the fields {', '.join(values) or '(none)'}",
        hint=f"name the field in the source: `fields: {{text: {example}}}`",
    )

"""Records of JSON-lines files, with a message that names the place where one is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from hunmin.adapt.nlu.annotations import Place
from hunmin.core.errors import InputError


def parse_object(line: str, place: Place) -> dict[str, Any]:
    """Read one line.

    Args:
        line: A JSON object.
        place: File and line, for messages.

    Returns:
        Its fields.

    Raises:
        InputError: It is not JSON, with the column, or no object.
    """
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"a line that is not JSON: {error.msg}",
            where=place.at(error.colno),
            given=line.strip()[:60],
            allowed="one JSON object on each line",
            hint="correct or remove the line",
        ) from error
    if not isinstance(fields, dict):
        raise InputError(
            "a line that is no JSON object",
            where=place.at(),
            given=line.strip()[:60],
            allowed='an object such as {"id": "0", "locale": "ko-KR", …}',
            hint="correct or remove the line",
        )
    return fields


def require_fields(fields: dict[str, Any], names: Sequence[str], place: Place) -> None:
    """Refuse a record without fields that it needs.

    Args:
        fields: The record.
        names: What it needs.
        place: File, line and record, for messages.

    Raises:
        InputError: Some are missing; the message names them.
    """
    missing = [name for name in names if name not in fields]
    if missing:
        raise InputError(
            f"the record has no {', '.join(missing)}",
            where=place.at(),
            given=f"fields {', '.join(fields) or 'none'}",
            allowed=f"all of {', '.join(names)}",
            hint="add the missing fields",
        )


def require_text(fields: dict[str, Any], names: Iterable[str], place: Place) -> None:
    """Refuse a record with fields that are no text.

    Args:
        fields: The record.
        names: Fields that it has.
        place: File, line and record, for messages.

    Raises:
        InputError: A field is no string, or one that UTF-8 cannot hold: JSON can also write half a
            surrogate pair.
    """
    for name in names:
        if not _is_text(fields[name]):
            raise InputError(
                f"the field {name} is no text",
                where=place.at(),
                given=ascii(fields[name]),
                allowed="a JSON string of Unicode characters",
                hint="correct the field",
            )


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

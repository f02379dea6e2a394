"""Records of data sets: a line each, and what is said of one that is malformed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hunmin.adapt.nlu.annotations import Place
from hunmin.adapt.nlu.json_lines import parse_object, require_fields, require_text
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import InputError
from hunmin.text.files import read_text_lines

Draft = Callable[[], Utterance]
"""Makes one utterance, or says what is wrong with its record."""
DataFile = tuple[Path, re.Match[str]]
"""A file of a data set, and what its name says."""
PARTITIONS = {"train": "train", "valid": "dev", "dev": "dev", "devel": "dev", "test": "test"}
"""A data set's name of a partition -> ours."""


def records(
    path: Path, names: Sequence[str], texts: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read JSON lines.

    Args:
        path: The file, packed or not.
        names: Fields that every record needs.
        texts: Those of them that are text.

    Yields:
        Number of the line, from 1, and the fields.

    Raises:
        InputError: A line is no such record; the message names it.
    """
    for number, line in enumerate(read_text_lines(path), start=1):
        place = Place(str(path), number)
        fields = parse_object(line.text, place)
        require_fields(fields, names, place)
        require_text(fields, texts, place)
        yield number, fields


def refuse(problem: str, place: Place, given: object, allowed: str | None) -> NoReturn:
    """Say what is wrong with a record.

    Args:
        problem: What it is.
        place: Where.
        given: What stands there.
        allowed: What may stand there.

    Raises:
        InputError: Always.
    """
    raise InputError(
        problem, where=place.at(), given=given, allowed=allowed, hint="correct or remove the record"
    )

"""Folders of LOCALE.jsonl files in the form of the MASSIVE data set, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hunmin.adapt.nlu.annotations import Place
from hunmin.adapt.nlu.json_lines import parse_object, require_fields, require_text
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.core.atomic import atomic_file
from hunmin.core.errors import EmptyCorpusError, InputError, MissingInputError, suggest

TEXT_FIELDS = ("id", "locale", "partition", "scenario", "intent", "utt", "annot_utt")
REQUIRED_FIELDS = tuple(name for name in TEXT_FIELDS if name != "scenario")
_SUBTAG = re.compile("[-_]")
_SHORT_CODE = 2
_MOST_NAMES = 5


def read_folder(
    folder: Path,
    *,
    locales: Sequence[str] | None = None,
    partitions: Collection[str] | None = None,
) -> dict[str, list[Utterance]]:
    """Read the utterances of a folder.

    Args:
        folder: Holds LOCALE.jsonl files.
        locales: Names of files without `.jsonl`; None for all of them.
        partitions: Partitions to keep, such as train; None for all.

    Returns:
        Locale -> utterances in the order of the file.

    Raises:
        MissingInputError: No such folder, or a locale has no file.
        EmptyCorpusError: A locale has no utterance in these partitions.
        InputError: A record is malformed; the message names file, line and record.
    """
    files = locale_files(folder)
    for locale in locales or ():
        check_locale(locale, files, folder)
    wanted = files if locales is None else locales
    return {name: read_file(files[name], partitions=partitions) for name in wanted}


def locale_files(folder: Path) -> dict[str, Path]:
    """Find the files of a folder.

    Args:
        folder: Holds LOCALE.jsonl files.

    Returns:
        Locale -> file, by locale.

    Raises:
        MissingInputError: There is none.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.jsonl"))}
    if not files:
        raise MissingInputError(
            "no LOCALE.jsonl file in this folder",
            where=folder,
            allowed="files such as ko-KR.jsonl",
            hint="name the folder that holds them, such as samples/massive, or unpack the data set "
            "here",
        )
    return files


def check_locale(locale: str, present: Collection[str], *folders: Path) -> None:
    """Refuse a locale that has no file.

    Args:
        locale: What is wanted.
        present: What there is.
        *folders: Where that is.

    Raises:
        MissingInputError: The locale has no file; the message names the nearest one.
    """
    if locale not in present:
        raise MissingInputError(
            f"no data for the locale '{locale}'.{_suggest_locale(locale, present)}",
            where=", ".join(map(str, folders)),
            given=locale,
            allowed=", ".join(sorted(present)),
            hint="name a locale that has a file, or add its file",
        )


def _suggest_locale(locale: str, present: Collection[str]) -> str:
    """Suggest by name, else by language or country (kr for ko-KR), else codes one letter away."""
    near = suggest(locale, present)
    if near:
        return near
    parts = {part.lower() for part in _SUBTAG.split(locale)}
    found = [name for name in present if parts & {part.lower() for part in _SUBTAG.split(name)}]
    if not found and len(locale) == _SHORT_CODE:
        found = [
            name for name in present if len(name) == _SHORT_CODE and name[0] == locale[0].lower()
        ]
    if not 0 < len(found) <= _MOST_NAMES:
        return ""
    return f" Did you mean {' or '.join(repr(name) for name in sorted(found))}?"


def read_file(path: Path, *, partitions: Collection[str] | None = None) -> list[Utterance]:
    """Read the utterances of one locale.

    Args:
        path: LOCALE.jsonl.
        partitions: Partitions to keep; None for all. Records of others are checked, too.

    Returns:
        Utterances in the order of the file.

    Raises:
        MissingInputError: No such file.
        EmptyCorpusError: No utterance in these partitions.
        InputError: A record is malformed; the message names file, line and record.
    """
    if not path.is_file():
        raise MissingInputError("no such file", where=path, hint="check the path")
    utterances: list[Utterance] = []
    lines_of_keys: dict[tuple[str, str], int] = {}
    found: set[str] = set()
    for number, line in _lines(path):
        made = read_record(line, Place(str(path), number), locale=path.stem)
        _check_new(made, lines_of_keys, Place(str(path), number, made.id))
        found.add(made.partition)
        if partitions is None or made.partition in partitions:
            utterances.append(made)
    if not utterances:
        raise EmptyCorpusError(
            "no utterance is left",
            where=path,
            given=f"partitions {sorted(found)}",
            allowed="at least one record" if partitions is None else sorted(partitions),
            hint="choose a partition that the file has, or leave this locale out",
        )
    return utterances


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield lines and their numbers; bytes are split, as texts may hold other line separators."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    "a line that is not UTF-8",
                    where=f"{path}:{number}:{error.start + 1}",
                    given=f"byte 0x{line[error.start]:02x}",
                    allowed="UTF-8",
                    hint="convert the file to UTF-8",
                ) from error


def _check_new(made: Utterance, lines: dict[tuple[str, str], int], place: Place) -> None:
    first = lines.setdefault((made.partition, made.id), place.line or 0)
    if first != place.line:
        raise InputError(
            f"the id '{made.id}' of line {first} occurs again in partition '{made.partition}'",
            where=place.at(),
            given=made.id,
            allowed="one record for each id and partition of a locale",
            hint="remove one of the two records",
        )


def read_record(line: str, place: Place, *, locale: str | None = None) -> Utterance:
    """Read one line.

    Args:
        line: A JSON object.
        place: File and line, for messages.
        locale: What the record must name as its locale; None for any.

    Returns:
        The utterance; fields without a meaning here are kept.

    Raises:
        InputError: No JSON object, a field missing or no text, another locale, or a malformed
            annotation.
    """
    fields = parse_object(line, place)
    place = Place(place.path, place.line, str(fields.get("id", "without id")))
    require_fields(fields, REQUIRED_FIELDS, place)
    require_text(fields, [name for name in TEXT_FIELDS if name in fields], place)
    if locale is not None and fields["locale"] != locale:
        raise InputError(
            "a record of another locale than its file",
            where=place.at(),
            given=fields["locale"],
            allowed=locale,
            hint="move the record to the file of its locale",
        )
    known = {name: fields[name] for name in TEXT_FIELDS if name in fields}
    extra = {name: value for name, value in fields.items() if name not in known}
    return make_utterance(**known, extra=extra, place=place)


def record_of(utterance: Utterance) -> dict[str, Any]:
    """Return the fields of an utterance in MASSIVE's order, others after them."""
    known = {name: getattr(utterance, name) for name in TEXT_FIELDS}
    return known | dict(utterance.extra)


def write_folder(folder: Path, utterances: Iterable[Utterance]) -> list[Path]:
    """Write LOCALE.jsonl for each locale, every file whole or not at all.

    Args:
        folder: Made if it does not exist; files of other locales stay.
        utterances: Written in this order.

    Returns:
        The files, by locale.

    Raises:
        EmptyCorpusError: There is no utterance.
        DiskFullError: The disk is full.
    """
    by_locale: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_locale.setdefault(utterance.locale, []).append(utterance)
    if not by_locale:
        raise EmptyCorpusError("no utterance to write", where=folder, hint="read some first")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write_file(folder / f"{locale}.jsonl", rows) for locale, rows in sorted(by_locale.items())
    ]


def _write_file(path: Path, utterances: list[Utterance]) -> Path:
    with atomic_file(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        for utterance in utterances:
            file.write(json.dumps(record_of(utterance), ensure_ascii=False) + "\n")
    return path

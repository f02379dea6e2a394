"""From named fields to records, the same for JSON lines and Parquet rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hunmin.core.errors import InputError
from hunmin.corpus.records import Record, to_json
from hunmin.corpus.spec import FilesSource
from hunmin.text.languages import normalize_tag


class FieldReader:
    """Makes records from the fields of one file.

    Args:
        source: Names the fields and holds what stands in for them.
        label: Name of the file, kept in `meta`.
        counter: What places in the file are called: `line` or `row`.
    """

    def __init__(self, source: FilesSource, label: str, counter: str) -> None:
        self._source, self._fields = source, source.fields
        self._label, self._counter = label, counter
        self._prefix = f'{{"path":{json.dumps(label, ensure_ascii=False)},"{counter}":'
        self._tags: dict[str, str] = {}
        self._name = source.source_name
        self._is_plain = self._fields.meta == ()

    def record(self, values: Mapping[str, Any], text: str, number: int) -> Record:
        """Return the record of one line or row."""
        fields = self._fields
        meta = f"{self._prefix}{number}}}"
        if not self._is_plain:
            kept = {name: values[name] for name in fields.meta if name in values}
            meta = to_json({"path": self._label, self._counter: number} | kept)
        return Record(
            key=_string(values, fields.id),
            text=text,
            language=self._language(values, number),
            source=self._name,
            license=_string(values, fields.license) or self._source.license,
            group=_string(values, fields.group),
            meta=meta,
        )

    def reject(self, text: str, number: int, reason: str, problem: str) -> Record:
        """Return the record of a line or row that cannot be used."""
        meta = {"path": self._label, self._counter: number, "problem": problem}
        return Record(
            None,
            text,
            self._source.language,
            self._name,
            self._source.license,
            None,
            to_json(meta),
            reason,
        )

    def _language(self, values: Mapping[str, Any], number: int) -> str:
        if self._fields.language is None:
            return self._source.language
        tag = _string(values, self._fields.language)
        if not tag:
            return self._source.language
        if tag not in self._tags:
            try:
                self._tags[tag] = normalize_tag(tag)
            except InputError as error:
                raise InputError(
                    error.problem,
                    where=f"{self._label}, {self._counter} {number}",
                    given=error.given,
                    allowed=error.allowed,
                    hint=f"repair the field '{self._fields.language}', or do not name it in "
                    "`fields.language`",
                ) from error
        return self._tags[tag]


def _string(values: Mapping[str, Any], field: str | None) -> str | None:
    if field is None:
        return None
    value = values.get(field)
    return value if value is None or isinstance(value, str) else str(value)

"""From named fields to records, the same for JSON, Parquet and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hunmin.core.errors import InputError
from hunmin.corpus.records import Record, to_json
from hunmin.corpus.sources.files.paths import (
    NestedFields,
    fill_pattern,
    is_pattern,
    text_fields,
)
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.languages import normalize_tag

NO_TEXT = "no text field"
UNDECODABLE = "undecodable"


class FieldReader:
    """Makes records from the fields of one file.

    Args:
        source: Names the fields and holds what stands in for them.
        label: Name of the file, kept in `meta`.
        counter: What places in the file are called: `line`, `row` or `object`.
    """

    def __init__(self, source: FilesSource, label: str, counter: str) -> None:
        self._source, self._fields = source, source.fields
        self._label, self._counter = label, counter
        self._prefix = f'{{"path":{json.dumps(label, ensure_ascii=False)},"{counter}":'
        self._tags: dict[str, str] = {}
        self._name = source.source_name
        self._has_plain_meta = self._fields.meta == ()
        self._nested = NestedFields(self._fields)
        self._is_pattern = is_pattern(self._fields)
        self._text_field = text_fields(self._fields)[0]
        is_plain = self._nested.is_flat and not self._is_pattern
        self.plain_field = self._text_field if is_plain else None
        """The text's field where nothing has to be sought or built; None otherwise."""

    def has_text(self, value: Any) -> bool:
        """Say whether an object has any field of the text, null or not."""
        first = next(self._nested.documents(value))
        return any(name in first.values for name in text_fields(self._fields))

    def records(self, value: Any, number: int, raw: str = "") -> Iterator[Record]:
        """Yield the records of an object.

        Args:
            value: The object, flat or nested.
            number: Its place in the file.
            raw: What a reject keeps of it.

        Yields:
            One record, or one for each member of the lists on the text's path; rejects for those
            without a text.
        """
        for values, suffix in self._nested.documents(value):
            field = self._text_field
            text = fill_pattern(self._fields, values) if self._is_pattern else values.get(field)
            if isinstance(text, str):
                yield self.record(values, text, number, suffix)
                continue
            kind = "missing" if field not in values else "null"
            if text is not None:
                kind = f"a {type(text).__name__}, not a string"
            yield self.reject(raw, number, NO_TEXT, f"'{field}' is {kind}")

    def record(self, values: Mapping[str, Any], text: str, number: int, suffix: str = "") -> Record:
        """Return the record of one line or row; the suffix makes its key unique."""
        fields = self._fields
        meta = f"{self._prefix}{number}}}"
        if not self._has_plain_meta:
            kept = {name: values[name] for name in fields.meta if name in values}
            meta = to_json({"path": self._label, self._counter: number} | kept)
        key = _string(values, fields.id)
        return Record(
            key=key if key is None else key + suffix,
            text=text,
            language=self._language(values, number),
            source=self._name,
            license=_string(values, fields.license) or self._source.license,
            group=_string(values, fields.group),
            meta=meta,
        )

    def reject(self, text: str, number: int, reason: str, problem: str) -> Record:
        """Return the record of a place in the file that cannot be used."""
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

"""CSV and TSV files: one row, one document."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, NamedTuple

from hunmin.core.errors import InputError, suggest
from hunmin.corpus.records import Record
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import UNDECODABLE, FieldReader
from hunmin.corpus.sources.files.paths import named_fields
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.lines import Line

MALFORMED = "malformed row"
MAX_ROW_CHARACTERS = 1 << 24
_MAX_FIELD_CHARACTERS = 1 << 30
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_QUOTES = {"csv": '"', "tsv": "none"}


def read_delimited(lines: Iterator[Line], file: InputFile, source: FilesSource) -> Iterator[Record]:
    """Yield one record for each row that is not blank.

    Args:
        lines: The file's lines.
        file: Where they come from; its format is csv or tsv.
        source: Names the columns and says how rows are written.

    Yields:
        Records; a row with too many or too few columns, or with text after a closing quote, comes
        with a reason.

    Raises:
        InputError: A named column is not there, or a quote is never closed.
    """
    reader = FieldReader(source, file.label, "line")
    names: list[str] = []
    for row in _rows(lines, file, source):
        if row.reason:
            yield reader.reject(row.raw, row.line, row.reason, row.problem)
        elif not names:
            names = _column_names(row.values, file, source)
            if not source.table.header:
                yield from reader.records(dict(zip(names, row.values, strict=True)), row.line)
        elif len(row.values) != len(names):
            problem = f"{len(row.values)} columns, not {len(names)}"
            yield reader.reject(row.raw, row.line, MALFORMED, problem)
        else:
            yield from reader.records(dict(zip(names, row.values, strict=True)), row.line)


class _Row(NamedTuple):
    values: list[str]
    line: int
    raw: str
    reason: str = ""
    problem: str = ""


class _Feed:
    """Hands lines to the parser and remembers those of the row at hand."""

    def __init__(self, lines: Iterator[Line], file: InputFile) -> None:
        self._lines, self._file = lines, file
        self.row: list[Line] = []
        self._characters = 0

    def start_row(self) -> None:
        self.row, self._characters = [], 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.row and self._characters > MAX_ROW_CHARACTERS:
            raise self.unclosed()
        line = next(self._lines)
        self.row.append(line)
        self._characters += len(line.text)
        return line.text + "\n"

    def unclosed(self) -> InputError:
        return InputError(
            f"the row that begins in line {self.row[0].number} has a quote that is never closed",
            where=str(self._file.path),
            given=self.row[0].text[:80],
            hint="if quotes are ordinary characters in this file, say `table: {quote: none}`; "
            "else repair the line",
        )


def _rows(lines: Iterator[Line], file: InputFile, source: FilesSource) -> Iterator[_Row]:
    feed = _Feed(lines, file)
    parser = csv.reader(feed, strict=True, **_dialect(file.format, source))
    # A setting of the whole process; its default is an eighth of a megabyte.
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    while True:
        feed.start_row()
        problem = ""
        values: list[str] = []
        try:
            values = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise feed.unclosed() from error
            problem = str(error)
        if values or problem:
            yield _judged(values, feed.row, problem)


def _judged(values: list[str], lines: list[Line], problem: str) -> _Row:
    raw = "" if not problem and len(lines) == 1 else "\n".join(line.text for line in lines)
    undecodable = next((line.problem for line in lines if line.problem), None)
    if undecodable is not None:
        return _Row(values, lines[0].number, lines[0].text, UNDECODABLE, undecodable)
    return _Row(values, lines[0].number, raw or lines[0].text, MALFORMED * bool(problem), problem)


def _dialect(format_: str, source: FilesSource) -> dict[str, Any]:
    table = source.table
    delimiter = _DELIMITERS[format_] if table.delimiter == "auto" else table.delimiter
    quote = _QUOTES[format_] if table.quote == "auto" else table.quote
    if quote == "none":
        return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": delimiter, "quotechar": quote}


def _column_names(first: list[str], file: InputFile, source: FilesSource) -> list[str]:
    has_header = source.table.header
    names = (
        [name.strip() for name in first]
        if has_header
        else [str(number) for number in range(1, len(first) + 1)]
    )
    for name in named_fields(source.fields):
        if names.count(name) != 1:
            raise _wrong_column(name, names, file, has_header=has_header)
    return names


def _wrong_column(name: str, names: list[str], file: InputFile, *, has_header: bool) -> InputError:
    problem = f"there are {names.count(name)} columns '{name}'"
    if name not in names:
        problem = f"there is no column '{name}'.{suggest(name, names)}"
    hint = "columns have numbers here: `fields: {text: 2}` is the second one"
    if has_header:
        hint = (
            "name the columns in the source, for example `fields: {text: "
            f"{max(names, key=len)}}}`; if the first row is no header: `table: {{header: false}}`"
        )
    return InputError(
        problem, where=str(file.path), given=f"the columns {', '.join(names)}", hint=hint
    )

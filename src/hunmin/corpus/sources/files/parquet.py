"""Parquet files: one row, one document."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.errors import HunminError, InputError, suggest
from hunmin.corpus.records import Record
from hunmin.corpus.sources.files.discover import InputFile
from hunmin.corpus.sources.files.fields import FieldReader
from hunmin.corpus.sources.files.paths import is_pattern, named_fields, text_fields
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.files import open_raw, size_of
from hunmin.text.remote.address import RemoteFile

_READ_ROWS = 4096


def read_parquet(
    file: InputFile, source: FilesSource, advance: Callable[[int], None]
) -> Iterator[Record]:
    """Yield one record for each row.

    Args:
        file: A Parquet file.
        source: Names the columns.
        advance: Told of the share of the file's bytes that was read.

    Yields:
        Records; a row whose text is null comes with a reason.

    Raises:
        InputError: The file cannot be read, or a named column is not there.
    """
    reader = FieldReader(source, file.label, "row")
    try:
        parquet = _opened(file)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, HunminError):
            raise
        raise InputError(
            f"this Parquet file cannot be read: {error}",
            where=str(file.path),
            hint="fetch or make the file again, or leave it out",
        ) from error
    with parquet:
        columns = _checked_columns(parquet, file, source)
        bytes_per_row = size_of(file.path) / max(parquet.metadata.num_rows, 1)
        number = 0
        for batch in _batches(parquet, columns):
            for values in batch.to_pylist():
                yield from reader.records(values, number)
                number += 1
            advance(int(batch.num_rows * bytes_per_row))


def _batches(parquet: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Read one row group after the other: what is fetched ahead is never more than one."""
    for group in range(parquet.num_row_groups):
        yield from parquet.iter_batches(_READ_ROWS, row_groups=[group], columns=columns)


def _opened(file: InputFile) -> pq.ParquetFile:
    """Open it; of a remote file, the wanted columns of a row group are fetched in one piece."""
    if isinstance(file.path, RemoteFile):
        native = pa.PythonFile(open_raw(file.path, is_random=True), mode="r")
        return pq.ParquetFile(native, pre_buffer=True)
    return pq.ParquetFile(file.path)


def _checked_columns(parquet: pq.ParquetFile, file: InputFile, source: FilesSource) -> list[str]:
    schema = parquet.schema_arrow
    wanted = [_column(name, schema) for name in named_fields(source.fields)]
    for name in wanted:
        if name not in schema.names:
            raise InputError(
                f"there is no column '{name}'.{suggest(name, schema.names)}",
                where=str(file.path),
                given=f"the columns {', '.join(schema.names)}",
                hint="name the columns in the source, for example `fields: {text: content}`",
            )
    _check_text_column(schema, file, source)
    return list(dict.fromkeys(wanted))


def _column(name: str, schema: pa.Schema) -> str:
    """Return the column that a path begins with."""
    return name if name in schema.names else name.split(".")[0]


def _check_text_column(schema: pa.Schema, file: InputFile, source: FilesSource) -> None:
    for name in text_fields(source.fields):
        kind = schema.field(_column(name, schema)).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if is_pattern(source.fields) or pa.types.is_nested(kind) or is_text:
            continue
        raise InputError(
            f"the column '{name}' does not hold text",
            where=str(file.path),
            given=str(kind),
            allowed="string",
            hint="name another column with `fields: {text: NAME}`",
        )

"""Tables that every engine reads and writes alike: plain Arrow types, whole folders of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.errors import InputError, MissingInputError
from hunmin.corpus.engines.engine import ROWS, Kernel

_SMALL: dict[pa.DataType, pa.DataType] = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}
"""Engines prefer one or the other; kernels and files see only these on the right."""


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that stands for all layouts of the same values.

    Args:
        kind: Any Arrow type.

    Returns:
        `string`, `binary` and `list` in place of their large and view forms, the type of the
        values in place of a dictionary; also inside lists and structs. Other types as they are.
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain_type(field.type)) for field in kind])
    return _SMALL.get(kind, kind)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain types and without metadata."""
    return pa.schema([(field.name, plain_type(field.type)) for field in schema])


def cut(batch: pa.RecordBatch, max_rows: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch into batches of at most `max_rows` rows; one without rows stays one."""
    for start in range(0, max(batch.num_rows, 1), max_rows):
        yield batch.slice(start, max_rows)


def apply(kernel: Kernel, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Apply a kernel and give its rows the declared schema.

    Args:
        kernel: The kernel.
        batch: What it is given.
        schema: What it declared to return.

    Returns:
        The kernel's rows.

    Raises:
        InputError: The kernel returned other columns.
    """
    found = kernel(batch)
    if found.schema.names != schema.names:
        raise InputError(
            "a kernel returned other columns than it declared",
            where=getattr(kernel, "__name__", type(kernel).__name__),
            given=", ".join(found.schema.names),
            allowed=", ".join(schema.names),
        )
    return found if found.schema.equals(schema) else found.cast(schema)


def check_names(*names: str) -> None:
    """Check that no column has the name of the column that `group_min` adds.

    Args:
        *names: The columns it was asked for.

    Raises:
        InputError: One has that name, or two are the same.
    """
    if ROWS in names or len(set(names)) < len(names):
        raise InputError(
            "group_min needs two columns",
            given=", ".join(names),
            allowed=f"two different names, none of them '{ROWS}', which it adds",
        )


def check_files(paths: Sequence[Path]) -> list[str]:
    """Check that there are files to read.

    Args:
        paths: The Parquet files.

    Returns:
        Their absolute paths.

    Raises:
        InputError: No file was named.
        MissingInputError: A file does not exist.
    """
    if not paths:
        raise InputError(
            "no file to read", hint="a table without rows is a file too: `write` leaves one"
        )
    for path in paths:
        if not path.is_file():
            raise MissingInputError("no such file", where=path)
    return [str(path.absolute()) for path in paths]


def check_new(folder: Path) -> None:
    """Check that a folder to write does not exist yet.

    Args:
        folder: Where the table is to go.

    Raises:
        InputError: Something is there.
    """
    if folder.exists():
        raise InputError(
            "a table is not written over another", where=folder, hint="remove it or name another"
        )


def part_path(folder: Path, number: int) -> Path:
    """Return the path of a part of a table."""
    return folder / f"part-{number:05d}.parquet"


def write_part(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """Write one part whole or not at all; no file if there is no row.

    Args:
        batches: Rows that can be cast to the schema.
        schema: Plain types.
        path: The file. An older one, of a first attempt, is replaced.

    Returns:
        The number of rows.
    """
    draft = path.with_name(f".{path.name}.tmp")
    rows = 0
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for batch in batches:
            rows += batch.num_rows
            if batch.num_rows:
                writer.write_batch(batch.cast(schema))
    if rows:
        draft.replace(path)
    else:
        draft.unlink()
    return rows


def close_folder(folder: Path, schema: pa.Schema) -> None:
    """Give a table without rows a file that says what its columns are."""
    if not any(folder.iterdir()):
        pq.write_table(schema.empty_table(), part_path(folder, 0), compression="zstd")


def parts_of(folder: Path) -> list[Path]:
    """Return the files of a table that was written."""
    return sorted(folder.glob("part-*.parquet"))

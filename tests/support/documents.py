"""Tiny documents artifacts, written by hand in the layout of the corpus stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.artifact import Artifact, load_artifact, write_artifact

COLUMNS = ("id", "text", "language", "source", "license", "group", "meta")


def document(text: str, language: str = "ko", source: str = "test") -> dict[str, str]:
    """Return one document; its id follows from source, language and text."""
    identity = sha256(f"{source}/{language}/{text}".encode()).hexdigest()[:32]
    return dict(
        zip(COLUMNS, (identity, text, language, source, "CC0-1.0", identity, "{}"), strict=True)
    )


def write_documents(
    path: Path, splits: Mapping[str, Iterable[dict[str, str]]], *, rows_per_part: int = 50
) -> Artifact:
    """Write a documents artifact with several parts per split."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with write_artifact(path, "documents") as draft:
        for split, documents in splits.items():
            rows = list(documents)
            (draft.path / split).mkdir()
            for part, first in enumerate(range(0, len(rows), rows_per_part)):
                table = pa.Table.from_pylist(rows[first : first + rows_per_part], schema=schema)
                file = draft.path / split / f"part-{part:05d}.parquet"
                pq.write_table(table, file, compression="zstd")
    return load_artifact(path)

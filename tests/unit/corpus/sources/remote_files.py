"""What the tests of remote sources share: texts, packers, and ways to read."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import FilesSource

from .stores import LocalStore

TEXTS = [
    f"{number}번째 문서: 강은 산을 돌아 바다로 간다. {number * 7919}" for number in range(10_000)
]
LINES = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS).encode()
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
}
KINDS = ("s3", "web")


def address(store: LocalStore, kind: str, name: str) -> str:
    return f"s3://bucket/{name}" if kind == "s3" else f"{store.address}/bucket/{name}"


def put(store: LocalStore, name: str, content: bytes) -> None:
    store.files[f"bucket/{name}"] = content


def source(*paths: str, **options: Any) -> FilesSource:
    return FilesSource(paths=paths, name="mine", **options)


def rows(reader: SourceReader) -> list[dict[str, Any]]:
    """Records of a reader; it must tell of all bytes."""
    told: list[int] = []
    found = [row for batch in reader.batches(told.append) for row in batch.to_pylist()]
    assert reader.total is not None
    assert sum(told) == pytest.approx(reader.total, rel=0.01)
    return found


def read(*paths: str, **options: Any) -> list[dict[str, Any]]:
    return rows(FileReader(source(*paths, **options), 1_000_000))


def texts(*paths: str, **options: Any) -> list[str]:
    return [row["text"] for row in read(*paths, **options)]


def as_parquet(folder: Path) -> bytes:
    pq.write_table(pa.table({"text": TEXTS}), folder / "made.parquet", row_group_size=3000)
    return (folder / "made.parquet").read_bytes()

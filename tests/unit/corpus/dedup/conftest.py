"""Real documents, read from the shared data."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard


def read(path: Path, field: str, count: int) -> list[str]:
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        texts = (json.loads(line)[field] for line in file)
        return list(islice((text for text in texts if len(text) > 100), count))


def documents(texts: list[str], language: str) -> pa.Table:
    texts = list(dict.fromkeys(texts))
    ids = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    return pa.table({"id": ids, "text": texts, "language": [language] * len(texts)})


@pytest.fixture(scope="session")
def korean_documents(shared_data: Path) -> pa.Table:
    """About 500 documents: technical prose with natural near duplicates, and petitions."""
    texts = read(shared_data / "ko_docs" / "dotnet_docs_ko.jsonl.zst", "text", 200)
    texts += read(shared_data / "ko_docs" / "windowsserver_docs_ko.jsonl.zst", "text", 100)
    texts += read(shared_data / "ko_petitions" / "petitions_2019-06.jsonl.zst", "content", 120)
    texts += read(shared_data / "nsmc" / "reviews.jsonl.zst", "document", 80)
    return documents(texts, "ko")


def _grouped(lines: list[str], size: int) -> list[str]:
    return ["\n".join(lines[first : first + size]) for first in range(0, len(lines), size)]


def _news(shared_data: Path, code: str) -> list[str]:
    """News as documents of ten sentences."""
    path = shared_data / "ntrex128" / f"newstest2019-ref.{code}.txt.zst"
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return _grouped(file.read().split("\n"), 10)


@pytest.fixture(scope="session")
def foreign_documents(shared_data: Path) -> pa.Table:
    """News in Thai (no spaces between words), Hindi, Swahili, and Azerbaijani (with ı and İ)."""
    tables = [
        documents(_news(shared_data, code), tag)
        for code, tag in (("tha", "th"), ("hin", "hi"), ("swa", "sw"), ("aze-Latn", "az"))
    ]
    return pa.concat_tables(tables)

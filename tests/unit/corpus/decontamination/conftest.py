"""Real evaluation items and real documents, read from the shared data."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard


def read_records(path: Path, count: int) -> list[dict[str, Any]]:
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in islice(file, count)]


@pytest.fixture(scope="session")
def evaluation_sets(shared_data: Path) -> dict[str, list[str]]:
    """Sentences of KLUE-NLI and KLUE-STS, questions of KorQuAD: some 700 items."""
    nli = read_records(shared_data / "klue" / "nli_dev_a.jsonl.zst", 250)
    sts = read_records(shared_data / "klue" / "sts_dev_a.jsonl.zst", 100)
    (korquad,) = read_records(shared_data / "korquad1" / "dev_a.json.zst", 1)
    paragraphs = [part for article in korquad["data"] for part in article["paragraphs"]]
    questions = [qa["question"] for part in paragraphs for qa in part["qas"]]
    return {
        "klue-nli": [row[key] for row in nli for key in ("premise", "hypothesis")],
        "klue-sts": [row["sentence1"] for row in sts],
        "korquad": questions[:300],
    }


@pytest.fixture(scope="session")
def clean_documents(shared_data: Path) -> list[str]:
    """Some 1,500 documents in which none of the items stands."""
    docs = read_records(shared_data / "ko_docs" / "dotnet_docs_ko.jsonl.zst", 1000)
    petitions = read_records(shared_data / "ko_petitions" / "petitions_2019-06.jsonl.zst", 500)
    return [row["text"] for row in docs] + [row["content"] for row in petitions]


@pytest.fixture(scope="session")
def news(shared_data: Path) -> dict[str, list[str]]:
    """The same news sentences in several languages."""
    folder, codes = shared_data / "ntrex128", ("tha", "aze-Latn", "hin", "swa", "jpn")
    found = {}
    for code in codes:
        with zstandard.open(folder / f"newstest2019-ref.{code}.txt.zst", "rt") as file:
            found[code] = file.read().split("\n")[:1500]
    return found

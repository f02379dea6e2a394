"""A corpus with everything in it: duplicates of all kinds, notices, personal data, test items."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hunmin.core.artifact import Artifact
from hunmin.corpus.build import build_corpus
from hunmin.corpus.spec import CorpusSpec

NOTICE = "이 페이지의 내용은 참고용이며 자세한 사항은 담당 부서에 문의하시기 바랍니다."


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def petitions(shared_data: Path) -> list[str]:
    """Petitions as they are: four hundred, and twenty to put items into."""
    path = shared_data / "ko_petitions" / "petitions_2019-04.jsonl.zst"
    return [row["content"] for row in itertools.islice(lines_of(path), 420)]


@pytest.fixture(scope="session")
def items(shared_data: Path) -> list[str]:
    """Forty premises that a model must not have seen."""
    path = shared_data / "klue" / "nli_dev_a.jsonl.zst"
    return [row["premise"] for row in itertools.islice(lines_of(path), 0, 120, 3)]


@pytest.fixture(scope="session")
def folder(
    tmp_path_factory: pytest.TempPathFactory, petitions: list[str], items: list[str]
) -> Path:
    """Two sources and a set of items, with what each step should find."""
    folder = tmp_path_factory.mktemp("sources")
    draw = random.Random(0)
    rows = [{"id": f"p{n}", "text": text} for n, text in enumerate(petitions[:400])]
    rows += [{"id": f"exact{n}", "text": petitions[n]} for n in range(20)]
    rows += [{"id": f"near{n}", "text": _edited(petitions[n], draw)} for n in range(20, 40)]
    rows += [{"id": f"notice{n}", "text": f"{petitions[n]}\n{NOTICE}"} for n in range(40, 80)]
    rows += [
        {"id": f"item{n}", "text": f"{petitions[400 + n]}\n{item}\n"}
        for n, item in enumerate(items[:10])
    ]
    rows.append({"id": "call", "text": f"{petitions[300]}\n연락은 010-1234-5678 로 주세요."})
    rows.append({"id": "short", "text": "짧다"})
    rows.append(
        {"id": "english", "text": "This is a page in English, which nobody asked for. " * 5}
    )
    draw.shuffle(rows)
    write_lines(folder / "petitions.jsonl", rows)
    write_lines(folder / "copies.jsonl", [{"text": text} for text in petitions[100:130]])
    write_lines(folder / "items.jsonl", [{"premise": item} for item in items])
    return folder


def _edited(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    words[draw.randrange(len(words))] = "이런저런"
    return " ".join(words)


def recipe(folder: Path, **changes: Any) -> CorpusSpec:
    """The recipe with every step on."""
    content: dict[str, Any] = {
        "sources": [
            {"kind": "files", "name": "first", "paths": [str(folder / "petitions.jsonl")],
             "language": "ko", "fields": {"id": "id"}},
            {"kind": "files", "name": "second", "paths": [str(folder / "copies.jsonl")],
             "language": "ko"},
        ],
        "language": {},
        "filters": {},
        "privacy": {},
        "deduplicate": {"near": {}, "lines": {"max_documents": 20}},
        "decontaminate": {
            "sets": [{"name": "nli", "paths": [str(folder / "items.jsonl")],
                      "fields": {"text": "premise"}}]
        },
        "validation_fraction": 0.1,
        "test_fraction": 0.1,
        "num_workers": 1,
    }  # fmt: skip
    return CorpusSpec.model_validate(content | changes)


@pytest.fixture(scope="session")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The corpus of the recipe, with its report."""
    output = tmp_path_factory.mktemp("built") / "corpus"
    return build_corpus(recipe(folder), output, title="Test")

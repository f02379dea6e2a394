"""Real text: good documents pass in every language, planted garbage does not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from hunmin.corpus.filters.rules import QualityFilter
from hunmin.text.unicode import normalize

NEWS = {
    "ko": "kor.first1000",
    "ja": "jpn",
    "sw": "swa",
    "th": "tha",
    "hi": "hin",
    "de": "deu",
    "zh": "zho-CN",
    "ar": "arb",
    "ru": "rus",
    "vi": "vie",
    "km": "khm",
    "xh": "xho",
}


def lines_of(path: Path, limit: int) -> list[str]:
    with zstandard.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [normalize(line) for _, line in zip(range(limit), file, strict=False)]


def news(folder: Path, language: str) -> list[str]:
    path = folder / "ntrex128" / f"newstest2019-ref.{NEWS[language]}.txt.zst"
    lines = lines_of(path, 480)
    return ["\n".join(lines[i : i + 12]) for i in range(0, len(lines), 12)]


def field_of(path: Path, name: str, limit: int) -> list[str]:
    return [normalize(json.loads(line)[name]) for line in lines_of(path, limit)]


def rejected(texts: list[str], language: str) -> list[tuple[str, str]]:
    batch = pa.record_batch(
        {
            "text": pa.array(texts, pa.string()),
            "language": [language] * len(texts),
            "reason": pa.nulls(len(texts), pa.string()),
        }
    )
    reasons = QualityFilter()(batch)["reason"].to_pylist()
    return [(reason, text) for reason, text in zip(reasons, texts, strict=True) if reason]


def garbage(documents: list[str], seed: int = 0) -> Iterator[str]:
    generator = random.Random(seed)
    words = [word for document in documents for word in document.split()]
    if sum(map(len, words)) > 15 * len(words):
        joined = "".join(words)
        words = [joined[i : i + 4] for i in range(0, len(joined), 4)]
    for document in documents:
        line = max(document.split("\n"), key=len)[:200]
        yield "\n".join([line] * 30)
        yield "\n".join(word[:8] for word in generator.sample(words, 50))
        foreign = sum(not character.isascii() for character in document) > 0.05 * len(document)
        yield document.encode().decode("latin-1") if foreign else "\ufffd oops" * 80
        yield " ".join(word[:6] + "!" * generator.randint(8, 20) for word in words[:40])
        yield " ".join("#" + word for word in generator.sample(words, 40))
        yield "\n".join(f"{generator.random() * 1e5:.2f} " * 6 for _ in range(20))
        yield "".join(f"if (a{i}) {{ b{i} = function() {{ return {i}; }} }}\n" for i in range(20))
        yield "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor. " * 3


@pytest.mark.parametrize("language", NEWS)
def test_news_passes_and_garbage_does_not(shared_data: Path, language: str) -> None:
    documents = news(shared_data, language)
    bad = rejected(documents, language)
    assert len(bad) <= 0.02 * len(documents), bad
    planted = list(garbage(documents[:6]))
    assert len(rejected(planted, language)) >= 0.9 * len(planted)


@pytest.mark.parametrize(
    ("file", "field", "language"),
    [
        ("ko_docs/dotnet_docs_ko.jsonl.zst", "text", "ko"),
        ("ko_petitions/petitions_2019-04.jsonl.zst", "content", "ko"),
        ("tech_text/de_manpages.jsonl.zst", "text", "de"),
        ("tech_text/fr_manpages.jsonl.zst", "text", "fr"),
    ],
)
def test_documents_pass(shared_data: Path, file: str, field: str, language: str) -> None:
    texts = field_of(shared_data / file, field, 120)
    documents = [text for text in texts if len(text.split()) >= 10]
    bad = rejected(documents, language)
    assert len(bad) <= 0.025 * len(documents), [(reason, text[:80]) for reason, text in bad]

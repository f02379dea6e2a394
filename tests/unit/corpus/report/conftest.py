"""Input for reports: real texts through real kernels, and extremes."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.privacy import PersonalDataMasker, total_counts
from hunmin.text.cleaning import clean_many
from hunmin.text.identification.identifier import Identifier

NTREX = {
    "ko": "kor.first1000",
    "ja": "jpn",
    "th": "tha",
    "hi": "hin",
    "ar": "arb",
    "sw": "swa",
    "he": "heb",
    "vi": "vie",
    "es": "spa",
    "fr": "fra",
}
LICENSES = {"ntrex128": "CC-BY-SA-4.0", "nsmc": "CC0-1.0", "petitions": "unknown"}


def lines_of(path: Path, most: int) -> list[str]:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8")
        return [line.rstrip("\n") for _, line in zip(range(most), text, strict=False)]


def records(shared: Path, per_source: int = 300) -> list[dict[str, str]]:
    """Source, language and text of real documents of ten languages."""
    rows = []
    for tag, code in NTREX.items():
        lines = lines_of(shared / "ntrex128" / f"newstest2019-ref.{code}.txt.zst", per_source)
        texts = ["\n".join(lines[i : i + 3]) for i in range(0, len(lines), 3)]
        rows += [{"source": "ntrex128", "language": tag, "text": text} for text in texts]
    reviews = lines_of(shared / "nsmc" / "reviews.jsonl.zst", 3 * per_source)
    petitions = lines_of(shared / "ko_petitions" / "petitions_2017-08.jsonl.zst", per_source)
    found = (("nsmc", "document", reviews), ("petitions", "content", petitions))
    for source, field, lines in found:
        texts = [json.loads(line)[field] or "" for line in lines]
        rows += [{"source": source, "language": "ko", "text": text} for text in texts]
    return [row | {"id": f"{i:08x}"} for i, row in enumerate(rows)]


class Builder:
    """A small stand-in for the build: the same kernels, the same shape of statistics."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows
        self.flow: list[dict[str, Any]] = [{"step": "read", **sums(rows)}]
        self.rejected: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self.rejects: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.changed: list[dict[str, str]] = []
        self.cleaning: Counter[str] = Counter()

    def drop(self, step: str, reasons: list[str | None]) -> None:
        dropped: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row, reason in zip(self.rows, reasons, strict=True):
            if reason is not None:
                dropped[reason].append(row)
                for kind in ("source", "language"):
                    self.rejects[kind, row[kind]][reason] += 1
        for reason, rows in dropped.items():
            notes = ({**row, "text": row["text"][:400], "note": ""} for row in rows[:5])
            self.rejected[reason] += notes
        self.rows = [r for r, reason in zip(self.rows, reasons, strict=True) if reason is None]
        self.flow.append(
            {
                "step": step,
                **sums(self.rows),
                "dropped": {reason: sums(rows) for reason, rows in dropped.items()},
            }
        )

    def clean(self) -> None:
        before = [row["text"] for row in self.rows]
        for row, old, new in zip(self.rows, before, clean_many(before), strict=True):
            self.cleaning.update(new.changes.keys())
            if old != new.text and len(self.changed) < 12:
                pairs = zip(old, new.text, strict=False)
                same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
                start = max(0, same - 60)
                window = slice(start, start + 400)
                self.changed.append({**row, "before": old[window], "after": new.text[window]})
            row["text"] = new.text

    def judge(self) -> None:
        languages = [row["language"] for row in self.rows]
        table = {"text": [row["text"] for row in self.rows], "language": languages}
        schema = pa.schema([(name, pa.string()) for name in ("text", "language", "reason")])
        batch = pa.RecordBatch.from_pydict({**table, "reason": [None] * len(languages)}, schema)
        self.drop("quality", QualityFilter()(batch)["reason"].to_pylist())

    def mask(self) -> dict[str, Any]:
        texts = pa.array([row["text"] for row in self.rows], pa.string())
        languages = [row["language"] for row in self.rows]
        masked, counts = PersonalDataMasker().mask_array(texts, languages)
        held = 0
        for row, text in zip(self.rows, masked.to_pylist(), strict=True):
            held += text != row["text"]
            row["text"] = text
        found = total_counts(counts)
        return {"documents": held, "counts": found, "sources": {"petitions": found}}

    def table(self, kind: str) -> dict[str, Any]:
        names = sorted({row[kind] for row in self.rows})
        chosen = {name: [row for row in self.rows if row[kind] == name] for name in names}
        return {n: total_row(rows, self.rejects[kind, n]) for n, rows in chosen.items()}


def sums(rows: list[dict[str, str]]) -> dict[str, int]:
    size = sum(len(row["text"].encode()) for row in rows)
    return {"documents": len(rows), "utf8_bytes": size}


def total_row(rows: list[dict[str, str]], rejects: Counter[str]) -> dict[str, Any]:
    held_out = len(rows) // 20
    return {
        "documents": len(rows),
        "train_documents": len(rows) - held_out,
        "validation_documents": held_out,
        "characters": sum(len(row["text"]) for row in rows),
        "utf8_bytes": sums(rows)["utf8_bytes"],
        "rejects": dict(rejects),
    }


def make_real_input(shared: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Statistics and samples of some thousand real documents in ten languages."""
    rows = records(shared)
    builder = Builder([*rows, *(dict(row) for row in rows[::17])])
    builder.drop("usable text", ["too short" if len(r["text"]) < 5 else None for r in builder.rows])
    builder.clean()
    builder.judge()
    privacy = builder.mask()
    texts = [row["text"] for row in builder.rows]
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    again = [None if first[t] == i else "exact duplicate" for i, t in enumerate(texts)]
    builder.drop("exact duplicates", again)
    builder.drop(
        "near duplicates",
        ["near duplicate" if i % 31 == 7 else None for i in range(len(builder.rows))],
    )
    for name in ("repeated lines", "evaluation items"):
        builder.drop(name, [None] * len(builder.rows))
    builder.flow[-2]["removed_bytes"] = 12_345
    return statistics_of(builder, privacy), samples_of(builder)


def statistics_of(builder: Builder, privacy: dict[str, Any]) -> dict[str, Any]:
    rejects: Counter[str] = Counter()
    for (kind, _), counts in builder.rejects.items():
        if kind == "source":
            rejects.update(counts)
    lengths: defaultdict[str, Counter[str]] = defaultdict(Counter)
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    labels = Identifier().identify([row["text"] for row in builder.rows]).languages
    lines: Counter[str] = Counter()
    for row, label in zip(builder.rows, labels, strict=True):
        lengths[row["language"]][str(len(row["text"]).bit_length() - 1)] += 1
        found[row["language"]][label] += 1
        lines.update(set(row["text"].split("\n")))
    sources = builder.table("source")
    return {
        "total": total_row(builder.rows, rejects),
        "rejects": dict(rejects),
        "languages": builder.table("language"),
        "sources": sources,
        "flow": builder.flow,
        "cleaning": dict(builder.cleaning),
        "privacy": privacy,
        "duplicates": {
            "exact": {"clusters": 240, "dropped": rejects["exact duplicate"]},
            "near": {
                "clusters": 60,
                "dropped": rejects["near duplicate"],
                "candidates": 4_321,
                "edges": 99,
                "capped": [],
            },
            "cluster_sizes": {"1": 2_345, "2": 301, "3-4": 57, "5-8": 12, "9-16": 3, "17-32": 1},
        },
        "lines": {
            "removed_characters": 4_321,
            "documents": 77,
            "dropped": 0,
            "top": [{"documents": n, "example": t} for t, n in lines.most_common(10)],
        },
        "contamination": {
            "documents": len(builder.rows),
            "contaminated_documents": 14,
            "sets": {
                "klue-nli": evaluation_set(3000, 12),
                "korquad": evaluation_set(5774, 2),
                "mgsm": evaluation_set(250, 0),
            },
        },
        "lengths": {tag: dict(counts) for tag, counts in lengths.items()},
        "languages_found": {tag: dict(counts) for tag, counts in found.items()},
        "scripts": {"Hang": 500_000, "Latn": 90_000, "Arab": 70_000, "Thai": 1},
        "licenses": {
            LICENSES[name]: {
                "documents": row["documents"],
                "utf8_bytes": row["utf8_bytes"],
                "sources": [name],
            }
            for name, row in sources.items()
        },
        "seconds": {"read": 1.5, "judge": 61.2, "dedup": 3.25},
        "engine": "native",
        "num_workers": 2,
    }


def evaluation_set(items: int, found: int) -> dict[str, Any]:
    searched = items - items // 10
    example = {"id": "00000abc", "item": "dev-00017", "share": 0.87}
    return {
        "items": items,
        "repeated": 0,
        "too_short": items // 10,
        "template": 0,
        "whole": searched // 5,
        "runs": searched - searched // 5,
        "found_items": found,
        "found_share": found / searched,
        "contaminated_documents": found,
        "examples": [example] if found else [],
    }


def samples_of(builder: Builder) -> dict[str, Any]:
    first = builder.rows[0]["text"]
    near = first.replace("이", "저", 1) + " (추가)"
    changed = [
        *builder.changed,
        {
            "id": "0",
            "source": "made",
            "language": "ko",
            "before": "한글\u200b과 <b>글</b>  자",
            "after": "한글과 <b>글</b> 자",
        },
        {
            "id": "1",
            "source": "made",
            "language": "ar",
            "before": "مرحبا\u202eabc بالعالم!!!!!!",
            "after": "مرحبا بالعالم!",
        },
    ]
    return {
        "rejected": dict(builder.rejected),
        "changed": changed[-12:],
        "duplicates": [
            {"size": 5, "texts": [first[:300], near[:300]]},
            {"size": 2, "texts": ["Tekrar eden haber.", "Tekrar eden haberler."]},
        ],
    }


@pytest.fixture(scope="session")
def real_input(shared_data: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Statistics and samples of real documents."""
    return make_real_input(shared_data)


def plain_row(documents: int, utf8_bytes: int, rejects: dict[str, int] | None = None) -> Any:
    """A row of totals that holds nothing out."""
    return {
        "documents": documents,
        "train_documents": documents,
        "validation_documents": 0,
        "characters": utf8_bytes // 2,
        "utf8_bytes": utf8_bytes,
        "rejects": rejects or {},
    }


@pytest.fixture(scope="session")
def huge_input() -> dict[str, Any]:
    """65 languages, 40 reasons, a source with a long name, terabytes."""
    tags = [f"{a}{b}a" for a in "abcdefgh" for b in "klmnopqrs"][:65]
    languages = {
        tag: plain_row(10**6 // (i + 1), 10**12 // (i + 1) ** 4, {"duplicate": i * 1000})
        for i, tag in enumerate(tags)
    }
    kept = sum(row["utf8_bytes"] for row in languages.values())
    reasons = {
        f"reason {i} with a rather long name $x$_{i}": {
            "documents": 10**8 + i,
            "utf8_bytes": kept // 2 ** (i + 1),
        }
        for i in range(40)
    }
    dropped = sum(row["utf8_bytes"] for row in reasons.values())
    flow = [
        {"step": "read", "documents": 10**12, "utf8_bytes": 5 * kept + dropped},
        {
            "step": "language",
            "documents": 5 * 10**9,
            "utf8_bytes": kept + dropped,
            "dropped": {"another language": {"documents": 10**11, "utf8_bytes": 4 * kept}},
        },
        {
            "step": "quality",
            "documents": 4 * 10**6,
            "utf8_bytes": kept - kept // 5,
            "dropped": reasons,
            "removed_bytes": kept // 5,
        },
        {"step": "evaluation items", "documents": 4, "utf8_bytes": 4, "dropped": {}},
    ]
    found = {t: {t: 10**6 // (i + 1), tags[i - 7]: 1000, "und": i} for i, t in enumerate(tags)}
    name = "https://example.org/한국어/a/very/long/name/of/a/source/that/does/not/end"
    return {
        "total": plain_row(4 * 10**6, kept),
        "rejects": {reason: row["documents"] for reason, row in reasons.items()},
        "languages": languages,
        "sources": {name: plain_row(4 * 10**6, kept)},
        "flow": flow,
        "lengths": {tag: {str(k): 10**6 >> abs(k - 9) for k in range(31)} for tag in tags},
        "languages_found": found,
        "licenses": {
            "odd": {"documents": 4, "utf8_bytes": kept, "sources": list("abcdefghijklmno")}
        },
        "privacy": {"documents": 0, "counts": {}, "sources": {}},
        "contamination": {"documents": 4, "contaminated_documents": 0, "sets": {}},
        "duplicates": {"cluster_sizes": {"1": 10**11, "2": 1}},
    }


@pytest.fixture(scope="session")
def bare_input() -> dict[str, Any]:
    """One document of one language, all optional keys missing."""
    return {"total": plain_row(1, 5), "rejects": {}}


@pytest.fixture(scope="session")
def empty_input() -> dict[str, Any]:
    """Three documents without text were read, nothing is left."""
    drop = {"empty": {"documents": 3, "utf8_bytes": 0}}
    last = {"step": "usable text", "documents": 0, "utf8_bytes": 0, "dropped": drop}
    return {
        "total": plain_row(0, 0),
        "rejects": {"empty": 3},
        "languages": {},
        "sources": {},
        "flow": [{"step": "read", "documents": 3, "utf8_bytes": 0}, last],
        "lengths": {"ko": {}},
        "languages_found": {"ko": {}},
    }


@pytest.fixture(scope="session")
def single_input() -> dict[str, Any]:
    """One language, one source, nothing dropped."""
    row = plain_row(1, 5)
    entry = {"documents": 1, "utf8_bytes": 5}
    return {
        "total": row,
        "rejects": {},
        "languages": {"ko": row},
        "sources": {"s": row},
        "flow": [{"step": "read", **entry}, {"step": "quality", **entry, "dropped": {}}],
        "lengths": {"ko": {"2": 1}},
        "languages_found": {"ko": {"ko": 1}},
    }

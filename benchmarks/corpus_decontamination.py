"""How many evaluation items are found in documents, and how many clean documents are suspected.

Sentences of KLUE-NLI and KLUE-STS and questions of KorQuAD are put into other documents: as they
are, with 15 % of their spaces lost, with one word changed. Beside hunmin's search (runs of 15
characters without spaces, short items as a whole) stand n-grams of 13 and 8 words as others use
them: a document holds an item if it shares one n-gram with it, in lower case and without
punctuation. Clean documents are all texts that cannot hold an item: manuals and petitions. Film
reviews are told apart, because a part of KLUE-NLI was taken from such reviews.

    python benchmarks/corpus_decontamination.py
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from corpus_reference import DATA, read_documents, read_jsonl
from harness import RESULTS, markdown_table, write_result

from hunmin.core.hashing import seed_from
from hunmin.corpus.decontamination.index import EvaluationIndex, build_index
from hunmin.corpus.decontamination.planting import plant_items
from hunmin.corpus.decontamination.search import find_items
from hunmin.corpus.dedup.planting import Change, exact, spaces_lost

HUNMIN = "hunmin"
WIDTHS = (13, 8)
NUM_DOCUMENTS = 2_000
BATCH_ROWS = 1_000
_WORD = re.compile(r"\w+")

Items = dict[str, dict[str, str]]
"""By evaluation set and name, the text of an item."""

Search = Callable[[pa.RecordBatch], set[tuple[str, str]]]
"""From a batch of documents to pairs of document and item."""


def one_word_changed(text: str, draw: random.Random) -> str:
    """Return the text with one of its words replaced by another one, written backwards."""
    words = text.split(" ")
    place = draw.randrange(len(words))
    words[place] = draw.choice(words)[::-1] if len(words) > 1 else words[place][::-1]
    return " ".join(words)


CHANGES: dict[str, Change] = {
    "verbatim": exact,
    "15 % of spaces lost": spaces_lost(0.15),
    "one word changed": one_word_changed,
}


def read_items(data: Path) -> Items:
    """Read the evaluation items; equal ones of a set count once."""
    nli = read_jsonl(data / "klue" / "nli_dev_a.jsonl.zst")
    sts = read_jsonl(data / "klue" / "sts_dev_a.jsonl.zst")
    with (data / "korquad1" / "dev_a.json.zst").open("rb") as packed:
        korquad = json.loads(zstandard.ZstdDecompressor().stream_reader(packed).read())
    questions = (
        entry["question"]
        for article in korquad["data"]
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    )
    sets = {
        "KLUE-NLI": (row[part] for row in nli for part in ("premise", "hypothesis")),
        "KLUE-STS": (row[part] for row in sts for part in ("sentence1", "sentence2")),
        "KorQuAD": questions,
    }
    return {
        name: {f"{name} {number}": text for number, text in enumerate(dict.fromkeys(texts))}
        for name, texts in sets.items()
    }


class WordNgrams:
    """The usual search: documents that share a run of words with an item.

    Args:
        items: All items by name.
        width: Words in a run.
    """

    def __init__(self, items: Mapping[str, str], width: int) -> None:
        self._width = width
        self._owners: dict[str, list[str]] = {}
        for name, text in items.items():
            for run in set(self._runs(text)):
                self._owners.setdefault(run, []).append(name)

    def _runs(self, text: str) -> Iterator[str]:
        words = _WORD.findall(text.lower())
        for first in range(len(words) - self._width + 1):
            yield " ".join(words[first : first + self._width])

    def __call__(self, batch: pa.RecordBatch) -> set[tuple[str, str]]:
        """Return pairs of document and item."""
        return {
            (row["id"], item)
            for row in batch.select(["id", "text"]).to_pylist()
            for run in self._runs(row["text"])
            for item in self._owners.get(run, ())
        }


class CharacterRuns:
    """hunmin's search.

    Args:
        index: Of the items.
    """

    def __init__(self, index: EvaluationIndex) -> None:
        self.index = index

    def __call__(self, batch: pa.RecordBatch) -> set[tuple[str, str]]:
        """Return pairs of document and item."""
        found = find_items(batch, self.index)
        return set(zip(found["id"].to_pylist(), found["item"].to_pylist(), strict=True))


def searches(items: Items) -> dict[str, Search]:
    """Return the ways to search by name."""
    together = {name: text for texts in items.values() for name, text in texts.items()}
    others = {f"{width} words": WordNgrams(together, width) for width in WIDTHS}
    return {HUNMIN: CharacterRuns(build_index(items)), **others}


def shares_found(planted: pa.Table, search: Search) -> dict[str, float]:
    """Return the share of planted items that are found, by set and over all."""
    found: set[tuple[str, str]] = set()
    for batch in planted.to_batches(max_chunksize=BATCH_ROWS):
        found |= search(batch)
    counts: dict[str, list[bool]] = {"all": []}
    for row in planted.select(["id", "item"]).to_pylist():
        is_found = (row["id"], row["item"]) in found
        for name in ("all", row["item"].rpartition(" ")[0]):
            counts.setdefault(name, []).append(is_found)
    return {name: sum(values) / len(values) for name, values in counts.items()}


def suspected(batches: Iterable[pa.RecordBatch], search: Search) -> dict[str, Any]:
    """Return how many documents are suspected, some of them, and the speed."""
    documents = num_bytes = 0
    held: dict[str, str] = {}
    seconds = 0.0
    for batch in batches:
        documents += batch.num_rows
        num_bytes += sum(len(text.encode()) for text in batch["text"].to_pylist())
        started = time.process_time()
        held |= dict(search(batch))
        seconds += time.process_time() - started
    share = len(held) / documents if documents else float("nan")
    return {
        "documents": documents,
        "suspected": len(held),
        "share": share,
        "examples": dict(sorted(held.items())[:20]),
        "mb_per_cpu_second": num_bytes / 1e6 / seconds if seconds else float("nan"),
    }


def batches_of(rows: list[dict[str, str]]) -> Iterator[pa.RecordBatch]:
    """Yield documents in batches of `id` and `text`."""
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    for first in range(0, len(rows), BATCH_ROWS):
        yield pa.RecordBatch.from_pylist(rows[first : first + BATCH_ROWS], schema=schema)


def sampled(rows: list[dict[str, str]], count: int | None, name: str) -> list[dict[str, str]]:
    """Return some rows, or all."""
    if count is None or count >= len(rows):
        return rows
    return random.Random(seed_from("decontamination", name)).sample(rows, count)


def read_groups(options: argparse.Namespace) -> dict[str, list[dict[str, str]]]:
    """Read the documents: `clean` ones, and those that may hold an item."""
    clean: list[dict[str, str]] = []
    reviews: list[dict[str, str]] = []
    for row in read_documents(options.data):
        if row["text"].strip():
            (reviews if row["source"] == "films" else clean).append(row)
    for row in read_jsonl(options.data / "debian_install_guide" / "ko.jsonl.zst"):
        clean.append({"id": f"guide/{row['path']}", "text": row["text"]})
    return {
        "clean": sampled(clean, options.documents, "clean"),
        "film reviews": sampled(reviews, options.documents, "reviews"),
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search in everything with everything."""
    items = read_items(options.data)
    groups = read_groups(options)
    hosts = pa.array(
        [row["text"] for row in sampled(groups["clean"], NUM_DOCUMENTS, "hosts")], pa.string()
    )
    together = {name: text for texts in items.values() for name, text in texts.items()}
    planted = {name: plant_items(together, hosts, change) for name, change in CHANGES.items()}
    found: dict[str, Any] = {}
    for name, search in searches(items).items():
        found[name] = {
            "found": {change: shares_found(table, search) for change, table in planted.items()},
            "documents": {
                group: suspected(batches_of(rows), search) for group, rows in groups.items()
            },
        }
        print(name, json.dumps(found[name]["found"], ensure_ascii=False), flush=True)
    counts = {name: len(texts) for name, texts in items.items()}
    return {"searches": found, "items": counts, "hosts": len(hosts)}


def as_row(name: str, figures: Mapping[str, Any]) -> list[str]:
    """Return the figures of a search as a row of the table."""
    clean, reviews = figures["documents"]["clean"], figures["documents"]["film reviews"]
    return [
        name,
        *(f"{figures['found'][change]['all']:.3f}" for change in CHANGES),
        f"{clean['suspected']:,} of {clean['documents']:,} ({clean['share']:.3%})",
        f"{reviews['suspected']:,} of {reviews['documents']:,} ({reviews['share']:.3%})",
        f"{clean['mb_per_cpu_second']:.1f}",
    ]


def tables(details: Mapping[str, Any]) -> str:
    """Return the shares over all items, then by evaluation set."""
    header = ["", *CHANGES, "clean documents suspected", "film reviews suspected", "MB per CPU s"]
    rows = [as_row(name, figures) for name, figures in details["searches"].items()]
    by_set = [
        [f"{name}, {each} ({count:,} items)"]
        + [f"{figures['found'][change][each]:.3f}" for change in CHANGES]
        for name, figures in details["searches"].items()
        for each, count in details["items"].items()
    ]
    first = markdown_table(header, rows)
    return f"{first}\n\n{markdown_table(['by evaluation set', *CHANGES], by_set)}"


def main() -> None:
    """Search and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--documents", type=int, help="most documents of a group, for a trial")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    details = run(options)
    details["command"] = "python benchmarks/corpus_decontamination.py"
    total = sum(details["items"].values())
    title = f"{total:,} evaluation items put into {details['hosts']:,} Korean documents"
    write_result("corpus-decontamination", title, tables(details), details, options.results)


if __name__ == "__main__":
    main()

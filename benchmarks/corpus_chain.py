"""How fast each kernel is, and the chain of them: MB of text per CPU second.

Cleaning, language identification, quality filters, privacy, keys of exact duplicates, signatures of
near duplicates and decontamination, one after the other on what the one before let through: on
short texts (film reviews, one by one), on pages of Korean, on pages in six other languages. Every
figure is MB of the text that was read per CPU second of one process, so the chain's time is the sum
of its kernels' times. Reading and writing of files and the engine's own work are not in it: for
those see corpus_dedup.py.

    python benchmarks/corpus_chain.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpus_decontamination import read_items
from corpus_reference import DATA, read_documents, read_jsonl
from harness import RESULTS, markdown_table, write_result

from hunmin.corpus.decontamination.index import EvaluationIndex, build_index
from hunmin.corpus.decontamination.search import mark_contaminated
from hunmin.corpus.dedup.exact import exact_keys
from hunmin.corpus.dedup.minhash import MinHash
from hunmin.corpus.dedup.near import sign_documents
from hunmin.corpus.filters.profiles import Threshold
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.kernels import identify, normalize_text, reject_unusable
from hunmin.corpus.privacy.kernel import PersonalDataMasker
from hunmin.corpus.records import Record, batched
from hunmin.text.cleaning import CleanText
from hunmin.text.identification.kernel import IdentifyLanguages

# Reviews of fewer than ten words go through the whole chain, too.
SHORT_TEXTS_TOO = FilterSpec(thresholds={"und": {"words": Threshold(min=1)}})
Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]
SHORT, LONG, OTHERS = "short texts, ko", "pages, ko", "pages, en ja de fr es vi"
CHAIN = "the whole chain"


def decontaminate(batch: pa.RecordBatch, index: EvaluationIndex) -> pa.RecordBatch:
    """Mark documents that hold evaluation items; the list of sets is not needed further on."""
    return mark_contaminated(batch, index).drop_columns(["evaluation_sets"])


def links(index: EvaluationIndex) -> dict[str, tuple[Kernel, ...]]:
    """Return the kernels by the name that the table gives them."""
    minhash = MinHash()
    return {
        "normal form, clean-up, ids": (
            normalize_text,
            CleanText(report=True),
            functools.partial(reject_unusable, min_characters=1),
            identify,
        ),
        "language": (IdentifyLanguages(),),
        "quality filters": (QualityFilter(SHORT_TEXTS_TOO),),
        "privacy": (PersonalDataMasker(),),
        "exact key": (functools.partial(exact_keys, is_normal=True),),
        "signature": (functools.partial(sign_documents, minhash=minhash),),
        "decontamination": (functools.partial(decontaminate, index=index),),
    }


KEYS = ("exact key", "signature")
"""Kernels that make keys beside the documents, which go on as they are."""


def run_chain(
    batch: pa.RecordBatch, chain: dict[str, tuple[Kernel, ...]], seconds: dict[str, float]
) -> int:
    """Take a batch through the chain and add up the CPU seconds of each link.

    Args:
        batch: RECORD_SCHEMA.
        chain: From `links`.
        seconds: Takes the CPU seconds, by link.

    Returns:
        Documents left.
    """
    for name, kernels in chain.items():
        started = time.process_time()
        result = batch
        for kernel in kernels:
            result = kernel(result)
        if name not in KEYS:
            batch = result
        if "reason" in batch.schema.names:
            batch = batch.filter(pc.is_null(batch["reason"]))
        seconds[name] += time.process_time() - started
    return int(batch.num_rows)


def measure(
    batches: list[pa.RecordBatch], chain: dict[str, tuple[Kernel, ...]]
) -> tuple[dict[str, float], int]:
    """Return the CPU seconds of each link over all batches, and the documents left."""
    seconds = dict.fromkeys(chain, 0.0)
    kept = sum(run_chain(batch, chain, seconds) for batch in batches)
    return seconds, kept


def read_texts(data: Path, megabytes: float) -> dict[str, list[pa.RecordBatch]]:
    """Read so much text of each kind, as batches of RECORD_SCHEMA."""
    reviews = (("ko", row["document"]) for row in read_jsonl(data / "nsmc" / "reviews.jsonl.zst"))
    pages = (("ko", row["text"]) for row in read_documents(data) if row["source"] != "films")
    texts = {SHORT: reviews, LONG: _mixed(pages), OTHERS: _mixed(other_pages(data))}
    return {
        name: list(batched(_records(_limited(rows, megabytes)))) for name, rows in texts.items()
    }


def other_pages(data: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of manual pages."""
    for path in sorted((data / "tech_text").glob("*.jsonl.zst")):
        language = path.name.partition("_")[0]
        yield from ((language, row["text"]) for row in read_jsonl(path))
    for language in ("vi", "en", "ja"):
        path = data / "debian_install_guide" / f"{language}.jsonl.zst"
        yield from ((language, row["text"]) for row in read_jsonl(path))


def _mixed(rows: Iterable[tuple[str, str]], stride: int = 97) -> Iterator[tuple[str, str]]:
    """Yield the rows in another order, so that a part of them has some of each kind."""
    every = [row for row in rows if row[1].strip()]
    for first in range(stride):
        yield from every[first::stride]


def _limited(rows: Iterable[tuple[str, str]], megabytes: float) -> Iterator[tuple[str, str]]:
    total = 0
    for language, text in rows:
        if total >= megabytes * 1e6:
            return
        total += len(text.encode())
        yield language, text


def _records(rows: Iterable[tuple[str, str]]) -> Iterator[Record]:
    for number, (language, text) in enumerate(rows):
        yield Record(str(number), text, language, "benchmark", "unknown", None, "{}")


def summarise(
    batches: list[pa.RecordBatch], rounds: list[tuple[dict[str, float], int]]
) -> dict[str, Any]:
    """Return medians over the rounds."""
    size = sum(pc.sum(pc.binary_length(batch["text"])).as_py() or 0 for batch in batches) / 1e6
    documents = sum(batch.num_rows for batch in batches)
    seconds = {name: [each[name] for each, _ in rounds] for name in rounds[0][0]}
    seconds[CHAIN] = [sum(each.values()) for each, _ in rounds]
    return {
        "megabytes": size,
        "documents": documents,
        "mean_bytes": size * 1e6 / documents,
        "kept": rounds[0][1],
        "cpu_seconds": seconds,
        "mb_per_cpu_second": {
            name: size / statistics.median(values) for name, values in seconds.items()
        },
    }


def table_of(summaries: dict[str, dict[str, Any]]) -> str:
    """Return MB/s by kernel and kind of text, and the share of the chain's time."""
    header = ["MB per CPU second"]
    for name, each in summaries.items():
        header += [f"{name} ({each['mean_bytes']:,.0f} bytes a text)", "share of time"]
    rows = []
    for link in next(iter(summaries.values()))["mb_per_cpu_second"]:
        row = [link]
        for each in summaries.values():
            total = statistics.median(each["cpu_seconds"][CHAIN])
            share = statistics.median(each["cpu_seconds"][link]) / total
            row += [f"{each['mb_per_cpu_second'][link]:,.1f}", f"{share:.0%}"]
        rows.append(row)
    kept = [f"{each['kept']:,} of {each['documents']:,}" for each in summaries.values()]
    rows.append(["documents kept", *itertools.chain(*([text, ""] for text in kept))])
    return markdown_table(header, rows)


def main() -> None:
    """Measure the kinds of text in turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--megabytes", type=float, default=16, help="text of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    # One thread of Arrow's own, so that CPU seconds are those of one core.
    pa.set_cpu_count(1)
    chain = links(build_index(read_items(options.data)))
    texts = read_texts(options.data, options.megabytes)
    for batches in texts.values():
        # Tables and patterns are loaded with the first text.
        measure([batch.slice(0, 20) for batch in batches[:1]], chain)
    rounds: dict[str, list[tuple[dict[str, float], int]]] = {name: [] for name in texts}
    for number in range(options.rounds):
        for name, batches in texts.items():
            rounds[name].append(measure(batches, chain))
            print(f"round {number + 1}  {name:<28} {sum(rounds[name][-1][0].values()):.1f} s")
    summaries = {name: summarise(texts[name], each) for name, each in rounds.items()}
    details = {"texts": summaries, "command": "python benchmarks/corpus_chain.py"}
    title = "Kernels of the corpus, one core"
    write_result("corpus-chain", title, table_of(summaries), details, options.results)


if __name__ == "__main__":
    main()

"""The reference job with datatrove; runs in an environment of its own, see corpus_dedup.py.

    PYTHON_OF_DATATROVE benchmarks/corpus_datatrove.py INPUT WORK --workers 2 --filters gopher

JSONL -> NFC -> length and quality filter -> exact duplicates -> MinHash -> Parquet, by its own
steps. Words stand between white space: its tokenizer for Korean needs a model and sees decomposed
text. What each step drops is written beside the result.
"""

from __future__ import annotations

import argparse
import unicodedata
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.filters import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LambdaFilter,
)
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.word_tokenizers import WordTokenizer

MIN_CHARACTERS = 200


class Nfc(BaseFormatter):
    """Composes Hangul."""

    name = "NFC"

    def format(self, text: str) -> str:
        """Return the text in NFC."""
        return unicodedata.normalize("NFC", text)


class SpacedWords(WordTokenizer):
    """Words between white space."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words."""
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        """Return the lines."""
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Return the whole text."""
        return [(0, len(text))]


def content_of(document: Document) -> str:
    """Return what exact duplicates share."""
    return document.text


def is_long(document: Document) -> bool:
    """Tell whether a text is long enough."""
    return len(document.text) >= MIN_CHARACTERS


WORDS = SpacedWords()


def filters(kind: str, dropped: Path) -> list[PipelineStep]:
    """Return its quality filters with hunmin's limits, so that both keep about the same."""

    def writer(name: str) -> ParquetWriter:
        return ParquetWriter(str(dropped / name))

    steps: list[PipelineStep] = [LambdaFilter(is_long, exclusion_writer=writer("length"))]
    gopher = GopherQualityFilter(
        min_doc_words=10,
        min_avg_word_length=1.8,
        max_avg_word_length=12,
        max_ellipsis_lines_ratio=0.45,
        max_non_alpha_words_ratio=0.6,
        min_stop_words=0,
        language=WORDS,
        exclusion_writer=writer("gopher"),
    )
    if kind == "gopher":
        return [*steps, gopher]
    repetition = GopherRepetitionFilter(
        dup_line_frac=0.5,
        dup_line_char_frac=0.45,
        top_n_grams=((2, 0.3), (3, 0.33), (4, 0.36)),
        dup_n_grams=tuple((size, 0.6 - 0.03 * (size - 5)) for size in range(5, 11)),
        language=WORDS,
        exclusion_writer=writer("repetition"),
    )
    fineweb = FineWebQualityFilter(
        line_punct_thr=0.0,
        short_line_thr=0.95,
        short_line_length=15,
        char_duplicates_ratio=0.45,
        new_line_ratio=0.7,
        language=WORDS,
        exclusion_writer=writer("fineweb"),
    )
    return [*steps, repetition, gopher, fineweb]


def run(options: argparse.Namespace) -> None:
    """Do the job, stage after stage."""
    work: Path = options.work
    dropped = work / "dropped"
    tasks = len(list(options.input.glob("*.jsonl")))

    def executor(name: str, steps: list[PipelineStep], count: int) -> None:
        LocalPipelineExecutor(
            steps, tasks=count, workers=options.workers, logging_dir=str(work / "logs" / name)
        ).run()

    def folder(name: str) -> str:
        return str(work / name)

    exact = ExactDedupConfig(content_getter=content_of)
    near = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    reader = JsonlReader(str(options.input), glob_pattern="*.jsonl")
    chosen = filters(options.filters, dropped)
    executor(
        "filter",
        [
            reader,
            Nfc(),
            *chosen,
            ParquetWriter(folder("filtered"), compression="zstd"),
            ExactDedupSignature(folder("exact-keys"), exact, finder_workers=1),
        ],
        tasks,
    )
    executor("exact", [ExactFindDedups(folder("exact-keys"), folder("exact-found"), exact)], 1)
    executor(
        "sign",
        [
            ParquetReader(folder("filtered")),
            ExactDedupFilter(
                folder("exact-found"), exact, ParquetWriter(str(dropped / "exact duplicates"))
            ),
            ParquetWriter(folder("unique"), compression="zstd"),
            MinhashDedupSignature(folder("signatures"), near, language=WORDS),
        ],
        tasks,
    )
    executor(
        "buckets", [MinhashDedupBuckets(folder("signatures"), folder("pairs"), config=near)], 14
    )
    executor("clusters", [MinhashDedupCluster(folder("pairs"), folder("remove"), config=near)], 1)
    executor(
        "output",
        [
            ParquetReader(folder("unique")),
            MinhashDedupFilter(folder("remove"), ParquetWriter(str(dropped / "near duplicates"))),
            ParquetWriter(folder("kept"), compression="zstd"),
        ],
        tasks,
    )


def main() -> None:
    """Read the command line and do the job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--filters", choices=("gopher", "all"), default="gopher")
    run(parser.parse_args())


if __name__ == "__main__":
    main()

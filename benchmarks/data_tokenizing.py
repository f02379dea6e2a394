"""Megabytes of text that become tokens per core-second: encoders alone, and documents to shards.

All runs are in one process on one thread at a time; what is counted is the processor time of the
whole process, so that a busy machine does not count. The whole path reads Parquet, tests itself,
encodes, checks samples against the reference, shuffles, writes shards with index and checksums.

    python benchmarks/data_tokenizing.py                  # Korean
    python benchmarks/data_tokenizing.py --text many      # nineteen languages
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tiktoken
import zstandard
from harness import RESULTS, interleave, markdown_table, write_result
from tokenizers import Tokenizer

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.corpus.documents import DOCUMENTS_KIND, read_documents
from hunmin.data.encoding import slice_batches
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.bulk import tiktoken_encoding
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

DATA = Path("../shared/data")
TEXTS = {
    "ko": (
        ("ko_petitions/*.zst", "content"),
        ("ko_docs/*.zst", "text"),
        ("nsmc/reviews.jsonl.zst", "document"),
    ),
    "many": (("debian_install_guide/*.zst", "text"), ("tech_text/*.zst", "text")),
}
ROWS_PER_PART = 20_000
REFERENCE = "tokenizers, encode_batch_fast"
REFERENCE_PATH = "tokenizers, documents to a file of ids"
OURS = "hunmin, encode_batch"
OUR_PATH = "hunmin, documents to shards"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", choices=TEXTS, default="ko")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--megabytes", type=float, default=60, help="text of the whole path")
    parser.add_argument("--sample", type=float, default=5, help="MB that encoders alone get")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def read_texts(data: Path, text: str, max_bytes: float) -> Iterator[str]:
    """Yield documents in turns of the sources, so that a part of them is like the whole."""
    readers = [read_field(data, pattern, field) for pattern, field in TEXTS[text]]
    size = 0
    while readers:
        for reader in list(readers):
            document = next(reader, None)
            if document is None:
                readers.remove(reader)
            elif document and size < max_bytes:
                size += len(document.encode())
                yield document
        if size >= max_bytes:
            return


def read_field(data: Path, pattern: str, field: str) -> Iterator[str]:
    """Yield one field of the lines of some files."""
    for path in sorted(data.glob(pattern)):
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                yield json.loads(line).get(field) or ""


def write_documents(folder: Path, texts: Sequence[str]) -> Artifact:
    """Write texts as a documents artifact."""
    with write_artifact(folder, DOCUMENTS_KIND) as draft:
        (draft.path / "train").mkdir()
        for part, first in enumerate(range(0, len(texts), ROWS_PER_PART)):
            some = texts[first : first + ROWS_PER_PART]
            names = [sha256(f"{first + i}".encode()).hexdigest()[:32] for i in range(len(some))]
            same = {"language": ["und"] * len(some), "source": ["benchmark"] * len(some)}
            table = pa.table({"id": names, "text": some, **same})
            pq.write_table(table, draft.path / "train" / f"part-{part:05d}.parquet")
    return load_artifact(folder)


def per_core_second(megabytes: float, work: Callable[[], Any]) -> float:
    """Run once and return MB per second of processor time."""
    started = time.process_time()
    work()
    return megabytes / (time.process_time() - started)


def reference_path(documents: Artifact, tokenizer: Tokenizer, file: Path) -> None:
    """Encode with the library and append the ids to a file, the plain way."""
    with file.open("wb") as out:
        for batch in slice_batches(read_documents(documents, "train", ["text"])):
            texts = batch.column("text").to_pylist()
            for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                out.write(np.array(row.ids, dtype=np.uint16).tobytes())


def plan_runs(
    folder: Path, texts: Sequence[str], sample: Sequence[str], vocab_size: int
) -> dict[str, Callable[[], float]]:
    """Train the tokenizer and return what is measured by name."""
    whole = write_documents(folder / "whole", texts)
    part = write_documents(folder / "part", sample)
    spec = TokenizerSpec(vocab_size=vocab_size, allow_smaller=True, sample_max_bytes=20_000_000)
    trained = train_tokenizer(spec, whole, folder / "tokenizer")
    tokenizer = load_tokenizer(trained.path)
    library = Tokenizer.from_str(tokenizer.definition)
    num_mb, part_mb = count_megabytes(texts), count_megabytes(sample)
    ours = tokenizer.with_engine(tokenizer.choose_engine(sample))
    encoding = tiktoken_encoding(tokenizer.parsed)
    data = DataSpec(num_workers=1)
    reference = partial(library.encode_batch_fast, list(sample), add_special_tokens=False)
    works: dict[str, tuple[float, Callable[[], Any]]] = {
        REFERENCE: (part_mb, reference),
        REFERENCE_PATH: (part_mb, partial(reference_path, part, library, folder / "ids.bin")),
        "tiktoken, encode_ordinary": (part_mb, partial(encode_plainly, encoding, sample)),
        OURS: (part_mb, partial(ours.encode_batch, sample)),
        OUR_PATH: (num_mb, partial(write_shards, data, whole, trained, folder / "tokens")),
    }
    return {name: partial(per_core_second, mb, work) for name, (mb, work) in works.items()}


def encode_plainly(encoding: tiktoken.Encoding, texts: Sequence[str]) -> None:
    """Encode with tiktoken alone, into lists of numbers."""
    for text in texts:
        encoding.encode_ordinary(text)


def count_megabytes(texts: Sequence[str]) -> float:
    """UTF-8 bytes of some texts, in millions."""
    return sum(len(text.encode()) for text in texts) / 1e6


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    texts = list(read_texts(options.data, options.text, options.megabytes * 1e6))
    sample = texts[:: max(1, round(options.megabytes / options.sample))]
    with tempfile.TemporaryDirectory() as folder:
        runs = plan_runs(Path(folder), texts, sample, options.vocab_size)
        results = interleave(runs, options.rounds)
    rows = [
        (name, f"{result.median:.1f}", f"{result.ratio_to(results[REFERENCE]):.1f}x")
        for name, result in results.items()
    ]
    size = count_megabytes(texts)
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "text": options.text,
        "megabytes": size,
        "documents": len(texts),
        "megabytes_per_core_second": {name: result.values for name, result in results.items()},
    }
    header = ("path", "MB per core-second (median)", "of the library's encoder")
    title = (
        f"Tokenizing {size:.0f} MB in {len(texts):,} documents ({options.text}), "
        f"{options.vocab_size:,} entries"
    )
    name = f"data-tokenizing-{options.text}"
    write_result(name, title, markdown_table(header, rows), details, options.results)


if __name__ == "__main__":
    main()

"""Training a 64K vocabulary on 1 GB of text: time and memory, beside the library's byte-level BPE.

The text is all the real text in ../shared/data in many languages, read again until it is 1 GB.
Korean is analysed with MeCab (50 MB of it, the default) before the clock starts; what is timed
reads the whole sample, counts words and boundaries, and learns the merges. Each contender runs in a
process of its own, whose peak memory is reported, and the contenders take turns.

    python benchmarks/tokenizer_training.py
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness import markdown_table, write_result

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact
from hunmin.corpus.build import build_corpus
from hunmin.corpus.sources.spec import FieldNames, FilesSource
from hunmin.corpus.spec import CorpusSpec, DeduplicateSpec
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.segmented import segmented_batches
from hunmin.tokenizer.sample import plan_sample
from hunmin.tokenizer.spec import AnalyserSpec, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.train import METHODS

DATA = Path("../shared/data")
PLAIN, CONSISTENT = "byte-bpe", "morpheme-bpe"


FILES = (
    ("nsmc/reviews.jsonl.zst", "ko", "document"),
    ("ko_petitions/*.zst", "ko", "content"),
    ("ko_docs/*.zst", "ko", "text"),
    ("tech_text/*.zst", "und", "text"),
    ("debian_install_guide/*.zst", "und", "text"),
)
LINES = ("ntrex128/newstest*.zst", "libreoffice_help/*.zst", "slurp/lm.txt.zst", "freedict/*.zst")
# There are 352 MB; so often they are read.
READINGS = 3


def read_text(folder: Path) -> Artifact:
    """Return the documents: everything that is running text, several times."""
    if (folder / MANIFEST_NAME).is_file():
        return load_artifact(folder, "documents")
    sources = [source for reading in range(READINGS) for source in _sources(reading)]
    spec = CorpusSpec(
        sources=tuple(sources), validation_fraction=0.0, deduplicate=DeduplicateSpec(exact=False)
    )
    return build_corpus(spec, folder)


def _sources(reading: int) -> Iterator[FilesSource]:
    for path, language, field in FILES:
        yield FilesSource(
            name=f"{path.split('/')[0]} {reading}",
            paths=(str(DATA / path),),
            language=language,
            fields=FieldNames(text=field),
        )
    for path in LINES:
        name = f"{path.split('/')[0]} {reading}"
        yield FilesSource(name=name, paths=(str(DATA / path),), unit="line", format="text")


def make_spec(kind: str, options: argparse.Namespace) -> TokenizerSpec:
    """Return what is trained."""
    morphemes = MorphemeSpec(analysers={"ko": AnalyserSpec(name="mecab-ko")})
    return TokenizerSpec(
        kind=kind,
        vocab_size=options.vocab_size,
        sample_max_bytes=options.megabytes * 1_000_000,
        temperature=1,
        morphemes=morphemes if kind == CONSISTENT else MorphemeSpec(),
    )


def train_once(kind: str, options: argparse.Namespace) -> None:
    """Train in this process and print what it took as JSON."""
    documents = load_artifact(options.folder, "documents", verify=False)
    spec = make_spec(kind, options)
    task = TrainingTask(spec, documents, plan_sample(documents, spec))
    if kind == CONSISTENT:
        # What an earlier run analysed comes from the cache.
        next(segmented_batches(task))
    started = time.perf_counter()
    tokenizer = METHODS[kind](task)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = tokenizer.get_vocab_size()
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "entries": size}))


def in_own_process(kind: str) -> dict[str, float]:
    """Train in a process of its own and return what it printed."""
    command = [sys.executable, __file__, *sys.argv[1:], "--kind", kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{kind}: {result}", flush=True)
    return result


def main() -> None:
    """Let the contenders take turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "text-1gb")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--vocab-size", type=int, default=64_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=(PLAIN, CONSISTENT), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        train_once(options.kind, options)
        return
    documents = read_text(options.folder)
    runs: dict[str, list[dict[str, float]]] = {CONSISTENT: [], PLAIN: []}
    for _ in range(options.rounds):
        for kind, results in runs.items():
            results.append(in_own_process(kind))
    header = ["method", "seconds", "peak memory", "entries"]
    rows = [
        [
            kind,
            f"{statistics.median(run['seconds'] for run in results):.0f}",
            f"{max(run['peak_bytes'] for run in results) / 1e9:.2f} GB",
            f"{results[0]['entries']:,}",
        ]
        for kind, results in runs.items()
    ]
    table = markdown_table(header, rows)
    text = min(options.megabytes * 1_000_000, documents.facts["total"]["utf8_bytes"])
    title = f"Training {options.vocab_size:,} entries on {text / 1e6:.0f} MB of text"
    print(write_result("tokenizer-training", title, table, {"runs": runs, "text_bytes": text}))
    print(table)


if __name__ == "__main__":
    main()

"""A corpus larger than the memory it may take: two gigabytes of text, every step on.

The documents are drawn from the sentences of Korean petitions, manuals and reviews, a few in a
hundred of them twice, in 16 files. Measured are CPU seconds, wall time and peak memory (sum of PSS
over all processes) of `hunmin corpus build` with two
workers.

    python benchmarks/corpus_memory.py
    python benchmarks/corpus_memory.py --gigabytes 0.1
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpus_reference import DATA, build_command, read_jsonl
from corpus_usage import measure
from harness import RESULTS, markdown_table, write_result

NUM_FILES = 16
SENTENCES = 24
REPEATED = 0.03
TEXTS = (
    ("ko_petitions/petitions_2019-05.jsonl.zst", "content"),
    ("ko_docs/windowsserver_docs_ko.jsonl.zst", "text"),
    ("nsmc/reviews.jsonl.zst", "document"),
)
MAX_TEXTS = 40_000


def sentences(data: Path) -> list[str]:
    """Return sentences of some hundred characters at most."""
    found: list[str] = []
    for name, field in TEXTS:
        for number, row in enumerate(read_jsonl(data / name)):
            if number == MAX_TEXTS:
                break
            found += [part for part in row[field].replace("\n", ". ").split(". ") if part.strip()]
    return [sentence[:200].strip() for sentence in found]


def documents(known: list[str], num_bytes: int, seed: int) -> Iterator[str]:
    """Yield documents until they have `num_bytes` of UTF-8."""
    draw = random.Random(seed)
    earlier: list[str] = []
    while num_bytes > 0:
        if earlier and draw.random() < REPEATED:
            text = draw.choice(earlier)
        else:
            text = ". ".join(draw.choices(known, k=draw.randrange(6, 2 * SENTENCES))) + "."
            earlier = [*earlier[-200:], text]
        num_bytes -= len(text.encode())
        yield text


def make_input(folder: Path, data: Path, num_bytes: int) -> Path:
    """Write the files, unless they are there."""
    target = folder / f"input-{num_bytes}"
    if target.is_dir():
        return target
    known = sentences(data)
    draft = folder / "input.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for number in range(NUM_FILES):
        with (draft / f"{number:02d}.jsonl").open("w", encoding="utf-8") as file:
            for text in documents(known, num_bytes // NUM_FILES, number):
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return draft.rename(target)


def recipe(source: Path, data: Path, workers: int) -> dict[str, Any]:
    """Return the job as a recipe."""
    return {
        "name": "memory",
        "corpus": {
            "sources": [{"kind": "files", "paths": [str(source)], "language": "ko"}],
            "language": {},
            "filters": {},
            "privacy": {},
            "deduplicate": {"near": {}, "lines": {}},
            "decontaminate": {
                "sets": [
                    {
                        "name": "klue-nli",
                        "paths": [str(data / "klue" / "nli_dev_a.jsonl.zst")],
                        "fields": {"text": "premise"},
                    }
                ]
            },
            "num_workers": workers,
        },
    }


def main() -> None:
    """Build the corpus once and write what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "hunmin-memory"
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    num_bytes = int(options.gigabytes * 1e9)
    source = make_input(options.folder, options.data, num_bytes)
    work = options.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = build_command(recipe(source, options.data.resolve(), options.workers), work)
    usage = measure(command, log=work / "log.txt")
    facts = json.loads((work / "run" / "corpus" / "manifest.json").read_text("utf-8"))["facts"]
    flow = facts["flow"]
    read = flow[0]["utf8_bytes"]
    rows = [
        ["text read", f"{read / 1e9:.2f} GB, {flow[0]['documents']:,} documents"],
        ["kept", f"{flow[-1]['utf8_bytes'] / 1e9:.2f} GB, {flow[-1]['documents']:,} documents"],
        ["peak memory of all processes", f"{usage.peak_bytes / 1e9:.2f} GB"],
        ["CPU", f"{usage.cpu_seconds:.0f} s, {read / 1e6 / usage.cpu_seconds:.1f} MB/s per core"],
        ["wall", f"{usage.wall_seconds:.0f} s with {options.workers} workers"],
    ]
    details = usage.as_json() | {"flow": flow, "rejects": facts["rejects"]}
    details |= {"duplicates": facts["duplicates"], "workers": options.workers}
    title = "A corpus larger than the memory it may take"
    print(
        write_result(
            "corpus-memory", title, markdown_table(["", ""], rows), details, options.results
        )
    )


if __name__ == "__main__":
    main()

"""The same recipe on Daft and on Ray, two workers each: the same result, and what does it take?

The input is that of corpus_reference.py; the recipe cleans, identifies languages, filters, masks
personal data, de-duplicates, decontaminates and splits. Compared are the ids and texts of every
split and the ids and reasons of what was dropped. The engines take turns; CPU seconds and peak
memory are those of all their processes.

    python benchmarks/corpus_engines.py
    python benchmarks/corpus_engines.py --scale 0.05 --rounds 1

Finished turns are kept in the folder, as long as the code stays; `--again` starts anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from corpus_reference import (
    DATA,
    FOLDER,
    ReferenceJob,
    build_command,
    code_of_corpus,
    reference_job,
)
from corpus_usage import measure
from harness import RESULTS, markdown_table, write_result

ENGINES = ("daft", "ray")
PARTS = ("train", "validation", "rejects")
EVALUATION_SETS = (("KLUE-NLI", "nli", "premise"), ("KLUE-STS", "sts", "sentence1"))
QUIET = {
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def recipe(job: ReferenceJob, data: Path, engine: str, workers: int) -> dict[str, Any]:
    """Return the job as a recipe of hunmin."""
    source = {
        "kind": "files",
        "name": "reference",
        "paths": [str(job.input)],
        "language": "ko",
        "fields": {"text": "text", "id": "id"},
    }
    items = [
        {
            "kind": "files",
            "name": name,
            "paths": [str(data / "klue" / f"{file}_dev_a.jsonl.zst")],
            "language": "ko",
            "fields": {"text": field, "id": "guid"},
        }
        for name, file, field in EVALUATION_SETS
    ]
    corpus = {
        "sources": [source],
        "language": {},
        "filters": {},
        "privacy": {},
        "deduplicate": {"exact": True, "near": {"threshold": 0.72}},
        "decontaminate": {"sets": items},
        "validation_fraction": 0.02,
        "engine": engine,
        "num_workers": workers,
    }
    return {"name": "engines", "corpus": corpus}


def take_turn(engine: str, number: int, job: ReferenceJob, options: Any) -> dict[str, Any]:
    """Build the corpus once and describe it, unless that was done before with the same code."""
    folder: Path = options.folder / "engines" / f"{engine}-{number}"
    record = folder / "turn.json"
    made_of = {"input": job.facts, "code": code_of_corpus()}
    if record.is_file() and not options.again:
        turn: dict[str, Any] = json.loads(record.read_text("utf-8"))
        if turn["made_of"] == made_of:
            return turn
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = build_command(recipe(job, options.data, engine, options.workers), folder)
    usage = measure(command, log=folder / "log.txt", environment=QUIET)
    corpus = folder / "run" / "corpus"
    turn = {
        "made_of": made_of,
        "usage": usage.as_json(),
        "digests": {part: digest_of(corpus / part) for part in PARTS},
        "files": digest_of_files(corpus),
    }
    shutil.rmtree(folder / "run")
    record.write_text(json.dumps(turn), encoding="utf-8")
    print(f"round {number + 1}  {engine:<8} {usage}", flush=True)
    return turn


def digest_of(folder: Path) -> dict[str, Any]:
    """Return the number of documents and a hash of ids, texts and reasons, whatever their order."""
    wanted = ("id", "text", "reason")
    rows: list[bytes] = []
    for path in sorted(folder.glob("*.parquet")):
        file = pq.ParquetFile(path)
        columns = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=columns):
            rows += [json.dumps(row, sort_keys=True).encode() for row in batch.to_pylist()]
    digest = hashlib.sha256(b"\n".join(sorted(rows))).hexdigest()
    return {"documents": len(rows), "sha256": digest}


def digest_of_files(folder: Path) -> str:
    """Return a hash over names and bytes of all parts: equal only if the order is, too."""
    total = hashlib.sha256()
    for part in PARTS:
        for path in sorted((folder / part).glob("*.parquet")):
            total.update(f"{part}/{path.name}".encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def as_row(engine: str, turns: list[dict[str, Any]], first: dict[str, Any]) -> list[str]:
    """Return the figures of an engine as a row of the table."""
    usage = [turn["usage"] for turn in turns]
    median = {key: statistics.median(each[key] for each in usage) for key in usage[0]}
    documents = turns[0]["digests"]
    same = all(turn["digests"] == first["digests"] for turn in turns)
    same_bytes = all(turn["files"] == first["files"] for turn in turns)
    return [
        engine,
        f"{median['cpu_seconds']:.1f}",
        f"{median['wall_seconds']:.1f}",
        f"{median['peak_bytes'] / 1e6:,.0f}",
        *(f"{documents[part]['documents']:,}" for part in PARTS),
        "yes" if same else "no",
        "yes" if same_bytes else "no",
    ]


def main() -> None:
    """Let the engines take turns, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the input, for a trial")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="repeat turns that are done")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    job = reference_job(options.data, options.folder, scale=options.scale)
    turns: dict[str, list[dict[str, Any]]] = {engine: [] for engine in options.engines}
    for number in range(options.rounds):
        for engine in options.engines:
            turns[engine].append(take_turn(engine, number, job, options))
    first = turns[options.engines[0]][0]
    header = ["engine", "CPU s", "wall s", "peak MB", *PARTS, "same documents", "same bytes"]
    rows = [as_row(engine, each, first) for engine, each in turns.items()]
    details = {
        "engines": turns,
        "input": job.facts,
        "workers": options.workers,
        "versions": {name: metadata.version(name) for name in ("daft", "pyarrow", "ray")},
        "recipe": recipe(job, options.data, "ENGINE", options.workers)["corpus"],
        "command": f"python benchmarks/corpus_engines.py --scale {options.scale:g}",
    }
    size = job.facts["utf8_bytes"] / 1e6
    title = f"One recipe on each engine: {job.facts['documents']:,} documents, {size:.0f} MB"
    write_result("corpus-engines", title, markdown_table(header, rows), details, options.results)


if __name__ == "__main__":
    main()

"""The reference job with hunmin and with datatrove: CPU, memory, and how well copies are found.

JSONL -> NFC -> length and quality filter -> exact duplicates -> near duplicates -> Parquet, on the
input of corpus_reference.py, with two workers each. The contenders take turns. CPU seconds and peak
memory are those of all their processes. datatrove has an environment of its own (its pins differ),
which is made if it is not there.

    python benchmarks/corpus_dedup.py
    python benchmarks/corpus_dedup.py --scale 0.05 --rounds 1

Finished turns are kept in the folder, so that an interrupted run goes on; `--again` starts anew.
`datatrove, one filter` runs Gopher's quality filter only, the cheapest of its filters; `datatrove`
adds Gopher's repetition and FineWeb's quality filter. hunmin judges by the rules of all three.

Recall is the share of pairs with exact Jaccard 0.8 or more that are not both kept. Precision is the
share of documents dropped as near duplicates that do have a document of exact Jaccard 0.7 (0.5) or
more, by word 5-grams, and by word 5-grams or runs of 15 characters: copies that lost spaces are
alike by characters alone. Documents that a filter dropped are left out of both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
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

from hunmin.corpus.dedup.truth import (
    SimilarPairs,
    drop_precision,
    pair_recall,
    pairs_of_either,
)

DATATROVE = "datatrove[io,processing]==0.10.1"
HUNMIN = "hunmin"
BASELINE = "datatrove"
CHEAPEST = "datatrove, one filter"
SCRIPT = Path(__file__).with_name("corpus_datatrove.py")
KEPT, FILTERED, EXACT, NEAR = "kept", "filtered", "exact duplicate", "near duplicate"
# No step of either side may look for models, updates or somewhere to report to.
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LOGURU_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",
}

Fates = dict[str, str]
"""By id of a document, what became of it."""


@dataclass(frozen=True)
class Contender:
    """One way to do the job.

    Args:
        command: Returns what to run, given the folder of the result.
        fates: Reads what became of each document, given that folder.
    """

    command: Callable[[Path], list[str]]
    fates: Callable[[Path], Fates]


def recipe(job: ReferenceJob, workers: int) -> dict[str, Any]:
    """Return the job as a recipe of hunmin."""
    source = {
        "kind": "files",
        "name": "reference",
        "paths": [str(job.input)],
        "language": "ko",
        "fields": {"text": "text", "id": "id", "meta": ["id"]},
    }
    corpus = {
        "sources": [source],
        "min_characters": 200,
        "clean": False,
        "filters": {},
        "deduplicate": {"exact": True, "near": {"threshold": 0.72}},
        "validation_fraction": 0,
        "report": False,
        "engine": "daft",
        "num_workers": workers,
    }
    return {"name": "reference", "corpus": corpus}


def hunmin_contender(job: ReferenceJob, workers: int) -> Contender:
    """Return hunmin's side."""

    def command(work: Path) -> list[str]:
        return build_command(recipe(job, workers), work)

    return Contender(command, hunmin_fates)


def hunmin_fates(work: Path) -> Fates:
    """Read what became of each document."""
    folder = work / "run" / "corpus"
    fates = dict.fromkeys(_names(folder / "train"), KEPT)
    rejects = pq.read_table(folder / "rejects", columns=["meta", "reason"])
    for meta, reason in zip(*(column.to_pylist() for column in rejects.columns), strict=True):
        fates[json.loads(meta)["id"]] = _fate_of(reason)
    return fates


def _names(folder: Path) -> list[str]:
    metas = pq.read_table(folder, columns=["meta"])["meta"].to_pylist()
    return [json.loads(meta)["id"] for meta in metas]


def _fate_of(reason: str) -> str:
    if "near" in reason:
        return NEAR
    return EXACT if "duplicate" in reason else FILTERED


def datatrove_contender(job: ReferenceJob, workers: int, python: Path, filters: str) -> Contender:
    """Return datatrove's side."""

    def command(work: Path) -> list[str]:
        options = ["--workers", str(workers), "--filters", filters]
        return [str(python), str(SCRIPT), str(job.input), str(work / "run"), *options]

    return Contender(command, datatrove_fates)


def datatrove_fates(work: Path) -> Fates:
    """Read what became of each document."""
    folder = work / "run"
    fates = dict.fromkeys(_ids(folder / "kept"), KEPT)
    known = {"exact duplicates": EXACT, "near duplicates": NEAR}
    for dropped in (folder / "dropped").iterdir():
        fates |= dict.fromkeys(_ids(dropped), known.get(dropped.name, FILTERED))
    return fates


def _ids(folder: Path) -> list[str]:
    ids: list[str] = []
    for path in sorted(folder.glob("*.parquet")):
        ids += pq.read_table(path, columns=["id"])["id"].to_pylist()
    return ids


def datatrove_python(folder: Path) -> Path:
    """Return the interpreter that has datatrove, made ready in a folder if need be."""
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.is_file():
        print(f"installing {DATATROVE} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", DATATROVE]
        subprocess.run(install, check=True)
        done.write_text(DATATROVE, encoding="utf-8")
    return python


def versions_of(python: Path) -> dict[str, str]:
    """Return the versions that an interpreter has."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = ("datatrove", "numpy", "pyarrow", "xxhash")
    packages = {entry["name"]: entry["version"] for entry in json.loads(listed.stdout)}
    return {name: packages[name] for name in wanted if name in packages}


class Judge:
    """Scores what became of the documents against the truth.

    Args:
        job: The input.
    """

    def __init__(self, job: ReferenceJob) -> None:
        self._job = job
        self._words = job.pairs("words")
        self._either = pairs_of_either(self._words, job.pairs("characters"))

    def score(self, fates: Fates) -> dict[str, Any]:
        """Return recall, precision and the share of planted copies found by kind."""
        missing = [name for name in self._job.ids if name not in fates]
        if missing:
            sys.exit(f"{len(missing):,} documents got lost, such as {missing[0]}")
        found = np.array([fates[name] for name in self._job.ids])
        judged, is_kept = found != FILTERED, found == KEPT
        return {
            "fates": dict(Counter(found.tolist())),
            "recall": pair_recall(_within(self._words, judged), is_kept, minimum=0.8),
            "precision": _precision(self._words, found),
            "precision_either": _precision(self._either, found),
            "copies": self._copies(fates),
        }

    def _copies(self, fates: Fates) -> dict[str, float]:
        shares: dict[str, list[bool]] = {}
        for copy in self._job.copies:
            both = {fates[copy["id"]], fates[copy["origin"]]}
            if FILTERED not in both:
                shares.setdefault(copy["kind"], []).append(both != {KEPT})
        return {kind: statistics.mean(found) for kind, found in shares.items()}


def _precision(pairs: SimilarPairs, found: np.ndarray) -> dict[str, float]:
    return {str(least): drop_precision(pairs, found != NEAR, minimum=least) for least in (0.7, 0.5)}


def _within(pairs: SimilarPairs, chosen: np.ndarray) -> SimilarPairs:
    """Leave the pairs both of whose texts are chosen."""
    kept = chosen[pairs.left] & chosen[pairs.right]
    return SimilarPairs(pairs.left[kept], pairs.right[kept], pairs.jaccard[kept])


def take_turn(
    name: str, contender: Contender, number: int, job: ReferenceJob, options: argparse.Namespace
) -> dict[str, Any]:
    """Run a contender once and read its result, unless that was done before on the same input.

    hunmin's turns are repeated when its code has changed since.
    """
    folder: Path = (
        options.folder / "turns" / f"{name.replace(', ', '-').replace(' ', '-')}-{number}"
    )
    record = folder / "turn.json"
    made_of = {"input": job.facts, "code": code_of_corpus() if name == HUNMIN else None}
    if record.is_file() and not options.again:
        turn: dict[str, Any] = json.loads(record.read_text("utf-8"))
        if turn["made_of"] == made_of:
            return turn
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "work"
    work.mkdir(parents=True)
    usage = measure(contender.command(work), log=folder / "log.txt", environment=QUIET)
    turn = {"made_of": made_of, "usage": usage.as_json(), "fates": contender.fates(work)}
    shutil.rmtree(work)
    record.write_text(json.dumps(turn, ensure_ascii=False), encoding="utf-8")
    print(f"round {number + 1}  {name:<24} {usage}", flush=True)
    return turn


def summarise(turns: list[dict[str, Any]], judge: Judge) -> dict[str, Any]:
    """Return medians over the rounds, and the scores of the first."""
    usage = [turn["usage"] for turn in turns]
    kept = [{name for name, fate in turn["fates"].items() if fate == KEPT} for turn in turns]
    return {
        "usage": usage,
        "median": {key: statistics.median(each[key] for each in usage) for key in usage[0]},
        "same_every_round": all(names == kept[0] for names in kept),
        **judge.score(turns[0]["fates"]),
    }


def ratio(summaries: Mapping[str, dict[str, Any]], name: str) -> float:
    """Return the median over the rounds of a contender's CPU seconds over hunmin's."""
    mine, theirs = (summaries[each]["usage"] for each in (HUNMIN, name))
    pairs = zip(theirs, mine, strict=True)
    ratios = [float(a["cpu_seconds"] / b["cpu_seconds"]) for a, b in pairs]
    return statistics.median(ratios)


def as_row(name: str, summaries: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the figures of a contender as a row of the first table."""
    summary = summaries[name]
    seconds = sorted(each["cpu_seconds"] for each in summary["usage"])
    median = summary["median"]
    either = summary["precision_either"]
    return [
        name,
        f"{median['cpu_seconds']:.1f} ({seconds[0]:.1f}–{seconds[-1]:.1f})",
        f"{ratio(summaries, name):.2f}" if HUNMIN in summaries else "–",
        f"{median['wall_seconds']:.1f}",
        f"{median['peak_bytes'] / 1e6:,.0f}",
        f"{summary['fates'].get(KEPT, 0):,}",
        f"{summary['recall']:.3f}",
        *(f"{summary['precision'][least]:.3f}" for least in ("0.7", "0.5")),
        *(f"{either[least]:.3f}" for least in ("0.7", "0.5")),
        "yes" if summary["same_every_round"] else "no",
    ]


HEADER = [
    "", "CPU s (range)", "CPU / hunmin", "wall s", "peak MB", "kept", "recall J≥.8", "precision@.7",
    "precision@.5", "@.7, words or characters", "@.5, words or characters", "same each round",
]  # fmt: skip


def tables(summaries: Mapping[str, dict[str, Any]]) -> str:
    """Return what it took and how good it is, and the share of copies found by kind."""
    first = markdown_table(HEADER, [as_row(name, summaries) for name in summaries])
    kinds = list(next(iter(summaries.values()))["copies"])
    rows = [
        [name, *(f"{summary['copies'].get(kind, float('nan')):.3f}" for kind in kinds)]
        for name, summary in summaries.items()
    ]
    second = markdown_table(["share of copies found", *kinds], rows)
    fates = [KEPT, FILTERED, EXACT, NEAR]
    counts = [
        [name, *(f"{summary['fates'].get(fate, 0):,}" for fate in fates)]
        for name, summary in summaries.items()
    ]
    return "\n\n".join((first, second, markdown_table(["documents", *fates], counts)))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    names = (HUNMIN, BASELINE, CHEAPEST)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the input, for a trial")
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--datatrove", type=Path, help="environment; FOLDER/datatrove by default")
    parser.add_argument("--again", action="store_true", help="repeat turns that are done")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def contenders_of(options: argparse.Namespace, job: ReferenceJob, python: Path | None) -> Any:
    """Return the chosen contenders by name."""
    chosen: dict[str, Contender] = {}
    for name in options.contenders:
        if python is None or name == HUNMIN:
            chosen[name] = hunmin_contender(job, options.workers)
        else:
            filters = "gopher" if name == CHEAPEST else "all"
            chosen[name] = datatrove_contender(job, options.workers, python, filters)
    return chosen


def main() -> None:
    """Let the contenders take turns, score, write the tables."""
    options = parse_arguments()
    job = reference_job(options.data, options.folder, scale=options.scale)
    others = [name for name in options.contenders if name != HUNMIN]
    python = datatrove_python(options.datatrove or options.folder / "datatrove") if others else None
    contenders = contenders_of(options, job, python)
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        for name, contender in contenders.items():
            turns[name].append(take_turn(name, contender, number, job, options))
    judge = Judge(job)
    summaries = {name: summarise(each, judge) for name, each in turns.items()}
    details = {
        "contenders": summaries,
        "input": job.facts,
        "workers": options.workers,
        "recipe": recipe(job, options.workers)["corpus"],
        "engine_versions": {name: metadata.version(name) for name in ("daft", "pyarrow")},
        "datatrove_versions": versions_of(python) if python else {},
        "command": f"python benchmarks/corpus_dedup.py --scale {options.scale:g}",
    }
    size = job.facts["utf8_bytes"] / 1e6
    title = f"The reference job on {job.facts['documents']:,} documents, {size:.0f} MB"
    write_result("corpus-dedup", title, tables(summaries), details, options.results)


if __name__ == "__main__":
    main()

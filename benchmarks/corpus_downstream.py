"""What filters and de-duplication do to a model: bits per byte at equal compute on clean text.

A noisy crawl is made from real data: Korean pages, copies of a few of them (up to forty of one,
exact, edited, framed, with spaces lost), pages of menus and notices, keyboard mash, and pages in
six other languages that claim to be Korean. Models of one shape, with one tokenizer (trained on
the raw mix), see the same number of tokens of

    raw              everything
    filtered         what the language check and the quality filters leave
    deduplicated     what exact and near de-duplication leave of that
    clean            the Korean pages alone, which nobody has in practice

and say held-out Korean pages, none of which resembles a training page. Intervals resample documents
and seeds, in pairs. How much a real crawl gains depends on its noise; this one's is chosen.

    python benchmarks/corpus_downstream.py

Finished stages and runs are kept in the folder, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from corpus_noise import CLEAN, HELD_OUT, NOISE, make_input
from corpus_reference import DATA
from harness import RESULTS, markdown_table, write_result

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.evaluation.results import SCORES_NAME

FOLDER = Path("runs/corpus-downstream")
NATS_PER_BIT = float(np.log(2))
NUM_RESAMPLES = 2_000
BASELINE = "raw"
JUDGED: dict[str, Any] = {"language": {}, "filters": {}}
VARIANTS: dict[str, dict[str, Any]] = {
    "raw": {"clean": False, "deduplicate": {"exact": False}},
    "filtered": {**JUDGED, "deduplicate": {"exact": False}},
    "deduplicated": {**JUDGED, "deduplicate": {"exact": True, "near": {"threshold": 0.72}}},
    "clean": {"clean": False, "deduplicate": {"exact": False}},
}


def recipe(
    paths: list[Path], corpus: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return everything that all runs share, with one corpus."""
    source = {
        "kind": "files",
        "name": "crawl",
        "paths": [str(path) for path in paths],
        "language": "ko",
        "fields": {"text": "text", "id": "id", "meta": ["source"]},
    }
    return {
        "name": "corpus-downstream",
        "corpus": {"sources": [source], "validation_fraction": 0, **corpus},
        "tokenizer": {"kind": "byte-bpe", "vocab_size": options.vocab_size, "allow_smaller": True},
        "data": {"context": options.context},
        "model": {"preset": "hunmin", "size": options.size},
        "train": {
            "duration": f"{options.steps} steps",
            "batch_tokens": options.batch_tokens,
            "microbatch_tokens": options.batch_tokens,
            "evaluate_every": None,
            "checkpoint_every": None,
            "export": "last",
            "threads": 1,
        },
        # Of the held-out corpus, whose documents are all in one split.
        "evaluate": {
            "split": "train",
            "max_documents_per_language": None,
            "max_baseline_bytes": 1_000_000,
        },
    }


def hunmin(folder: Path, content: dict[str, Any], until: str, *overrides: str) -> Path:
    """Run a recipe up to a stage, unless that is done; return the stage's folder."""
    stage = {"evaluate": "report"}.get(until, until)
    path, text = folder / "wanted.yaml", json.dumps(content, ensure_ascii=False)
    if path.is_file() and path.read_text("utf-8") != text:
        sys.exit(f"{folder} holds a run with other options: give another --folder, or remove it")
    if (folder / stage / MANIFEST_NAME).is_file():
        return folder / stage
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    program = [sys.executable, "-m", "hunmin", "run", str(path), *overrides]
    command = [*program, "--run-dir", str(folder), "--until", until]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    print(f"{folder.name}: {until} done", flush=True)
    return folder / stage


@dataclass(frozen=True)
class Prepared:
    """What training needs.

    Args:
        recipe: Shared by all runs.
        held_out: The corpus to score.
        tokenizer: Shared by all runs.
        tokens: By variant.
        documents: Statistics of each variant's corpus.
    """

    recipe: dict[str, Any]
    held_out: Path
    tokenizer: Path
    tokens: dict[str, Path]
    documents: dict[str, Any]


def prepare(options: argparse.Namespace) -> Prepared:
    """Make the corpora, the tokenizer and the tokens."""
    folder: Path = options.folder
    files = folder / "input"
    make_input(options.data, files, clean_mb=options.megabytes, held_out_mb=options.held_out)
    crawl = [files / f"{name}.jsonl" for name in (CLEAN, *NOISE)]
    inputs = {name: crawl if name != CLEAN else crawl[:1] for name in options.variants}
    recipes = {name: recipe(inputs[name], VARIANTS[name], options) for name in options.variants}
    corpora = {name: hunmin(folder / name, content, "corpus") for name, content in recipes.items()}
    scored = recipe([files / f"{HELD_OUT}.jsonl"], VARIANTS["raw"], options)
    held_out = hunmin(folder / HELD_OUT, scored, "corpus")
    raw = f"use.corpus={corpora[BASELINE]}"
    tokenizer = hunmin(folder / "tokenizer", recipes[BASELINE], "tokenizer", raw)
    tokens = {
        name: hunmin(
            folder / name,
            recipes[name],
            "data",
            f"use.corpus={corpora[name]}",
            f"use.tokenizer={tokenizer}",
        )
        for name in recipes
    }
    documents = {
        name: load_artifact(corpus, "documents", verify=False).facts["total"]
        for name, corpus in corpora.items()
    }
    return Prepared(scored, held_out, tokenizer, tokens, documents)


def train(prepared: Prepared, options: argparse.Namespace, variant: str, seed: int) -> Path:
    """Train and score a model; return the folder of its report."""
    overrides = (
        f"use.corpus={prepared.held_out}",
        f"use.tokenizer={prepared.tokenizer}",
        f"use.data={prepared.tokens[variant]}",
        f"data.seed={seed}",
        f"train.seed={seed}",
    )
    folder = options.folder / f"{variant}-seed{seed}"
    return hunmin(folder, prepared.recipe, "evaluate", *overrides)


class Comparison:
    """Bits per byte of all variants on the same resamples of documents and seeds.

    Args:
        reports: Folders of reports by variant, one for each seed.
    """

    def __init__(self, reports: dict[str, list[Path]]) -> None:
        # [seeds, documents]
        self._bits = {
            name: np.stack([_column(path, "model_nats") / NATS_PER_BIT for path in paths])
            for name, paths in reports.items()
        }
        self._bytes = _column(next(iter(reports.values()))[0], "num_bytes")
        seeds, documents = next(iter(self._bits.values())).shape
        draw = np.random.default_rng(0)
        self._documents = draw.integers(documents, size=(NUM_RESAMPLES, documents))
        self._seeds = draw.integers(seeds, size=(NUM_RESAMPLES, seeds))

    def by_seed(self, variant: str) -> list[float]:
        """Return the bits per byte of each seed."""
        bits = self._bits[variant].sum(axis=1) / self._bytes.sum()
        return [float(value) for value in bits]

    def figures(self, variant: str) -> dict[str, Any]:
        """Return mean and 95 % interval, and the same of the relative change to raw, in percent."""
        own, raw = self._resampled(variant), self._resampled(BASELINE)
        means = {name: float(np.mean(self.by_seed(name))) for name in (variant, BASELINE)}
        return {
            "bits_per_byte": means[variant],
            "interval": _interval(own),
            "change_percent": 100 * (means[variant] / means[BASELINE] - 1),
            "change_interval": _interval(100 * (own / raw - 1)),
            "by_seed": self.by_seed(variant),
        }

    def _resampled(self, variant: str) -> npt.NDArray[np.float64]:
        bits = self._bits[variant]
        values = [
            bits[seeds][:, documents].sum(axis=1).mean() / self._bytes[documents].sum()
            for seeds, documents in zip(self._seeds, self._documents, strict=True)
        ]
        return np.array(values)


def _column(report: Path, name: str) -> npt.NDArray[np.float64]:
    table = pq.read_table(report / SCORES_NAME).sort_by("id")
    values: npt.NDArray[np.float64] = table[name].to_numpy().astype(np.float64)
    return values


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def as_row(name: str, figures: dict[str, Any]) -> list[str]:
    """Return the figures of a variant as a row of the table."""
    low, high = figures["interval"]
    least, most = figures["change_interval"]
    documents = figures["documents"]
    return [
        name,
        f"{documents['documents']:,}",
        f"{documents['utf8_bytes'] / 1e6:.1f}",
        f"{figures['bits_per_byte']:.4f} [{low:.4f}, {high:.4f}]",
        f"{figures['change_percent']:+.2f} % [{least:+.2f}, {most:+.2f}]",
        " ".join(f"{value:.4f}" for value in figures["by_seed"]),
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=tuple(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=10, help="clean text")
    parser.add_argument("--held-out", type=float, default=0.6, help="MB of text to score")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--size", default="1M", help="parameters beside the embedding")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=6144)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2, help="models at a time, a core each")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if BASELINE not in options.variants:
        parser.error(f"{BASELINE} is what the others are compared with")
    return options


def main() -> None:
    """Train what is missing, score, write the table."""
    options = parse_arguments()
    prepared = prepare(options)
    work = [(name, seed) for seed in range(options.seeds) for name in options.variants]
    with ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(lambda job: train(prepared, options, *job), work))
    reports: dict[str, list[Path]] = {name: [] for name in options.variants}
    for (name, _), report in zip(work, done, strict=True):
        reports[name].append(report)
    comparison = Comparison(reports)
    figures = {
        name: {"documents": prepared.documents[name], **comparison.figures(name)}
        for name in options.variants
    }
    header = ["corpus", "documents", "MB", "bits per byte", f"against {BASELINE}", "by seed"]
    table = markdown_table(header, [as_row(name, each) for name, each in figures.items()])
    details = {
        "variants": figures,
        "noise": NOISE,
        "recipe": {key: prepared.recipe[key] for key in ("tokenizer", "data", "model", "train")},
        "corpora": {name: VARIANTS[name] for name in options.variants},
        "command": "python benchmarks/corpus_downstream.py",
    }
    title = "Bits per byte on clean Korean of equal models after the same number of tokens"
    write_result("corpus-downstream", title, table, details, options.results)


if __name__ == "__main__":
    main()

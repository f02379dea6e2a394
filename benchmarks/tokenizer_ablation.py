"""Which tokenizer makes the better language model: bits per byte at equal bytes and parameters.

Every model has the same shape and sees the same bytes in the same number of steps: rows hold the
same number of bytes of text, so a tokenizer with shorter tokens gets longer rows, and pays for them
in compute, which is reported. The control has the baseline's tokenizer and as many more steps as
make its compute that of `consistent`. Bits per byte are of the same held-out documents, with
intervals that resample documents (paired) and seeds.

    python benchmarks/tokenizer_ablation.py
    python benchmarks/tokenizer_ablation.py --recipe mine.yaml --variants byte-bpe consistent
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from harness import RESULTS, markdown_table, write_result

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.evaluation.results import SCORES_NAME
from hunmin.pipeline.recipe import read_recipe

NUM_RESAMPLES = 2_000
NATS_PER_BIT = float(np.log(2))
BASELINE = "byte-bpe"
CONTROL = "byte-bpe, more steps"
CONTROLLED = "consistent"
CONSISTENT = ("tokenizer.kind=morpheme-bpe",)
NO_MORPHEMES = ("tokenizer.morphemes={}",)
VARIANTS: dict[str, tuple[str, ...]] = {
    "byte-bpe": ("tokenizer.kind=byte-bpe", *NO_MORPHEMES),
    "char-bpe": ("tokenizer.kind=char-bpe", *NO_MORPHEMES),
    "train-only": ("tokenizer.kind=morpheme-bpe-train-only",),
    "consistent-plain": (*CONSISTENT, "tokenizer.morphemes.cross_penalty=-1"),
    "consistent-soft": (*CONSISTENT, "tokenizer.morphemes.cross_penalty=-0.03"),
    "consistent-0": (*CONSISTENT, "tokenizer.morphemes.cross_penalty=0"),
    "consistent": (*CONSISTENT, "tokenizer.morphemes.cross_penalty=1"),
    "functional": (
        *CONSISTENT,
        "tokenizer.morphemes.cross_penalty=1",
        "tokenizer.morphemes.boundaries=functional",
    ),
    "consistent-superwords": (
        *CONSISTENT,
        "tokenizer.morphemes.cross_penalty=1",
        "tokenizer.superwords=0.1",
    ),
    "superwords": (*CONSISTENT, "tokenizer.morphemes.cross_penalty=-1", "tokenizer.superwords=0.1"),
}
DEFAULT_VARIANTS = (
    "byte-bpe",
    "char-bpe",
    "train-only",
    "consistent-soft",
    "consistent",
    "functional",
    "consistent-superwords",
)


@dataclass(frozen=True)
class Rows:
    """How rows of a batch are filled with one tokenizer.

    Args:
        tokenizer: The variant whose tokenizer it is.
        tokens: Tokens in a row.
        weights: Share of the rows by source.
        steps: Optimizer steps.
    """

    tokenizer: str
    tokens: int
    weights: dict[str, float]
    steps: int

    @property
    def total(self) -> int:
        """Tokens seen in one row of the batch over all steps; compute is proportional to it."""
        return self.tokens * self.steps


@dataclass(frozen=True)
class Lot:
    """A trained and scored model.

    Args:
        variant: Name of the tokenizer.
        seed: Of weights and order of text.
        folder: Where its report lies.
    """

    variant: str
    seed: int
    folder: Path

    def bits_and_bytes(self) -> npt.NDArray[np.float64]:
        """Return bits and bytes of each held-out document, in one order for all lots."""
        table = pq.read_table(self.folder / "report" / SCORES_NAME).sort_by("id")
        bits = table["model_nats"].to_numpy() / NATS_PER_BIT
        return np.stack([bits, table["num_bytes"].to_numpy()])


def hunmin(*arguments: str, threads: int) -> None:
    """Run a command of hunmin; its output is shown if it fails.

    What is finished is not made again when the code of hunmin changes, as `hunmin run` would: a
    row of the table costs hours.
    """
    command = [str(Path(sys.executable).with_name("hunmin")), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def prepare(options: argparse.Namespace, variant: str) -> Rows:
    """Train a variant's tokenizer, write its tokens and see how many make a row."""
    folder = options.folder / variant
    use = f"use.corpus={options.folder / 'corpus'}"
    arguments = (*VARIANTS[variant], use, "--run-dir", str(folder), "--until", "data")
    if not (folder / "data" / MANIFEST_NAME).is_file():
        hunmin("run", str(options.recipe), *arguments, threads=2)
    groups = load_artifact(folder / "data", "tokens").facts["splits"]["train"]["groups"]
    # Sources get the same share of the bytes with every tokenizer.
    temperature = read_recipe(options.recipe).spec.data.temperature
    shares = {name: of["bytes"] ** temperature for name, of in groups.items()}
    tokens = {name: shares[name] * of["tokens"] / of["bytes"] for name, of in groups.items()}
    per_byte = sum(tokens.values()) / sum(shares.values())
    weights = {name: round(share / sum(tokens.values()), 6) for name, share in tokens.items()}
    return Rows(variant, round(options.row_bytes * per_byte), weights, options.steps)


def plan_rows(options: argparse.Namespace) -> dict[str, Rows]:
    """Prepare every variant, and the control if what it controls is there."""
    rows = {variant: prepare(options, variant) for variant in options.variants}
    if CONTROLLED in rows and BASELINE in rows:
        baseline = rows[BASELINE]
        steps = round(rows[CONTROLLED].total / baseline.tokens)
        rows[CONTROL] = replace(baseline, steps=steps)
    return rows


def run(options: argparse.Namespace, variant: str, seed: int, rows: Rows) -> Lot:
    """Train and score one model, unless that was done before."""
    folder = options.folder / f"{variant.replace(', ', '-').replace(' ', '-')}-seed{seed}"
    batch_tokens = rows.tokens * options.rows
    overrides: dict[str, object] = {
        "use.corpus": options.folder / "corpus",
        "use.tokenizer": options.folder / rows.tokenizer / "tokenizer",
        "use.data": options.folder / rows.tokenizer / "data",
        "data.context": rows.tokens,
        "data.weights": json.dumps(rows.weights),
        "data.seed": seed,
        "train.seed": seed,
        "train.duration": f"{rows.steps} steps",
        "train.batch_tokens": batch_tokens,
        "train.microbatch_tokens": batch_tokens,
        "train.threads": 1,
    }
    arguments = [f"{key}={value}" for key, value in overrides.items()]
    if not (folder / "report" / MANIFEST_NAME).is_file():
        hunmin("run", str(options.recipe), *arguments, "--run-dir", str(folder), threads=1)
        print(f"{variant} seed {seed} done", flush=True)
    return Lot(variant, seed, folder)


class Comparison:
    """Bits per byte of all variants on the same resamples of documents and seeds.

    Args:
        lots: Every variant with the same seeds.
    """

    def __init__(self, lots: list[Lot]) -> None:
        self._scores: dict[str, npt.NDArray[np.float64]] = {}
        for variant, group in itertools.groupby(lots, key=lambda lot: lot.variant):
            # [seeds, bits or bytes, documents]
            self._scores[variant] = np.stack([lot.bits_and_bytes() for lot in group])
        num_seeds, _, num_documents = next(iter(self._scores.values())).shape
        random = np.random.default_rng(0)
        self._documents = random.integers(num_documents, size=(NUM_RESAMPLES, num_documents))
        self._seeds = random.integers(num_seeds, size=(NUM_RESAMPLES, num_seeds))

    def by_seed(self, variant: str) -> list[float]:
        """Return the bits per byte of each seed."""
        bits, num_bytes = self._scores[variant].sum(axis=2).T
        return [float(value) for value in bits / num_bytes]

    def mean(self, variant: str) -> float:
        """Return the mean over seeds."""
        return float(np.mean(self.by_seed(variant)))

    def _resampled(self, variant: str) -> npt.NDArray[np.float64]:
        bits = np.stack([scores[0] for scores in self._scores[variant]])
        num_bytes = self._scores[variant][0, 1]
        values = [
            bits[seeds][:, documents].sum(axis=1).mean() / num_bytes[documents].sum()
            for seeds, documents in zip(self._seeds, self._documents, strict=True)
        ]
        return np.array(values)

    def interval(self, variant: str) -> tuple[float, float]:
        """Return the 95 % interval of the mean."""
        return _interval(self._resampled(variant))

    def difference(self, variant: str) -> tuple[float, float, float]:
        """Return mean and 95 % interval of the relative difference to the baseline, in percent."""
        ratios = self._resampled(variant) / self._resampled(BASELINE)
        low, high = _interval(100 * (ratios - 1))
        return 100 * (self.mean(variant) / self.mean(BASELINE) - 1), low, high


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def describe(comparison: Comparison, variant: str, rows: dict[str, Rows]) -> dict[str, object]:
    """Return the figures of a variant."""
    return {
        "variant": variant,
        "overrides": VARIANTS[rows[variant].tokenizer],
        "tokens_per_row": rows[variant].tokens,
        "steps": rows[variant].steps,
        "tokens_relative": rows[variant].tokens / rows[BASELINE].tokens,
        "compute_relative": rows[variant].total / rows[BASELINE].total,
        "bits_per_byte": comparison.mean(variant),
        "interval": comparison.interval(variant),
        "by_seed": comparison.by_seed(variant),
        "difference_percent": comparison.difference(variant),
    }


def as_row(figures: dict[str, object]) -> list[str]:
    """Return the figures of a variant as a row of the table."""
    low, high = figures["interval"]
    change, least, most = figures["difference_percent"]
    seeds = " ".join(f"{value:.4f}" for value in figures["by_seed"])
    return [
        str(figures["variant"]),
        f"{figures['tokens_relative']:.3f}",
        f"{figures['compute_relative']:.3f}",
        f"{figures['bits_per_byte']:.4f} [{low:.4f}, {high:.4f}]",
        f"{change:+.2f} % [{least:+.2f}, {most:+.2f}]",
        seeds,
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=Path("recipes/tokenizer-ablation.yaml"))
    parser.add_argument("--folder", type=Path, default=Path("runs/tokenizer-ablation"))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=DEFAULT_VARIANTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--rows", type=int, default=24, help="rows in a batch")
    parser.add_argument("--row-bytes", type=int, default=1024, help="text in a row, UTF-8 bytes")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time, a core each")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Train what is missing, score, write the table."""
    options = parse_arguments()
    if not (options.folder / "corpus" / MANIFEST_NAME).is_file():
        folder = ("--run-dir", str(options.folder))
        hunmin("run", str(options.recipe), *folder, "--until", "corpus", threads=2)
    rows = plan_rows(options)
    work = [(variant, seed) for seed in range(options.seeds) for variant in rows]
    with ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(lambda job: run(options, *job, rows[job[0]]), work))
    comparison = Comparison(sorted(done, key=lambda lot: (lot.variant, lot.seed)))
    figures = [describe(comparison, variant, rows) for variant in rows]
    header = ["tokenizer", "tokens", "compute", "bits per byte", f"against {BASELINE}", "by seed"]
    kept = ("seeds", "steps", "rows", "row_bytes")
    details = {"variants": figures, "options": {name: getattr(options, name) for name in kept}}
    table = markdown_table(header, [as_row(each) for each in figures])
    title = "Bits per byte of equal models with different tokenizers"
    print(write_result("tokenizer-ablation", title, table, details, options.results))
    print(table)


if __name__ == "__main__":
    main()

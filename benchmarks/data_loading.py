"""Batches per second of the shard reader alone, against what training consumes.

python benchmarks/data_loading.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from assistant_text import benchmark_tokens
from harness import RESULTS, interleave, markdown_table, write_result

from hunmin.core.artifact import Artifact
from hunmin.data.loader import TokenLoader
from hunmin.data.spec import DataSpec


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--utterances", type=int, default=1500, help="per language")
    parser.add_argument("--batch-tokens", type=int, default=16_384)
    parser.add_argument(
        "--training-rate",
        type=float,
        required=True,
        help="tokens/s that training consumes on this machine (train_throughput prints it)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def tokens_per_second(tokens: Artifact, context: int, batch_tokens: int) -> float:
    """Read batches for half a second in random order of the training run."""
    data = DataSpec(context=context)
    loader = TokenLoader(tokens, data, batch_size=batch_tokens // context, verify=False)
    started, index = time.perf_counter(), 0
    while time.perf_counter() - started < 0.5:
        loader.batch(index)
        index += 1
    return index * batch_tokens / (time.perf_counter() - started)


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        data = DataSpec(num_workers=1)
        tokens, _ = benchmark_tokens(
            Path(folder), data, 8192, utterances_per_language=options.utterances
        )
        runs = {
            f"context {context}": partial(tokens_per_second, tokens, context, options.batch_tokens)
            for context in (256, 1024)
        }
        results = interleave(runs, options.rounds)
    rows = [
        (
            name,
            f"{result.median / 1e6:.1f}M",
            f"{result.median / options.batch_tokens:,.0f}",
            f"{result.median / options.training_rate:,.0f}x",
        )
        for name, result in results.items()
    ]
    header = ("reader", "tokens/s (median)", "batches/s", "of what training consumes")
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "training_tokens_per_second": options.training_rate,
        "tokens_per_second": {name: result.values for name, result in results.items()},
    }
    title = f"Reading packed batches of {options.batch_tokens} tokens, one process"
    write_result("data-loading", title, markdown_table(header, rows), details, options.results)


if __name__ == "__main__":
    main()

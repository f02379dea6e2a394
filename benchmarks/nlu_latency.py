"""How long one utterance takes on one core: int8, ONNX float32, PyTorch, and a body as XLM-R base.

Goal: p50 of at most 3 ms for a student of 6 layers x 384 in int8, from text to intent and slots.
Contenders take turns in rounds; every round parses the same real utterances in more than sixty
languages, one by one on one thread. Times are given twice: by the clock, and as processor time of
the thread, which other programs on the machine do not prolong.

    python benchmarks/nlu_latency.py
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy and torch are imported

import numpy as np
from harness import RESULTS, interleave, markdown_table, write_result
from nlu_latency_models import (
    build_large,
    build_student,
    count_parameters,
    export_student,
    mean_slots,
    mean_tokens,
    open_model,
    train,
    utterances,
)

from hunmin.adapt.nlu.encode import pad_batch

INT8, FLOAT32 = "student, int8 on ONNX Runtime", "student, float32 on ONNX Runtime"
TORCH, LARGE = "student, PyTorch eager", "XLM-R base size, PyTorch eager"
KINDS = {INT8: "int8", FLOAT32: "float32", TORCH: "torch", LARGE: "torch"}
BATCH = 32
GOAL_MILLISECONDS = 3.0
WHOLE, NETWORK = "whole", "network"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--utterances", type=int, default=40, help="in each round")
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


class Stopwatch:
    """Times calls one by one, by the clock and in processor time of this thread."""

    def __init__(self) -> None:
        self.clock: list[float] = []
        self.processor: list[float] = []

    def time(self, work: Callable[[], object]) -> None:
        """Run once."""
        clock, processor = time.perf_counter(), time.thread_time()
        work()
        self.processor.append(time.thread_time() - processor)
        self.clock.append(time.perf_counter() - clock)

    def summary(self) -> dict[str, float]:
        """Return percentiles in milliseconds."""
        return {
            f"{name}_p{percent}": 1000 * float(np.percentile(values, percent))
            for name, values in (("clock", self.clock), ("processor", self.processor))
            for percent in (50, 99)
        }


def network_call(model: Any, text: str) -> Callable[[], object]:
    """Return the part of a parse that computes logits."""
    ids, mask = pad_batch(model.encoder.encode([text]), model.config.pad_id)
    if hasattr(model, "logits"):
        return partial(model.network, ids, mask)
    import torch

    def run() -> object:
        with torch.inference_mode():
            return model.network(torch.from_numpy(ids), torch.from_numpy(mask))

    return run


def measure(
    models: Mapping[str, Any], texts: Sequence[str], rounds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Time every utterance with every model, round by round."""
    watches = {name: {part: Stopwatch() for part in (WHOLE, NETWORK)} for name in models}
    networks = {name: [network_call(model, one) for one in texts] for name, model in models.items()}

    def one_round(name: str) -> float:
        for text, network in zip(texts, networks[name], strict=True):
            watches[name][WHOLE].time(partial(models[name].parse, [text]))
            watches[name][NETWORK].time(network)
        return 1 / float(np.median(watches[name][WHOLE].clock[-len(texts) :]))

    for name in models:
        one_round(name)
    for parts in watches.values():
        for part in parts:
            parts[part] = Stopwatch()
    interleave({name: partial(one_round, name) for name in models}, rounds)
    return {
        name: {part: watch.summary() for part, watch in parts.items()}
        for name, parts in watches.items()
    }


def throughput(model: Any, texts: Sequence[str]) -> float:
    """Return utterances per second of processor time in batches."""
    started = time.thread_time()
    model.parse(list(texts), batch_size=BATCH)
    return len(texts) / (time.thread_time() - started)


def probe(kind: str, folder: Path) -> dict[str, float]:
    """Load and run a model in a process of its own."""
    script = Path(__file__).with_name("nlu_latency_models.py")
    done = subprocess.run(
        [sys.executable, script, kind, folder], capture_output=True, check=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def file_bytes(name: str, folder: Path) -> int:
    """Return the size of what must be shipped besides the tokenizer."""
    names = {INT8: ["model.int8.onnx"], FLOAT32: ["model.onnx"]}
    files = names.get(name, ["model.safetensors", "heads.safetensors"])
    return sum((folder / file).stat().st_size for file in files)


def row(name: str, found: Mapping[str, Any], reference: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""
    times, memory = found["times"], found["process"]
    ratio = reference["times"][WHOLE]["processor_p50"] / times[WHOLE]["processor_p50"]
    return (
        name,
        f"{times[WHOLE]['clock_p50']:.2f}",
        f"{times[WHOLE]['clock_p99']:.2f}",
        f"{times[WHOLE]['processor_p50']:.2f}",
        f"{times[WHOLE]['processor_p99']:.2f}",
        f"{times[NETWORK]['processor_p50']:.2f}",
        f"{ratio:.1f}x",
        f"{found['batched_per_second']:,.0f}",
        f"{memory['resident_bytes'] / 1e6:,.0f}",
        f"{memory['load_seconds']:.2f}",
        f"{found['file_bytes'] / 1e6:,.1f}",
    )


HEADER = (
    "model", "p50 ms", "p99 ms", "p50 processor ms", "p99 processor ms", "p50 network alone",
    "faster than PyTorch", f"utterances/s, batch {BATCH}", "resident MB", "load s", "file MB",
)  # fmt: skip


def run(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the models and measure them; returns results by model, and facts of the setting."""
    tokenizer = train(options.data, folder, options.vocab_size)
    texts = utterances(options.data, options.utterances)
    many = utterances(options.data, 8 * BATCH)
    student, large = build_student(tokenizer, folder / "student"), folder / "large"
    build_large(tokenizer, large)
    export = export_student(student, many, folder)
    folders = {INT8: export, FLOAT32: export, TORCH: student, LARGE: large}
    processes = {name: probe(KINDS[name], folders[name]) for name in folders}
    models = {name: open_model(KINDS[name], folders[name]) for name in folders}
    times = measure(models, texts, options.rounds)
    some = {name: many[:: 4 if name == LARGE else 1] for name in models}
    batched = {
        name: interleaved.median
        for name, interleaved in interleave(
            {name: partial(throughput, models[name], some[name]) for name in models}, 3
        ).items()
    }
    found = {
        name: {
            "times": times[name],
            "batched_per_second": batched[name],
            "process": processes[name],
            "file_bytes": file_bytes(name, folders[name]),
        }
        for name in models
    }
    facts = {
        "utterances": len(texts),
        "mean_tokens": mean_tokens(models[TORCH], texts),
        "mean_slots": mean_slots(models[INT8], texts),
        "student_parameters": count_parameters(student),
        "large_parameters": count_parameters(large),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "onnx": importlib.metadata.version("onnx"),
    }
    return found, facts


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found, facts = run(options, Path(folder))
    table = markdown_table(HEADER, [row(name, found[name], found[TORCH]) for name in found])
    reached = found[INT8]["times"][WHOLE]["clock_p50"]
    body = facts["student_parameters"]["body_parameters"] / 1e6
    title = (
        f"One utterance on one core: {reached:.2f} ms p50 in int8 (goal {GOAL_MILLISECONDS:g}), "
        f"from text to intent and slots"
    )
    notes = (
        f"\n\nA student of 6 layers x 384 ({body:.1f}M parameters without embeddings), "
        f"{options.vocab_size:,} entries, random weights; {facts['utterances']} utterances in more "
        f"than sixty languages, {facts['mean_tokens']:.1f} tokens and "
        f"{facts['mean_slots']:.1f} slots on average, {options.rounds} rounds. "
        f"The network alone is without encoding and decoding, and finds its weights in the cache. "
        f"XLM-R base has its published head for MASSIVE, and reads the same tokens. "
        f"Processor time does not count what other programs took: the machine's load was "
        f"{load:.1f} at the start. ONNX Runtime {facts['onnxruntime']}."
    )
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "load_at_start": load,
        "goal_milliseconds": GOAL_MILLISECONDS,
        "models": found,
        **facts,
    }
    write_result("nlu-latency", title, table + notes, details, options.results)


if __name__ == "__main__":
    main()

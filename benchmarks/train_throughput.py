"""Training throughput: hunmin, the Hugging Face Trainer and a bare PyTorch loop, side by side.

The same architecture, initial weights, batch, precision and tokens; contenders take turns.

    python benchmarks/train_throughput.py --size 50M
    python benchmarks/train_throughput.py --size 5M --rounds 3 --steps 2
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch
from assistant_text import benchmark_tokens
from contenders import (
    Job,
    bare_contender,
    hunmin_contender,
    trainer_contender,
    with_document_attention,
)
from harness import RESULTS, Measurement, interleave, markdown_table, write_result

from hunmin.data.spec import DataSpec
from hunmin.models.spec import ModelSpec
from hunmin.parallel.world import local_world
from hunmin.training.machine import Machine, measure_matmul_rate, prepare_machine
from hunmin.training.spec import TrainSpec

OURS, TRAINER, TRAINER_COMPILED, BARE, BARE_COMPILED, DOCUMENTS = (
    "hunmin",
    "HF Trainer",
    "HF Trainer, torch_compile",
    "bare loop",
    "bare loop, compiled blocks",
    "hunmin, attention within documents",
)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="50M", help="size dial of the hunmin preset")
    parser.add_argument("--preset", default="hunmin", help="model preset")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--microbatch-tokens", type=int, default=8192)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--utterances", type=int, default=1500, help="per language")
    parser.add_argument("--steps", type=int, default=4, help="steps per turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="leave compiled contenders out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--name", help="name of the result file")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def build_job(options: argparse.Namespace, folder: Path) -> Job:
    """Return the job all contenders share."""
    data = DataSpec(context=options.context, cross_document_attention=True, num_workers=1)
    tokens, vocab_size = benchmark_tokens(
        folder, data, options.vocab_size, utterances_per_language=options.utterances
    )
    size = options.size if options.preset == "hunmin" else None
    device = torch.device(options.device)
    return Job(
        tokens=tokens,
        data=data,
        model=ModelSpec(preset=options.preset, size=size),
        batch_tokens=options.batch_tokens,
        microbatch_tokens=options.microbatch_tokens,
        machine=prepare_machine(TrainSpec(), local_world(device)),
        vocab_size=vocab_size,
    )


def measure(job: Job, options: argparse.Namespace, folder: Path) -> dict[str, Measurement]:
    """Let the contenders take turns; the first turn of each is warm-up."""
    compiled = not options.no_compile
    # As `train.compile: auto` decides.
    ours_compiled = compiled and job.machine.device.type == "cuda"
    runs = {
        OURS: hunmin_contender(job, folder, compile_blocks=ours_compiled),
        TRAINER: trainer_contender(job, folder, compile_model=False),
        BARE: bare_contender(job, compile_blocks=False),
        DOCUMENTS: hunmin_contender(
            with_document_attention(job), folder, compile_blocks=ours_compiled
        ),
    }
    if compiled:
        runs[TRAINER_COMPILED] = trainer_contender(job, folder, compile_model=True)
        runs[BARE_COMPILED] = bare_contender(job, compile_blocks=True)
    for run in runs.values():
        run(2)
    turns = {name: (lambda run=run: run(options.steps)) for name, run in runs.items()}
    turns["matrix product, TFLOP/s"] = lambda: _matmul_rate(job.machine) / 1e12
    return interleave(turns, options.rounds)


def _matmul_rate(machine: Machine) -> float:
    dtype = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    return measure_matmul_rate(machine.device, dtype)


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with tempfile.TemporaryDirectory() as folder:
        job = build_job(options, Path(folder))
        results = measure(job, options, Path(folder))
    rate = results.pop("matrix product, TFLOP/s")
    ours = results[OURS]
    rows = [
        (
            name,
            f"{result.median:,.0f}",
            f"{result.median * job.flops_per_token() / rate.median / 1e12:.0%}",
            f"{ours.ratio_to(result):.2f}x",
        )
        for name, result in results.items()
    ]
    table = markdown_table(("contender", "tokens/s (median)", "MFU", "hunmin is"), rows)
    label = options.size if options.preset == "hunmin" else options.preset
    name = options.name or f"train-throughput-{job.machine.device.type}-{label}"
    title = (
        f"Training throughput, {label}, {job.machine.precision}, {options.batch_tokens} tokens a "
        f"step of {options.context}, vocabulary {job.vocab_size}"
    )
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "device": _device_name(job.machine.device),
        "matmul_tflops_median": rate.median,
        "flops_per_token": job.flops_per_token(),
        "tokens_per_second": {name: result.values for name, result in results.items()},
    }
    write_result(name, title, table, details, options.results)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()

"""All single-card benchmarks as one command: throughput and time to loss, bf16, 125M and 1B.

python benchmarks/gpu/run.py                  on a CUDA device; writes benchmarks/results/
python benchmarks/gpu/run.py --tiny           the same steps on a CPU with tiny models
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

BENCHMARKS = Path(__file__).resolve().parents[1]
# Every line: script, arguments on a GPU, arguments for a test on a CPU (None: nothing new to try).
STEPS: tuple[tuple[str, str, str | None], ...] = (
    (
        "train_throughput.py",
        "--preset kogpt2-125m --context 1024 --batch-tokens 131072 --microbatch-tokens 32768 "
        "--vocab-size 32768 --steps 10 --rounds 5",
        "--size 1M --context 64 --batch-tokens 256 --microbatch-tokens 128 --vocab-size 1024 "
        "--steps 1 --rounds 1 --no-compile",
    ),
    (
        "train_throughput.py",
        "--size 125M --context 1024 --batch-tokens 131072 --microbatch-tokens 32768 "
        "--vocab-size 32768 --steps 10 --rounds 5",
        None,
    ),
    (
        "train_throughput.py",
        "--size 1B --context 2048 --batch-tokens 131072 --microbatch-tokens 16384 "
        "--vocab-size 32768 --steps 3 --rounds 5",
        None,
    ),
    (
        "time_to_loss.py",
        "--size 85M --gpt2-layers 12 --gpt2-width 768 --context 1024 --batch-tokens 131072 "
        "--microbatch-tokens 32768 --vocab-size 32768 --steps 300",
        "--size 1M --gpt2-layers 2 --gpt2-width 64 --context 64 --batch-tokens 256 "
        "--microbatch-tokens 128 --vocab-size 1024 --steps 4 --shares 0.5",
    ),
)


def main() -> int:
    """Run every step in a process of its own; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models on a CPU, a test run")
    parser.add_argument("--results", type=Path, help="folder of the results")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        parser.error("no CUDA device here; --tiny runs the same steps on a CPU")
    device = "cpu" if options.tiny else "cuda"
    failures = 0
    for number, (script, full, tiny) in enumerate(STEPS):
        if options.tiny and tiny is None:
            continue
        arguments = (tiny if options.tiny and tiny else full).split()
        if options.tiny:
            arguments += ["--name", f"tiny-{number}", "--utterances", "20"]
        if options.results is not None:
            arguments += ["--results", str(options.results)]
        command = [sys.executable, str(BENCHMARKS / script), *arguments, "--device", device]
        print("$", " ".join(command), flush=True)
        failures += subprocess.run(command, check=False).returncode != 0
    return failures


if __name__ == "__main__":
    sys.exit(main())

"""What FSDP2 costs on one device: the path of several ranks, with one, against the bare module.

Blocks as wide as those of models with 1 and 7 billion parameters, a few of them; the same batch,
optimizer and precision. Contenders take turns. MFU counts what the model needs, HFU what the
machine does: they differ with activation checkpointing only.

    python benchmarks/gpu/parallel_overhead.py                     on a CUDA device
    python benchmarks/gpu/parallel_overhead.py --peak-tflops 989   shares of that, not of measured
    python benchmarks/gpu/parallel_overhead.py --tiny              the same steps on a CPU
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import RESULTS, Measurement, interleave, markdown_table, write_result

from hunmin.data.batch import TokenBatch
from hunmin.models.blocks import require_blocks
from hunmin.models.build import build_model, model_config
from hunmin.models.flops import TokenFlops
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec
from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import build_mesh
from hunmin.parallel.sharding import GradientSynchronizer, ShardingOptions, shard_module
from hunmin.parallel.world import local_world
from hunmin.training.compilation import prepare_blocks
from hunmin.training.learner import Learner
from hunmin.training.machine import Machine, prepare_machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import TrainPlan, derive_plan
from hunmin.training.spec import AdamWSpec, TrainSpec

BARE, SHARDED, CHECKPOINTED = "bare module", "FSDP2", "FSDP2, activation checkpointing"


@dataclass(frozen=True)
class Shape:
    """A model's blocks.

    Args:
        name: For tables.
        layers: Blocks that are measured.
        width: Of the hidden states.
        context: Tokens of a row.
        microbatch_tokens: Tokens of a forward and backward pass.
        vocab_size: Entries of the vocabulary.
    """

    name: str
    layers: int
    width: int
    context: int
    microbatch_tokens: int
    vocab_size: int = 32_768


FULL = (Shape("1B", 8, 2048, 2048, 16_384), Shape("7B", 4, 4096, 2048, 8_192))
TINY = (Shape("1B", 2, 64, 32, 64, 512), Shape("7B", 2, 128, 32, 64, 512))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models on a CPU, a test run")
    parser.add_argument("--microsteps", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="steps per turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", choices=("none", "blocks"), default="none")
    parser.add_argument("--peak-tflops", type=float, help="of the device, dense bf16")
    parser.add_argument("--name", help="name of the result file")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


@contextmanager
def world_of_one(device: torch.device) -> Iterator[None]:
    """Join a process group of this process alone."""
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(str(Path(folder) / "store"), 1)
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()


def specification(shape: Shape, options: argparse.Namespace, *, recompute: bool) -> TrainSpec:
    """Return the recipe's part."""
    return TrainSpec(
        duration="1000000 steps",
        batch_tokens=shape.microbatch_tokens * options.microsteps,
        microbatch_tokens=shape.microbatch_tokens,
        optimizer=AdamWSpec(),
        compile=options.compile,
        activation_checkpointing=recompute,
    )


def make_learner(
    shape: Shape, machine: Machine, spec: TrainSpec, plan: TrainPlan, *, sharded: bool
) -> Learner:
    """Build the model, with or without FSDP2 around it, as training does."""
    config = model_config(
        ModelSpec(layers=shape.layers, width=shape.width),
        vocab_size=shape.vocab_size,
        context=shape.context,
    )
    model = optimize_model(build_model(config, seed=1, device=machine.device))
    prepare_blocks(model, spec, plan, machine.device)
    objective = LanguageModelObjective(model, chunk_tokens=spec.loss_chunk_tokens)
    synchronizer = GradientSynchronizer()
    if sharded:
        layout = Layout(world_size=1, ranks_per_node=1, partition_group=1)
        dtype = torch.bfloat16 if machine.precision == "bf16" else None
        synchronizer = shard_module(
            objective,
            require_blocks(model),
            layout,
            build_mesh(layout, machine.device.type),
            ShardingOptions(gather_dtype=dtype),
        )
    optimizer = OptimizerSet(spec.optimizer, model)
    world = local_world(machine.device)
    return Learner(model, objective, optimizer, synchronizer, machine, world)


def random_batch(shape: Shape, rows: int, device: torch.device) -> TokenBatch:
    """Return rows of one document each."""
    ids = torch.randint(0, shape.vocab_size, (rows, shape.context + 1), device=device)
    positions = torch.arange(shape.context, device=device).expand(rows, -1)
    segments = torch.zeros(rows, shape.context, dtype=torch.int32, device=device)
    return TokenBatch(ids[:, :-1].clone(), ids[:, 1:].clone(), positions.clone(), segments)


def turns_of(
    shape: Shape, options: argparse.Namespace, machine: Machine
) -> dict[str, Callable[[], float]]:
    """Return for each contender a function that takes some steps and returns tokens/s."""
    turns: dict[str, Callable[[], float]] = {}
    for name in (BARE, SHARDED, CHECKPOINTED):
        spec = specification(shape, options, recompute=name == CHECKPOINTED)
        plan = derive_plan(spec, context=shape.context, train_tokens=1)
        learner = make_learner(shape, machine, spec, plan, sharded=name != BARE)
        batch = random_batch(shape, plan.sequences_per_step, machine.device)
        run = partial(take_steps, learner, batch, plan)
        run(2)  # Allocates, compiles, chooses kernels.
        turns[name] = partial(run, options.steps)
    return turns


def take_steps(learner: Learner, batch: TokenBatch, plan: TrainPlan, steps: int) -> float:
    """Take optimizer steps; return tokens/s."""
    device = learner.machine.device
    learner.objective.train()
    _synchronize(device)
    started = time.perf_counter()
    for _ in range(steps):
        learner.backward(batch, plan)
        learner.clip(1.0)
        learner.optimizer.step()
        learner.forget_gradients()
    _synchronize(device)
    return steps * plan.tokens_per_step / (time.perf_counter() - started)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rows_of(
    shape: Shape, results: dict[str, Measurement], peak: float
) -> tuple[list[list[str]], dict[str, Any]]:
    """Return rows of the table, and the figures behind them."""
    config = model_config(
        ModelSpec(layers=shape.layers, width=shape.width),
        vocab_size=shape.vocab_size,
        context=shape.context,
    )
    rows, figures = [], {}
    for name, result in results.items():
        flops = TokenFlops.of(config, shape.context, recomputes=name == CHECKPOINTED)
        mfu, hfu = (result.median * each / peak for each in (flops.of_model, flops.of_hardware))
        overhead = results[BARE].ratio_to(result) - 1
        done = result.median * flops.of_hardware / 1e12
        rate = f"{result.median:,.0f}"
        shares = (f"{overhead:+.1%}", f"{mfu:.1%}", f"{hfu:.1%}")
        rows.append([shape.name, name, rate, *shares, f"{done:.1f}"])
        figures[name] = {"tokens_per_second": result.values, "overhead": overhead}
        figures[name] |= {"mfu": mfu, "hfu": hfu}
    return rows, figures


def main() -> int:
    """Measure, print and write the result; return 1 where there is no GPU and none is not meant."""
    options = parse_arguments()
    if not options.tiny and not torch.cuda.is_available():
        print("no CUDA device here; --tiny runs the same steps on a CPU", file=sys.stderr)
        return 2
    device = torch.device("cpu" if options.tiny else "cuda")
    machine = prepare_machine(TrainSpec(), local_world(device))
    peak = options.peak_tflops * 1e12 if options.peak_tflops else machine.flops_per_second
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    with world_of_one(device):
        for shape in TINY if options.tiny else FULL:
            results = interleave(turns_of(shape, options, machine), options.rounds)
            more, figures[shape.name] = rows_of(shape, results, peak)
            rows += more
            if device.type == "cuda":
                torch.cuda.empty_cache()
    header = ["blocks as of", "contender", "tokens/s", "overhead", "MFU", "HFU", "TFLOP/s done"]
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "device": "cpu" if options.tiny else torch.cuda.get_device_name(device),
        "peak_tflops": peak / 1e12,
        "shapes": figures,
    }
    name = options.name or f"parallel-overhead-{device.type}"
    title = (
        f"FSDP2 with one rank against the bare module, {machine.precision}; shares of "
        f"{peak / 1e12:.0f} TFLOP/s{'' if options.peak_tflops else ' (measured)'}"
    )
    write_result(name, title, markdown_table(header, rows), details, options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

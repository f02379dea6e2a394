"""Wall time to a fixed held-out loss: hunmin's default recipe against the GPT-2 recipe.

Both have the same number of parameters, tokens, batch, precision and machine. The GPT-2 recipe is
the GPT-2 block with AdamW and a cosine schedule at the better of two step sizes; the loss it ends
with is the goal. hunmin's recipe gets shorter and shorter durations; the shortest one that still
reaches the goal counts. All runs take turns of a few steps, so a slow minute hits all of them, and
only time inside steps is counted.

    python benchmarks/time_to_loss.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from assistant_text import benchmark_tokens
from harness import RESULTS, markdown_table, write_result

from hunmin.core.artifact import Artifact
from hunmin.data.loader import TokenLoader
from hunmin.data.spec import DataSpec
from hunmin.models.build import build_model, count_parameters, model_config
from hunmin.models.flops import TokenFlops
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec
from hunmin.parallel.world import local_world
from hunmin.training.checkpoint import CheckpointFolder
from hunmin.training.learner import Learner
from hunmin.training.loop import Trainer, TrainingData
from hunmin.training.machine import Machine, prepare_machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import derive_plan
from hunmin.training.spec import AdamWSpec, CosineSchedule, TrainSpec

STEPS_PER_TURN = 5


@dataclass(frozen=True)
class Contest:
    """What all runs share."""

    tokens: Artifact
    data: DataSpec
    vocab_size: int
    machine: Machine
    options: argparse.Namespace


@dataclass
class Run:
    """One recipe at one duration."""

    name: str
    trainer: Trainer
    parameters: int
    held_out_loss: float = float("nan")

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.trainer.state.step >= self.trainer.plan.num_steps

    def turn(self) -> None:
        """Do a few steps; score held-out text after the last one."""
        for _ in range(STEPS_PER_TURN):
            if not self.finished:
                result = self.trainer.step()
        if self.finished and self.trainer.data.held_out is not None:
            self.held_out_loss = self.trainer.score_held_out(self.trainer.data.held_out).loss
        print(f"{self.name:<44} step {result.step:>4}  loss {result.loss:.3f}", flush=True)


def make_run(contest: Contest, name: str, model: ModelSpec, train: TrainSpec) -> Run:
    """Assemble a run."""
    config = model_config(model, vocab_size=contest.vocab_size, context=contest.data.context)
    network = optimize_model(build_model(config, seed=1, device=contest.machine.device))
    plan = derive_plan(train, context=contest.data.context, train_tokens=1)
    held_out = TokenLoader(
        contest.tokens,
        contest.data,
        batch_size=plan.evaluation_sequences,
        split="validation",
    )
    trainer = Trainer(
        spec=train,
        plan=plan,
        learner=Learner.alone(
            network,
            OptimizerSet(train.optimizer, network),
            contest.machine,
            chunk_tokens=train.loss_chunk_tokens,
        ),
        data=TrainingData(
            TokenLoader(contest.tokens, contest.data, batch_size=plan.sequences_per_step),
            held_out,
            torch.ones(contest.vocab_size, dtype=torch.int64),
        ),
        checkpoints=CheckpointFolder(Path(tempfile.gettempdir()), "benchmark"),
        flops=TokenFlops.of(config, contest.data.context),
        callbacks=(),
    )
    return Run(name, trainer, count_parameters(config).total)


def make_runs(contest: Contest) -> list[Run]:
    """Return the GPT-2 recipe at two step sizes and hunmin's recipe at several durations."""
    options = contest.options
    shared = {
        "batch_tokens": options.batch_tokens,
        "microbatch_tokens": options.microbatch_tokens,
        "evaluation_tokens": 65_536,
    }
    gpt2 = ModelSpec(
        preset="kogpt2-125m",
        layers=options.gpt2_layers,
        width=options.gpt2_width,
        heads=options.gpt2_width // 64,
    )
    runs = []
    for rate in options.gpt2_rates:
        train = TrainSpec(
            duration=f"{options.steps} steps",
            optimizer=AdamWSpec(learning_rate=rate),
            schedule=CosineSchedule(),
            **shared,
        )
        runs.append(make_run(contest, f"GPT-2 recipe, step size {rate}", gpt2, train))
    for share in options.shares:
        train = TrainSpec(duration=f"{round(options.steps * share)} steps", **shared)
        name = f"hunmin recipe, {share:.0%} of the steps"
        runs.append(make_run(contest, name, ModelSpec(size=options.size), train))
    return runs


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="5M", help="size dial of hunmin's model")
    parser.add_argument("--gpt2-layers", type=int, default=4)
    parser.add_argument("--gpt2-width", type=int, default=320)
    parser.add_argument("--gpt2-rates", type=float, nargs="+", default=[6e-4, 2e-3])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.67, 0.5, 0.4])
    parser.add_argument("--steps", type=int, default=150, help="steps of the GPT-2 recipe")
    parser.add_argument("--utterances", type=int, default=4000, help="per language")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=16_384)
    parser.add_argument("--microbatch-tokens", type=int, default=8_192)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--name", help="name of the result file")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    """Run the contest, print and write the result."""
    options = parse_arguments()
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        data = DataSpec(context=options.context, num_workers=1)
        tokens, vocab_size = benchmark_tokens(
            Path(folder), data, options.vocab_size, utterances_per_language=options.utterances
        )
        machine = prepare_machine(TrainSpec(), local_world(device))
        runs = make_runs(Contest(tokens, data, vocab_size, machine, options))
        while any(not run.finished for run in runs):
            for run in runs:
                if not run.finished:
                    run.turn()
    report(runs, options, machine)


def report(runs: list[Run], options: argparse.Namespace, machine: Machine) -> None:
    """Compare times and write the result."""
    theirs = [run for run in runs if run.name.startswith("GPT-2")]
    baseline = min(theirs, key=lambda run: run.held_out_loss)
    rows = [
        (
            run.name,
            f"{run.parameters / 1e6:.2f}M",
            run.trainer.state.step,
            f"{run.held_out_loss:.4f}",
            "yes" if run.held_out_loss <= baseline.held_out_loss else "no",
            f"{run.trainer.state.seconds:.0f} s",
            f"{baseline.trainer.state.seconds / run.trainer.state.seconds:.2f}x",
        )
        for run in runs
    ]
    header = (
        "recipe",
        "parameters",
        "steps",
        "held-out loss",
        "reaches the goal",
        "seconds in steps",
        "faster than the best GPT-2 recipe",
    )
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "device": str(machine.device),
        "goal_loss": baseline.held_out_loss,
        "runs": {
            run.name: {"seconds": run.trainer.state.seconds, "loss": run.held_out_loss}
            for run in runs
        },
    }
    title = (
        f"Time to the loss of the GPT-2 recipe after {options.steps} steps of "
        f"{options.batch_tokens} tokens, {machine.precision}"
    )
    name = options.name or f"time-to-loss-{machine.device.type}-{options.size}"
    write_result(name, title, markdown_table(header, rows), details, options.results)


if __name__ == "__main__":
    main()

"""Distillation throughput: a student with its teacher beside it, with cached answers, and alone.

The same student, batches and optimizer; contenders take turns. Reading the cache counts; writing it
(the teacher runs once over the samples) is timed apart.

    python benchmarks/distill_throughput.py
    python benchmarks/distill_throughput.py --layout decoder --student 5M --teacher 60M
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, Measurement, interleave, markdown_table, write_result
from torch import nn
from transformers import PreTrainedModel

from hunmin.adapt.distill.cache import (
    AnswerCache,
    CacheIdentity,
    data_identity,
    taught_loader,
    write_answers,
)
from hunmin.adapt.distill.objective import DistillationObjective
from hunmin.adapt.distill.spec import LossSpec
from hunmin.adapt.distill.teacher import Teacher
from hunmin.corpus.build import build_corpus
from hunmin.corpus.sources.spec import HomeAssistantSource
from hunmin.corpus.spec import CorpusSpec
from hunmin.data.corrupting import make_loader
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.models.architecture import layout_of
from hunmin.models.build import build_model, count_parameters, model_config
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.precision import has_fast_bf16
from hunmin.models.spec import ModelSpec
from hunmin.parallel.sharding import GradientSynchronizer
from hunmin.parallel.world import local_world
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer
from hunmin.training.learner import Learner
from hunmin.training.machine import Machine, prepare_machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import TrainPlan, derive_plan
from hunmin.training.spec import TrainSpec

LIVE, CACHED, PLAIN = "live teacher", "cached teacher", "no teacher (pretraining)"
PRESETS = {"encoder": "hunmin-encoder", "decoder": "hunmin"}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layout", choices=sorted(PRESETS), default="encoder")
    parser.add_argument("--student", default="4M", help="size dial, without embeddings")
    parser.add_argument("--teacher", default="60M", help="size dial, without embeddings")
    parser.add_argument("--top-k", type=int, default=32)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--utterances", type=int, default=300, help="per language")
    parser.add_argument("--steps", type=int, default=2, help="steps per turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


@dataclass(frozen=True)
class Bench:
    """What the contenders share."""

    options: argparse.Namespace
    machine: Machine
    tokenizer: TextTokenizer
    loader: Any
    plan: TrainPlan
    folder: Path

    def build(self, size: str, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
        """Return a model with random weights; they do not matter for speed."""
        spec = ModelSpec(preset=PRESETS[self.options.layout], size=size)
        config = model_config(
            spec,
            vocab_size=self.tokenizer.size,
            context=self.options.context,
            boundary_id=self.tokenizer.boundary_id,
            pad_id=self.tokenizer.pad_id,
        )
        return optimize_model(build_model(config, seed=1, device=self.machine.device).to(dtype))


def prepare(options: argparse.Namespace, folder: Path) -> Bench:
    """Make shards of real text, and the plan of a run."""
    machine = prepare_machine(TrainSpec(), local_world(torch.device(options.device)))
    data = DataSpec(context=options.context, num_workers=1)
    source = HomeAssistantSource(max_utterances_per_language=options.utterances)
    documents = build_corpus(CorpusSpec(sources=(source,)), folder / "corpus")
    spec = TokenizerSpec(vocab_size=options.vocab_size, allow_smaller=True, reserve=("mask",))
    artifact = train_tokenizer(spec, documents, folder / "tokenizer")
    tokens = write_shards(data, documents, artifact, folder / "tokens")
    tokenizer = load_tokenizer(artifact.path)
    train = TrainSpec(
        duration="1000 steps",
        batch_tokens=options.batch_tokens,
        microbatch_tokens=options.batch_tokens,
    )
    plan = derive_plan(train, context=options.context, train_tokens=10**9)
    config = model_config(
        ModelSpec(preset=PRESETS[options.layout]), vocab_size=tokenizer.size, context=8
    )
    loader = make_loader(
        tokens, data, tokenizer, layout_of(config), batch_size=plan.sequences_per_step
    )
    return Bench(options, machine, tokenizer, loader, plan, folder)


def contender(bench: Bench, make: Callable[[Any], nn.Module], loader: Any) -> Callable[[], float]:
    """Return a function that trains a student some steps and returns tokens/s."""
    model = bench.build(bench.options.student)
    optimizer = OptimizerSet(TrainSpec().optimizer, model)
    world = local_world(bench.machine.device)
    learner = Learner(model, make(model), optimizer, GradientSynchronizer(), bench.machine, world)

    def run() -> float:
        started = time.perf_counter()
        for step in range(bench.options.steps):
            loss = learner.backward(loader.batch(step), bench.plan)
            learner.clip(1.0)
            optimizer.step()
        float(loss)
        elapsed = time.perf_counter() - started
        return bench.options.steps * bench.plan.tokens_per_step / elapsed

    return run


def write_cache(bench: Bench, teacher: Teacher) -> tuple[AnswerCache, float]:
    """Let the teacher answer all batches; return the answers and its tokens/s."""
    identity = CacheIdentity(
        teacher="random",
        data=data_identity(bench.loader),
        top_k=bench.options.top_k,
        size=bench.tokenizer.size,
        temperature=1.0,
        positions="scored",
    )
    cache = AnswerCache(bench.folder / "answers", identity)
    samples = bench.options.steps * bench.plan.sequences_per_step
    written = len(cache.missing(samples)) * 256 * bench.options.context
    started = time.perf_counter()
    write_answers(cache, teacher, bench.loader, samples, device=bench.machine.device)
    return cache, written / (time.perf_counter() - started)


def measure(bench: Bench) -> tuple[dict[str, Measurement], dict[str, Any]]:
    """Let the contenders take turns; the first turn of each is warm-up."""
    device = bench.machine.device
    dtype = torch.bfloat16 if has_fast_bf16(device) else torch.float32
    teacher = Teacher(bench.build(bench.options.teacher, dtype=dtype))
    cache, rate = write_cache(bench, teacher)
    size = bench.tokenizer.size

    def distilled(with_teacher: Teacher | None) -> Callable[[Any], nn.Module]:
        return lambda model: DistillationObjective(model, with_teacher, LossSpec(), size=size)

    runs = {
        LIVE: contender(bench, distilled(teacher), bench.loader),
        CACHED: contender(bench, distilled(None), taught_loader(bench.loader, cache)),
        PLAIN: contender(bench, lambda model: LanguageModelObjective(model), bench.loader),
    }
    for run in runs.values():
        run()
    facts = {
        "teacher_writes_tokens_per_second": rate,
        "teacher_dtype": str(dtype),
        "bytes_per_place": cache.place_bytes(),
        "teacher_parameters": count_parameters(teacher.model.config).non_embedding,
        "student_parameters": count_parameters(
            bench.build(bench.options.student).config
        ).non_embedding,
    }
    return interleave(runs, bench.options.rounds), facts


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(options, Path(folder))
        results, facts = measure(bench)
    cached = results[CACHED]
    rows = [
        (name, f"{result.median:,.0f}", f"{cached.ratio_to(result):.2f}x")
        for name, result in results.items()
    ]
    table = markdown_table(("student learns with", "tokens/s (median)", "cached is"), rows)
    scale = facts["teacher_parameters"] / facts["student_parameters"]
    title = (
        f"Distillation throughput, {options.layout}, student {options.student}, teacher "
        f"{options.teacher} ({scale:.0f}x), top {options.top_k}, {bench.machine.precision}, "
        f"{options.batch_tokens} tokens a step of {options.context}, vocabulary "
        f"{bench.tokenizer.size}; goals: cached 3x live, 0.9x plain"
    )
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "device": str(bench.machine.device),
        **facts,
        "tokens_per_second": {name: result.values for name, result in results.items()},
    }
    write_result(f"distill-throughput-{options.layout}", title, table, details, options.results)


if __name__ == "__main__":
    main()

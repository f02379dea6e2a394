"""Train a model from token shards: assemble the pieces, run the loop, export the weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.atomic import atomic_write_text
from hunmin.core.environment import describe_environment
from hunmin.core.errors import InterruptedRunError
from hunmin.core.hashing import stable_hash
from hunmin.core.logs import get_logger
from hunmin.core.units import format_count
from hunmin.data.loader import TokenLoader
from hunmin.data.mixing import MixturePlan, log_mixture, mix_split
from hunmin.data.shards import check_tokenizer
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import open_tokens, split_facts
from hunmin.models.build import build_model, count_parameters, model_config
from hunmin.models.devices import explain_out_of_memory, pick_device
from hunmin.models.export import save_model
from hunmin.models.flops import train_flops_per_token
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.training.callbacks import Callback
from hunmin.training.callbacks.checkpointing import Checkpointer
from hunmin.training.callbacks.console import ConsoleProgress
from hunmin.training.callbacks.evaluation import EarlyStop, Evaluator
from hunmin.training.callbacks.records import MetricsRecorder
from hunmin.training.callbacks.trackers import build_tracker
from hunmin.training.checkpoint import CheckpointFolder, load_weights
from hunmin.training.compilation import prepare_blocks
from hunmin.training.interrupt import stop_on_signal
from hunmin.training.loop import Trainer
from hunmin.training.machine import prepare_machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import TrainPlan, derive_plan
from hunmin.training.spec import TrainSpec
from hunmin.training.state import TrainState

logger = get_logger(__name__)


@dataclass(frozen=True)
class TrainJob:
    """What a training stage is given.

    Args:
        train: How to train.
        model: Which model.
        data: How sequences are cut and mixed.
        tokens: Token shards.
        tokenizer: The tokenizer they were written with.
        folder: Where metrics and checkpoints go.
        output: Where the model artifact goes.
        recipe: Recorded in the model's manifest.
    """

    train: TrainSpec
    model: ModelSpec
    data: DataSpec
    tokens: Artifact
    tokenizer: Artifact
    folder: Path
    output: Path
    recipe: dict[str, Any]

    def identity(self) -> str:
        """Return a hash of all that decides the course of the losses."""
        decisive = self.train.model_dump(mode="json", exclude=set(TrainSpec.OBSERVING))
        data = self.data.model_dump(mode="json", exclude=set(self.data.INDIFFERENT))
        parts = [decisive, self.model.model_dump(mode="json"), data]
        return stable_hash([*parts, self.tokens.digest, self.tokenizer.digest])

    def plan(self) -> TrainPlan:
        """Derive the plan from the recipe and the number of tokens."""
        tokens = split_facts(self.tokens, open_tokens(self.tokens), "train").tokens
        return derive_plan(self.train, context=self.data.context, train_tokens=tokens)

    def mixture(self, plan: TrainPlan) -> MixturePlan:
        """Return what the run takes from each group of the training documents."""
        facts = open_tokens(self.tokens)
        split = split_facts(self.tokens, facts, "train")
        return mix_split(facts, split, self.data, plan.total_tokens)


def train_model(job: TrainJob) -> Artifact:
    """Train, or go on training, and write the model folder.

    Args:
        job: What to train on what.

    Returns:
        The model artifact: a Hugging Face folder.

    Raises:
        InterruptedRunError: Ctrl-C or SIGTERM; a checkpoint was saved, run it again to go on.
        TrainingDivergedError: The loss is not a number any more.
        OutOfMemoryError: The microbatch does not fit.
        ArtifactMismatchError: The shards were written with another tokenizer.
    """
    tokenizer = load_tokenizer(job.tokenizer.path)
    check_tokenizer(job.tokens, tokenizer)
    _set_aside_other_run(job)
    with explain_out_of_memory("lower train.microbatch_tokens or train.loss_chunk_tokens"):
        plan = job.plan()
        mixture = job.mixture(plan)
        log_mixture(mixture, job.data)
        trainer = _assemble(job, plan, tokenizer)
        _write_plan(job, trainer, mixture)
        trainer.resume()
        with stop_on_signal(trainer.request_stop):
            state = trainer.fit()
        _refuse_unfinished(trainer)
        return _export(job, trainer, state)


def _assemble(job: TrainJob, plan: TrainPlan, tokenizer: TextTokenizer) -> Trainer:
    device = pick_device()
    machine = prepare_machine(job.train, device)
    config = model_config(job.model, vocab_size=tokenizer.size, context=job.data.context)
    model = optimize_model(build_model(config, seed=job.train.seed, device=device))
    torch.manual_seed(job.train.seed)  # dropout; a checkpoint replaces this state
    optimizer = OptimizerSet(job.train.optimizer, model)
    compiled = prepare_blocks(model, job.train, plan, device)
    counts = count_parameters(config)
    facts = {
        "parameters": counts.total,
        "non_embedding_parameters": counts.non_embedding,
        "precision": machine.precision,
        "device": str(device),
        "threads": machine.threads,
        "compiled": compiled,
        "matmul_flops_per_second": machine.flops_per_second,
    }
    logger.info(
        "%s parameters (%s without embeddings), %d steps of %d tokens, %.2f epochs",
        format_count(counts.total),
        format_count(counts.non_embedding),
        plan.num_steps,
        plan.tokens_per_step,
        plan.epochs,
    )
    return Trainer(
        spec=job.train,
        plan=plan,
        model=model,
        optimizer=optimizer,
        batches=TokenLoader(
            job.tokens,
            job.data,
            batch_size=plan.sequences_per_step,
            run_tokens=plan.total_tokens,
        ),
        held_out=_held_out(job, plan),
        token_bytes=_token_bytes(tokenizer),
        checkpoints=CheckpointFolder(job.folder / "checkpoints", job.identity()),
        machine=machine,
        flops_per_token=train_flops_per_token(config, job.data.context),
        callbacks=_callbacks(job),
        facts=facts,
    )


def _held_out(job: TrainJob, plan: TrainPlan) -> TokenLoader | None:
    if job.train.evaluate_every is None:
        return None
    return TokenLoader(
        job.tokens, job.data, batch_size=plan.sequences_per_microbatch, split="validation"
    )


def _token_bytes(tokenizer: TextTokenizer) -> torch.Tensor:
    """Return UTF-8 bytes per token id; special tokens stand for no text."""
    special = set(tokenizer.special_ids)
    sizes = [0 if i in special else len(tokenizer.token_bytes(i)) for i in range(tokenizer.size)]
    return torch.tensor(sizes, dtype=torch.int64)


def _callbacks(job: TrainJob) -> list[Callback]:
    spec = job.train
    callbacks: list[Callback] = [MetricsRecorder(job.folder / "metrics.jsonl", spec.log_every)]
    callbacks += [build_tracker(tracker, job.folder) for tracker in spec.trackers]
    callbacks.append(ConsoleProgress())
    if spec.evaluate_every is not None:
        callbacks.append(Evaluator(spec.evaluate_every))
    if spec.early_stop is not None:
        callbacks.append(EarlyStop(spec.early_stop))
    keep_best = spec.export == "best"
    callbacks.append(
        Checkpointer(spec.checkpoint_every, spec.keep_checkpoints, keep_best=keep_best)
    )
    return callbacks


def _set_aside_other_run(job: TrainJob) -> None:
    """Checkpoints of another recipe are moved away, never deleted and never continued."""
    plan_file = job.folder / "plan.json"
    if not plan_file.is_file():
        return
    if json.loads(plan_file.read_text(encoding="utf-8"))["identity"] == job.identity():
        return
    number = 1
    while (aside := job.folder.with_name(f"{job.folder.name}.before-{number}")).exists():
        number += 1
    shutil.move(job.folder, aside)
    logger.info("recipe or data changed: training starts anew, the earlier run is in %s", aside)


def _write_plan(job: TrainJob, trainer: Trainer, mixture: MixturePlan) -> None:
    content = {
        "identity": job.identity(),
        "plan": trainer.plan.model_dump(mode="json"),
        "facts": trainer.facts,
        "mixture": mixture.as_json(),
        "environment": describe_environment(),
    }
    atomic_write_text(job.folder / "plan.json", json.dumps(content, indent=2))


def _refuse_unfinished(trainer: Trainer) -> None:
    reason = trainer.stop_reason
    if reason is not None and reason.startswith("SIG"):
        raise InterruptedRunError(
            f"training was interrupted after step {trainer.state.step} of {trainer.plan.num_steps}",
            hint="the step is saved; give the same command again to go on from there",
        )


def _export(job: TrainJob, trainer: Trainer, state: TrainState) -> Artifact:
    """Write the model folder from the best or the last weights."""
    step = state.step
    if job.train.export == "best" and state.best_step is not None:
        step = state.best_step
        load_weights(
            load_artifact(trainer.checkpoints.step_path(step), "checkpoint"), trainer.model
        )
    facts = {
        **trainer.facts,
        "steps": state.step,
        "exported_step": step,
        "tokens": state.tokens,
        "best_validation_loss": state.best_loss,
        "seconds": round(state.seconds, 1),
    }
    inputs = (job.tokens, job.tokenizer)
    with write_artifact(job.output, "model", recipe=job.recipe, inputs=inputs) as draft:
        save_model(trainer.model, job.tokenizer.path, draft.path, card=facts)
        draft.facts |= facts
    return load_artifact(job.output, "model", verify=False)

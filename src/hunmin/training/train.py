"""Train a model from token shards: assemble the pieces, run the loop, export the weights."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from hunmin.core.artifact import Artifact
from hunmin.core.atomic import atomic_write_text
from hunmin.core.environment import describe_environment
from hunmin.core.errors import InterruptedRunError
from hunmin.core.logs import get_logger
from hunmin.core.units import format_count
from hunmin.data.mixing import MixturePlan, log_mixture
from hunmin.data.shards import check_tokenizer
from hunmin.models.architecture import layout_of
from hunmin.models.build import count_parameters
from hunmin.models.devices import explain_out_of_memory, pick_device
from hunmin.models.flops import TokenFlops
from hunmin.parallel.checkpoint.memory_copy import MemoryCopies
from hunmin.parallel.layout import Layout
from hunmin.parallel.watch.failures import watch_ranks
from hunmin.parallel.watch.heartbeat import Heartbeat
from hunmin.parallel.world import World, local_world
from hunmin.tokenizer.load import load_tokenizer
from hunmin.training.assemble import Assembly, assemble
from hunmin.training.callbacks.standard import standard_callbacks
from hunmin.training.checkpoint import CheckpointFolder
from hunmin.training.export import export_model
from hunmin.training.interrupt import stop_on_signal
from hunmin.training.job import TrainJob
from hunmin.training.loop import Trainer
from hunmin.training.start import check_start

logger = get_logger(__name__)


def train_model(job: TrainJob, world: World | None = None) -> Artifact:
    """Train, or go on training, and write the model folder.

    Args:
        job: What to train on what.
        world: All ranks that train together; this process alone if None.

    Returns:
        The model artifact: a Hugging Face folder.

    Raises:
        InterruptedRunError: Ctrl-C or SIGTERM; a checkpoint was saved, run it again to go on.
        TrainingDivergedError: The loss is not a number any more.
        OutOfMemoryError: The microbatch does not fit.
        CollectiveError: Other ranks do not answer; names them.
        ArtifactMismatchError: The shards were written with another tokenizer.

    Note:
        Collective with several ranks; all of them see the same folders.
    """
    world = world or local_world(pick_device())
    started = time.time()
    timeout, every = job.parallel.timeout, job.train.watch.heartbeat
    with watch_ranks(world, timeout=timeout, every=every) as heartbeat:
        check_start(job, world)
        if world.is_first:
            _set_aside_other_run(job)
        world.barrier()
        with explain_out_of_memory("lower train.microbatch_tokens or train.loss_chunk_tokens"):
            trainer = _prepare(job, world, heartbeat, started)
            trainer.resume()
            with stop_on_signal(trainer.ask_to_stop):
                trainer.fit()
            _refuse_unfinished(trainer)
            return export_model(job, trainer)


def _prepare(job: TrainJob, world: World, heartbeat: Heartbeat, started: float) -> Trainer:
    tokenizer = load_tokenizer(job.tokenizer.path)
    check_tokenizer(job.tokens, tokenizer)
    assembly = assemble(job, tokenizer, world)
    mixture = job.mixture(assembly.plan)
    log_mixture(mixture, job.data)
    meter = assembly.learner.synchronizer.meter
    checkpoints = CheckpointFolder(
        job.folder / "checkpoints",
        job.identity(),
        asynchronous=job.train.checkpoint_in_background and world.size > 1,
        timeout=timedelta(seconds=job.parallel.timeout),
    )
    trainer = Trainer(
        spec=job.train,
        plan=assembly.plan,
        learner=assembly.learner,
        data=assembly.data,
        checkpoints=checkpoints,
        memory_copies=_memory_copies(job, assembly.layout, checkpoints),
        flops=TokenFlops.of(
            assembly.config,
            job.data.context,
            recomputes=job.train.activation_checkpointing,
        ),
        callbacks=standard_callbacks(job, world, heartbeat, meter, started=started),
        facts=_facts(assembly),
    )
    _log_size(trainer)
    if world.is_first:
        _write_plan(job, trainer, mixture)
    return trainer


def _memory_copies(
    job: TrainJob, layout: Layout, checkpoints: CheckpointFolder
) -> MemoryCopies | None:
    if job.train.copy_to_memory_every is None or layout.world_size == 1:
        return None
    return MemoryCopies(checkpoints.run_id(), layout, checkpoints.ranks)


def _facts(assembly: Assembly) -> dict[str, Any]:
    counts = count_parameters(assembly.config)
    machine = assembly.learner.machine
    facts: dict[str, Any] = {
        "model_kind": layout_of(assembly.config).model_kind,
        "parameters": counts.total,
        "embedding_parameters": counts.embedding,
        "non_embedding_parameters": counts.non_embedding,
        "precision": machine.precision,
        "device": str(machine.device),
        "threads": machine.threads,
        "compiled": assembly.is_compiled,
        "matmul_flops_per_second": machine.flops_per_second,
    }
    if assembly.layout.world_size > 1:
        facts["layout"] = asdict(assembly.layout)
        logger.info("%s", assembly.layout.describe())
    return facts


def _log_size(trainer: Trainer) -> None:
    logger.info(
        "%s parameters (%s without embeddings), %d steps of %d tokens, %.2f epochs",
        format_count(trainer.facts["parameters"]),
        format_count(trainer.facts["non_embedding_parameters"]),
        trainer.plan.num_steps,
        trainer.plan.tokens_per_step,
        trainer.plan.epochs,
    )


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

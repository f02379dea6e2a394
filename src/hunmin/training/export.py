"""From a finished run to a model folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.models.export import save_model
from hunmin.parallel.weights.folder import save_folder
from hunmin.parallel.world import World
from hunmin.training.checkpoint import load_weights
from hunmin.training.job import TrainJob
from hunmin.training.loop import Trainer


def export_model(job: TrainJob, trainer: Trainer) -> Artifact:
    """Write the model folder from the best or the last weights.

    Args:
        job: Says which, and where the folder goes.
        trainer: At the end of its run.

    Returns:
        The model artifact.

    Note:
        Collective with several ranks.
    """
    step = _load_wanted_weights(job, trainer)
    facts = _facts(trainer, step)
    if trainer.world.is_first:
        _write(job, trainer, facts)
    else:
        _save_shards(trainer)(trainer.model, _shared_folder(trainer.world))
    trainer.world.barrier()
    return load_artifact(job.output, "model", verify=False)


def _write(job: TrainJob, trainer: Trainer, facts: dict[str, Any]) -> None:
    """Write the artifact; of its weights each rank writes some."""
    inputs = (job.tokens, job.tokenizer, *job.method.inputs)
    with write_artifact(job.output, "model", recipe=job.recipe, inputs=inputs) as draft:
        folder = _shared_folder(trainer.world, draft.path)
        save_model(
            trainer.model,
            job.tokenizer.path,
            folder,
            card=facts,
            write_weights=None if trainer.world.size == 1 else _save_shards(trainer),
        )
        draft.facts |= facts


def _save_shards(trainer: Trainer) -> Callable[[PreTrainedModel, Path], None]:
    return partial(save_folder, ranks_per_node=trainer.world.ranks_per_node)


def _shared_folder(world: World, path: Path | None = None) -> Path:
    """Return the folder that the first rank knows."""
    folder: Path = world.gather(path)[0]
    return folder


def _load_wanted_weights(job: TrainJob, trainer: Trainer) -> int:
    best = trainer.state.best_step
    if job.train.export == "last" or best is None:
        return trainer.state.step
    load_weights(trainer.checkpoints.open(best), trainer.learner.trained)
    return best


def _facts(trainer: Trainer, step: int) -> dict[str, Any]:
    state = trainer.state
    return {
        **trainer.facts,
        "steps": state.step,
        "exported_step": step,
        "tokens": state.tokens,
        "best_validation_loss": state.best_loss,
        "seconds": round(state.seconds, 1),
    }

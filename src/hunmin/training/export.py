"""From a finished run to a model folder."""

from __future__ import annotations

from typing import Any

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.models.export import save_model
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
    inputs = (job.tokens, job.tokenizer)
    with write_artifact(job.output, "model", recipe=job.recipe, inputs=inputs) as draft:
        save_model(trainer.model, job.tokenizer.path, draft.path, card=facts)
        draft.facts |= facts
    return load_artifact(job.output, "model", verify=False)


def _load_wanted_weights(job: TrainJob, trainer: Trainer) -> int:
    best = trainer.state.best_step
    if job.train.export == "last" or best is None:
        return trainer.state.step
    checkpoint = load_artifact(trainer.checkpoints.step_path(best), "checkpoint")
    load_weights(checkpoint, trainer.model)
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

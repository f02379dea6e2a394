"""The stages that train language models, and those that show what they can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hunmin.core.artifact import Artifact
from hunmin.data.spec import DataChanges
from hunmin.models.spec import ModelSpec
from hunmin.pipeline.stage import (
    MODEL_LAYERS,
    MODEL_PACKAGES,
    TEXT_LAYERS,
    TRAINING_LAYERS,
    Stage,
    StageContext,
    require_section,
)
from hunmin.training.spec import TrainSpec

if TYPE_CHECKING:
    from hunmin.training.method import Method

TEACHERS = ("train", "stage2")


def _run_train(context: StageContext) -> Artifact:
    from hunmin.training.method import Pretraining

    train = require_section(context.recipe.train, "train")
    return _train(context, train, context.recipe.model, DataChanges(), Pretraining())


def _run_stage2(context: StageContext) -> Artifact:
    from hunmin.training.method import ContinuedPretraining

    spec = require_section(context.recipe.stage2, "stage2")
    method = ContinuedPretraining(context.require_model())
    return _train(context, spec.train, context.recipe.model, spec.data, method)


def _train(
    context: StageContext,
    train: TrainSpec,
    model: ModelSpec,
    changes: DataChanges,
    method: Method,
) -> Artifact:
    from hunmin.parallel.world import join_world
    from hunmin.training.job import TrainJob
    from hunmin.training.train import train_model

    job = TrainJob(
        train=train,
        model=model,
        data=changes.apply(require_section(context.recipe.data, "data")),
        tokens=context.inputs["data"],
        tokenizer=context.inputs["tokenizer"],
        folder=_records(context),
        output=context.output,
        recipe=context.record,
        parallel=context.recipe.parallel,
        method=method,
    )
    with join_world(timeout=job.parallel.timeout) as world:
        return train_model(job, world)


def _records(context: StageContext) -> Path:
    """Where metrics and checkpoints go: train/ for the model/ of the first stage."""
    name = context.output.name
    return context.folder / ("train" if name == "model" else f"{name}-train")


def _run_evaluate(context: StageContext) -> Artifact:
    from hunmin.evaluation.evaluate import evaluate_model

    return evaluate_model(
        require_section(context.recipe.evaluate, "evaluate"),
        context.inputs["train"],
        context.inputs["corpus"],
        context.output,
        run_dir=context.folder / "train",
        recipe=context.record,
    )


def _run_generate(context: StageContext) -> Artifact:
    from hunmin.serving.samples import write_samples

    return write_samples(
        require_section(context.recipe.generate, "generate"),
        context.inputs["train"],
        context.inputs["corpus"],
        context.output,
        recipe=context.record,
    )


MODEL_STAGES = (
    Stage(
        name="train",
        kind="model",
        folder="model",
        needs=("data", "tokenizer"),
        sections=("data", "model", "train"),
        layers=TRAINING_LAYERS,
        run=_run_train,
        packages=MODEL_PACKAGES,
        runs_on_all_ranks=True,
    ),
    Stage(
        name="stage2",
        kind="model",
        folder="stage2",
        needs=("data", "tokenizer"),
        sections=("data", "stage2"),
        layers=TRAINING_LAYERS,
        run=_run_stage2,
        follows=TEACHERS[:1],
        packages=MODEL_PACKAGES,
        runs_on_all_ranks=True,
    ),
    Stage(
        name="evaluate",
        kind="report",
        folder="report",
        needs=("train", "corpus"),
        sections=("evaluate",),
        layers=(*MODEL_LAYERS, "evaluation"),
        run=_run_evaluate,
        packages=MODEL_PACKAGES,
    ),
    Stage(
        name="generate",
        kind="samples",
        folder="samples",
        needs=("train", "corpus"),
        sections=("generate",),
        layers=(*TEXT_LAYERS, "tokenizer", "models", "serving"),
        run=_run_generate,
        packages=MODEL_PACKAGES,
    ),
)

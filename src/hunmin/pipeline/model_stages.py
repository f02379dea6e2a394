"""The stages that train language models, and those that show what they can do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.adapt.distill.spec import DistillSpec
from hunmin.adapt.spec import Stage2Spec
from hunmin.core.artifact import Artifact
from hunmin.core.logs import get_logger, rank
from hunmin.data.spec import DataChanges
from hunmin.models.spec import ModelSpec
from hunmin.pipeline.recipe import Recipe
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

logger = get_logger(__name__)

TEACHERS = ("train", "stage2")
STUDENTS = ("intermediate", "student")


def _run_train(context: StageContext) -> Artifact:
    from hunmin.training.method import Pretraining

    train = require_section(context.recipe.train, "train")
    return _train(context, train, context.recipe.model, DataChanges(), Pretraining())


def _run_stage2(context: StageContext) -> Artifact:
    from hunmin.training.method import ContinuedPretraining

    spec = require_section(context.recipe.stage2, "stage2")
    method = ContinuedPretraining(context.require_model())
    after = _train(context, spec.train, context.recipe.model, spec.data, method)
    if spec.in_domain and rank() == 0:
        _report_forgetting(context, spec, after)
    return after


def _report_forgetting(context: StageContext, spec: Stage2Spec, after: Artifact) -> None:
    from hunmin.evaluation.forgetting import write_forgetting_report

    report = write_forgetting_report(
        context.require_model().path,
        after.path,
        context.inputs["data"],
        spec.data.apply(require_section(context.recipe.data, "data")),
        _records(context),
        spec.in_domain,
    )
    logger.info("%s", report.sentence)


def _run_student(context: StageContext, name: str) -> Artifact:
    from hunmin.adapt.distill.method import Distillation

    spec = require_section(student_spec(context.recipe, name), name)
    teacher = context.require_model() if spec.teacher is None else spec.teacher
    return _train(context, spec.train, spec.model, spec.data, Distillation(spec, teacher))


def student_spec(recipe: Recipe, name: str) -> DistillSpec | None:
    """Return the section of a student."""
    spec: DistillSpec | None = getattr(recipe, name)
    return spec


def _named_teacher(recipe: Recipe, name: str) -> Path | None:
    spec = student_spec(recipe, name)
    return None if spec is None else spec.teacher


def _describe_teacher(recipe: Recipe, name: str) -> Any:
    """Return a hash of a teacher that the recipe names: it may be any folder."""
    from hunmin.adapt.distill.teacher import teacher_digest

    folder = _named_teacher(recipe, name)
    return None if folder is None else teacher_digest(folder)


def _student_stage(name: str, follows: tuple[str, ...]) -> Stage:
    return Stage(
        name=name,
        kind="model",
        folder=name,
        needs=("data", "tokenizer"),
        sections=("data", name),
        layers=(*TRAINING_LAYERS, "adapt/distill"),
        run=partial(_run_student, name=name),
        follows=follows,
        own_model=partial(_named_teacher, name=name),
        outside=partial(_describe_teacher, name=name),
        packages=MODEL_PACKAGES,
        runs_on_all_ranks=True,
    )


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
        layers=(*TRAINING_LAYERS, "evaluation"),
        run=_run_stage2,
        follows=TEACHERS[:1],
        packages=MODEL_PACKAGES,
        runs_on_all_ranks=True,
    ),
    _student_stage("intermediate", TEACHERS),
    _student_stage("student", (*TEACHERS, STUDENTS[0])),
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

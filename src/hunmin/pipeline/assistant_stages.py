"""The stages that make an assistant of a model: intents and slots, and their export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact
from hunmin.core.errors import RecipeError
from hunmin.pipeline.model_stages import STUDENTS, TEACHERS
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stage import MODEL_LAYERS, MODEL_PACKAGES, Stage, StageContext, require_section


def _run_nlu(context: StageContext) -> Artifact:
    from hunmin.adapt.nlu.finetune import finetune

    spec = require_section(context.recipe.nlu, "nlu")
    if spec.style != "heads":
        raise RecipeError(
            "a recipe exports intents and slots from heads, not from written text",
            where="nlu.style",
            given=spec.style,
            allowed="heads",
            hint="use `hunmin finetune nlu MODEL style=text`, which needs no recipe",
        )
    return finetune(
        spec.model_copy(update={"data": _data(context)}),
        context.require_model().path,
        context.output,
        folder=context.folder / "nlu-train",
        recipe=context.record,
    )


def _data(context: StageContext) -> tuple[Path, ...]:
    """Folders of utterances: those the recipe names, else the corpus's own."""
    spec = require_section(context.recipe.nlu, "nlu")
    own = context.inputs["corpus"].path / "massive"
    if not spec.data and not own.is_dir():
        raise RecipeError(
            "there are no labelled utterances to fine-tune on",
            where="nlu.data",
            given=f"none, and a corpus without {own.name}/",
            allowed="folders of LOCALE.jsonl files in the format of MASSIVE",
            hint="name them in nlu.data, or add a source `kind: home-assistant` to the corpus",
        )
    return spec.data or (own,)


def _describe_data(recipe: Recipe) -> Any:
    """Return size and time of each file that the recipe names: they are no artifacts."""
    folders = () if recipe.nlu is None else recipe.nlu.data
    files = sorted(file for folder in folders for file in folder.glob("*.jsonl"))
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _run_export(context: StageContext) -> Artifact:
    from hunmin.serving.export.export import export_onnx

    spec = require_section(context.recipe.export, "export")
    return export_onnx(spec, context.inputs["nlu"].path, context.output, data=_data(context))


ASSISTANT_STAGES = (
    Stage(
        name="nlu",
        kind="nlu-model",
        folder="nlu",
        needs=("corpus",),
        sections=("nlu",),
        layers=(*MODEL_LAYERS, "adapt/nlu"),
        run=_run_nlu,
        follows=(*TEACHERS, *STUDENTS),
        outside=_describe_data,
        packages=MODEL_PACKAGES,
    ),
    Stage(
        name="export",
        kind="nlu-onnx",
        folder="export",
        needs=("nlu", "corpus"),
        sections=("export",),
        layers=(*MODEL_LAYERS, "adapt/nlu", "serving"),
        run=_run_export,
        packages=MODEL_PACKAGES,
    ),
)

"""Fine-tuning for intents and slots: from a pretrained body to a tested NLU model.

data ─> labels ─> examples ─> fit ─> test predictions ─> scores beside baselines ─> folder
        (prepare.py)                 (results.py)                                 (model.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hunmin.adapt.nlu.body import MODEL_KIND
from hunmin.adapt.nlu.fit import forget_run
from hunmin.adapt.nlu.model import save_nlu_model
from hunmin.adapt.nlu.prepare import prepare
from hunmin.adapt.nlu.results import count_parameters, fit_and_test, set_up
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.text_to_text import finetune_text
from hunmin.core.artifact import Artifact, check_output


def finetune(
    spec: NluSpec,
    body: Path,
    output: Path,
    *,
    folder: Path | None = None,
    device: str | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Train a model of intents and slots, test it and write it.

    Args:
        spec: Data and settings.
        body: Folder of a pretrained model with its tokenizer.
        output: Folder of the model.
        folder: Where metrics and the checkpoint lie while it trains, from which the same call goes
            on; `OUTPUT-run` beside the output by default, which is removed after success, as the
            model's folder has the metrics.
        device: Where to train; the first GPU, else the CPU, by default.
        recipe: What the manifest says decided the content; the section by default.

    Returns:
        The artifact, of kind nlu-model: body, heads, tokenizer, nlu.json, report.md, report.json,
        a plot and the predictions.

    Raises:
        InputError: Data, body or teacher cannot be used; see `read_data`, `load_body`.
        TrainingDivergedError: The loss is not a number any more.
    """
    place = folder or output.with_name(f"{output.name}-run")
    recipe = spec.identity() if recipe is None else recipe
    learn = finetune_text if spec.style == "text" else finetune_heads
    artifact = learn(spec, body, output, folder=place, device=device, recipe=recipe)
    if folder is None:
        forget_run(place)
    return artifact


def finetune_heads(
    spec: NluSpec,
    body: Path,
    output: Path,
    *,
    folder: Path,
    device: str | None,
    recipe: Mapping[str, Any],
) -> Artifact:
    """Train heads for intents and slots on a body; see `finetune`.

    Args:
        spec: Data and settings.
        body: Folder of a pretrained model with its tokenizer.
        output: Folder of the model.
        folder: Where metrics and the checkpoint lie while it trains.
        device: Where to train; None for the first GPU, else the CPU.
        recipe: What the manifest says decided the content.

    Returns:
        The artifact, of kind nlu-model.

    Raises:
        InputError: Data, body or teacher cannot be used.
        TrainingDivergedError: The loss is not a number any more.
    """
    place = set_up(spec, device)
    ready = prepare(spec, body, place)
    check_output(output, MODEL_KIND, ready.inputs)
    results = fit_and_test(
        spec,
        ready.task(),
        ready.data,
        body,
        folder,
        place,
        counts=ready.examples.counts(),
        parameters=count_parameters(ready.network, ready.network.body),
    )
    artifact = save_nlu_model(
        ready.network,
        ready.config,
        body,
        output,
        recipe=recipe,
        inputs=ready.inputs,
        facts=results.facts(),
        write_more=lambda draft: results.write(draft, output.name),
    )
    results.fit.forget_checkpoint()
    return artifact

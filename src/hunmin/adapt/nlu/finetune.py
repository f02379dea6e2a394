"""Fine-tuning for intents and slots: from a pretrained body to a tested NLU model.

data ─> labels ─> examples ─> fit ─> test predictions ─> scores beside baselines ─> folder
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from hunmin.adapt.nlu.body import MODEL_KIND, context_of, load_body, with_dropout
from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.data_set import DataSet, read_data
from hunmin.adapt.nlu.decode import Parse
from hunmin.adapt.nlu.encode import UtteranceEncoder, open_tokenizer
from hunmin.adapt.nlu.examples import Examples, frame_of, label_config, make_examples
from hunmin.adapt.nlu.fit import METRICS_FILE, Fit, FitState
from hunmin.adapt.nlu.joint_task import JointTask, predictions_of
from hunmin.adapt.nlu.model import (
    JointModel,
    check_feature_layer,
    load_nlu_model,
    save_nlu_model,
)
from hunmin.adapt.nlu.predictions import write_predictions
from hunmin.adapt.nlu.report import (
    REPORT_NAME,
    NluReport,
    model_card,
    report_markdown,
    score_all,
)
from hunmin.adapt.nlu.report_plot import plot_locales
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.teaching import TeacherAnswers, ask_teacher, check_teacher
from hunmin.core.artifact import MANIFEST_NAME, Artifact, check_output, load_artifact
from hunmin.core.environment import available_cores
from hunmin.core.errors import InputError
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.core.hashing import sha256_file, stable_hash
from hunmin.core.logs import get_logger
from hunmin.models.devices import pick_device

logger = get_logger(__name__)

_PATHS = frozenset({"data", "teacher"})


@dataclass(frozen=True)
class Prepared:
    """All that a run needs, before the first step.

    Args:
        data: Utterances.
        config: Labels and shape.
        encoder: Encodes texts.
        examples: What is learnt.
        network: The model, on its device.
        answers: A teacher's answers, if there is one.
        inputs: Artifacts that the model is made from.
    """

    data: DataSet
    config: NluConfig
    encoder: UtteranceEncoder
    examples: Examples
    network: JointModel
    answers: TeacherAnswers | None
    inputs: tuple[Artifact, ...]


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
            on; `OUTPUT-run` beside the output by default.
        device: Where to train; the first GPU, else the CPU, by default.
        recipe: What the manifest says decided the content; the section by default.

    Returns:
        The artifact, of kind nlu-model: body, heads, tokenizer, nlu.json, report.md, report.json,
        a plot and the predictions.

    Raises:
        InputError: Data, body or teacher cannot be used; see `read_data`, `load_body`.
        TrainingDivergedError: The loss is not a number any more.
    """
    if spec.style == "text":
        from hunmin.adapt.nlu.text_to_text import finetune_text

        return finetune_text(spec, body, output, folder=folder, device=device, recipe=recipe)
    check_plotting()
    torch.set_num_threads(spec.threads or available_cores())
    ready = prepare(spec, body, pick_device(device))
    check_output(output, MODEL_KIND, ready.inputs)
    task = JointTask(
        spec,
        ready.network,
        ready.config,
        ready.encoder,
        ready.examples.rows,
        ready.data.dev,
        ready.answers,
    )
    folder = folder or output.with_name(f"{output.name}-run")
    fit = Fit(spec, task, folder, run_identity(spec, body, ready.data), pick_device(device))
    state = fit.run()
    parses = task.parse(ready.data.test)
    report = make_report(
        spec, ready.data, parses, state, ready.examples.counts(), count_parameters(ready.network)
    )

    def write_more(draft: Path) -> None:
        write_report(draft, report, ready.data, parses, folder / METRICS_FILE, name=output.name)

    artifact = save_nlu_model(
        ready.network,
        ready.config,
        body,
        output,
        recipe=recipe if recipe is not None else spec.identity(),
        inputs=ready.inputs,
        facts=report_facts(report),
        write_more=write_more,
    )
    fit.forget_checkpoint()
    return artifact


def prepare(spec: NluSpec, body_path: Path, device: torch.device) -> Prepared:
    """Read data and body, and build the model.

    Args:
        spec: Data and settings.
        body_path: Folder of the body with its tokenizer.
        device: Where the model shall lie.

    Returns:
        All that a run needs.

    Raises:
        InputError: Data, body or teacher cannot be used.
    """
    data = read_data(spec)
    teacher = None if spec.teacher is None else load_nlu_model(spec.teacher, device=device)
    intents, slot_types = label_config(data.train)
    if teacher is not None:
        check_teacher(teacher, intents, slot_types, where=str(spec.teacher))
        intents, slot_types = teacher.config.intents, teacher.config.slot_types
    body = load_body(body_path)
    check_feature_layer(body, spec.feature_layer)
    config = make_config(spec, body, body_path, data, intents, slot_types)
    check_pooling(body, config)
    encoder = UtteranceEncoder.load(body_path, config)
    examples = make_examples(data.train, encoder, config)
    _say_what_is_lost(examples)
    torch.manual_seed(spec.seed)
    body = with_dropout(body, spec.hidden_dropout, spec.attention_dropout)
    network = JointModel(body, config, dropout=spec.head_dropout).to(device)
    if spec.freeze_embeddings:
        network.body.get_input_embeddings().requires_grad_(requires_grad=False)
    answers = None if teacher is None else ask_teacher(teacher, examples.rows)
    paths = [body_path] if spec.teacher is None else [body_path, spec.teacher]
    return Prepared(data, config, encoder, examples, network, answers, known_artifacts(paths))


def make_config(
    spec: NluSpec,
    body: PreTrainedModel,
    folder: Path,
    data: DataSet,
    intents: Sequence[str],
    slot_types: Sequence[str],
) -> NluConfig:
    """Return nlu.json of a model to be.

    Args:
        spec: Settings.
        body: The body, which limits how many tokens are read.
        folder: Folder of the tokenizer.
        data: Locales of training and selection.
        intents: Intents by their number.
        slot_types: Slot types in order.

    Returns:
        The configuration.
    """
    prefix, suffix, pad = frame_of(folder, open_tokenizer(folder))
    limit = context_of(body) or spec.max_tokens
    return NluConfig(
        intents=tuple(intents),
        slot_types=tuple(slot_types),
        pooling=spec.pooling,
        feature_layer=spec.feature_layer,
        head_layers=spec.head_layers,
        head_width=spec.head_width,
        crf=spec.crf,
        labelling=spec.labelling,
        text_form=spec.text_form,
        max_tokens=min(spec.max_tokens, limit),
        prefix_ids=prefix,
        suffix_ids=suffix,
        pad_id=pad,
        train_locales=data.train_locales,
        selection_locales=data.selection_locales,
    )


@torch.no_grad()
def check_pooling(body: PreTrainedModel, config: NluConfig) -> None:
    """Refuse to read the intent from a token that has seen no other.

    Args:
        body: The body.
        config: The pooling.

    Raises:
        InputError: The pooling is `first`, and the first token of this body sees nothing.
    """
    if config.pooling != "first":
        return
    size = int(body.config.vocab_size)
    first = config.prefix_ids[0] if config.prefix_ids else 0
    ids = torch.tensor([[first, size // 3, size // 4], [first, size // 2, size // 5]])
    states = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    if torch.equal(states[0, 0], states[1, 0]):
        raise InputError(
            "in this body the first token does not see what follows it",
            where="nlu.pooling",
            given=f"first, with a {type(body).__name__}",
            allowed="last, mean or max for a decoder",
            hint="set pooling to last, or take an encoder",
        )


def _say_what_is_lost(examples: Examples) -> None:
    if examples.num_conflicts:
        logger.warning(
            "%d utterances are left out: two of their slots would share a tag",
            examples.num_conflicts,
        )
    if examples.num_truncated:
        logger.warning(
            "%d utterances are longer than nlu.max_tokens and are read only in part",
            examples.num_truncated,
        )


def known_artifacts(paths: Sequence[Path]) -> tuple[Artifact, ...]:
    """Return those folders that are artifacts, for the lineage."""
    return tuple(
        load_artifact(path, verify=False) for path in paths if (path / MANIFEST_NAME).is_file()
    )


def run_identity(spec: NluSpec, body: Path, data: DataSet) -> str:
    """Return a hash of all that decides the result of a run: contents, not where they lie."""
    texts = [
        (made.id, made.locale, made.intent, made.annot_utt) for made in (*data.train, *data.dev)
    ]
    folders = [body] if spec.teacher is None else [body, spec.teacher]
    files = [
        sha256_file(path)
        for folder in folders
        for path in [*sorted(folder.glob("*.safetensors")), folder / "tokenizer.json"]
    ]
    settings = {key: value for key, value in spec.identity().items() if key not in _PATHS}
    return stable_hash([settings, texts, files])


def count_parameters(network: JointModel) -> dict[str, int]:
    """Return parameters of the embeddings of tokens, of the rest of the body, and of the heads."""
    embeddings = sum(p.numel() for p in network.body.get_input_embeddings().parameters())
    body = sum(p.numel() for p in network.body.parameters())
    total = sum(p.numel() for p in network.parameters())
    return {"embeddings": embeddings, "body": body - embeddings, "heads": total - body}


def make_report(
    spec: NluSpec,
    data: DataSet,
    parses: Sequence[Parse | None],
    state: FitState,
    training: Mapping[str, int],
    parameters: Mapping[str, int],
) -> NluReport:
    """Score a model's parses of the test utterances.

    Args:
        spec: Settings.
        data: Utterances.
        parses: One for each of `data.test`; None for an output that is none.
        state: The end of training.
        training: Counts of what was learnt.
        parameters: Parameters by part.

    Returns:
        The report.
    """
    known = {made.intent for made in data.train}
    return NluReport.model_validate(
        {
            **score_all(data, predictions_of(data.test, parses), seed=spec.seed),
            "train_locales": data.train_locales,
            "selection_locales": data.selection_locales,
            "zero_shot_locales": data.zero_shot_locales,
            "test_partition": spec.test_partition,
            "num_unknown_intents": sum(made.intent not in known for made in data.test),
            "num_malformed": sum(parse is None for parse in parses),
            "num_truncated": sum(p is not None and p.truncated_at is not None for p in parses),
            "training": dict(training),
            "parameters": dict(parameters),
            "settings": spec.identity(),
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "dev": state.best,
            "seconds": state.seconds,
        }
    )


def write_report(
    draft: Path,
    report: NluReport,
    data: DataSet,
    parses: Sequence[Parse | None],
    metrics: Path,
    *,
    name: str,
) -> None:
    """Write card, report, plot, predictions and metrics into a folder.

    Args:
        draft: The folder.
        report: The numbers.
        data: Utterances.
        parses: One for each of `data.test`.
        metrics: The run's metrics.jsonl.
        name: Name of the model's folder.
    """
    (draft / REPORT_NAME).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    (draft / "report.md").write_text(report_markdown(report), encoding="utf-8")
    (draft / "README.md").write_text(model_card(report, name), encoding="utf-8")
    (draft / METRICS_FILE).write_bytes(metrics.read_bytes())
    plot_locales(report, [draft / f"locales{suffix}" for suffix in PLOT_SUFFIXES])
    write_predictions(draft / "predictions", data.test, parses)


def report_facts(report: NluReport) -> dict[str, Any]:
    """Return the numbers that the manifest keeps."""
    mean = report.scores.mean
    facts: dict[str, Any] = {
        "train_locales": list(report.train_locales),
        "selection_locales": list(report.selection_locales),
        "test_locales": len(report.scores.locales),
        "intent_accuracy": mean.intent_accuracy.value,
        "slot_f1": None if mean.slot_f1 is None else mean.slot_f1.value,
        "exact_match": mean.exact_match.value,
        "parameters": dict(report.parameters),
        "best_epoch": report.best_epoch,
        "seconds": round(report.seconds, 1),
    }
    if report.zero_shot is not None:
        facts["zero_shot_exact_match"] = report.zero_shot.exact_match.value
    return facts

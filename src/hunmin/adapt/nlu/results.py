"""A fitted model's answers to the test utterances: scored beside baselines, written as files.

fit ─> parses of the test ─> report ─> report.json, report.md, plot, card, predictions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from transformers import PreTrainedModel

from hunmin.adapt.nlu.data_set import DataSet
from hunmin.adapt.nlu.decode import Parse
from hunmin.adapt.nlu.fit import METRICS_FILE, Fit, FitState, Task
from hunmin.adapt.nlu.joint_task import predictions_of
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
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.environment import available_cores
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.core.hashing import sha256_file, stable_hash
from hunmin.models.devices import pick_device

_PATHS = frozenset({"data", "teacher"})


class ParsingTask(Task, Protocol):
    """What is fitted and then asked."""

    def parse(self, utterances: Sequence[Utterance]) -> list[Parse | None]:
        """Parse utterances; labels are not looked at."""

    def count_truncated(
        self, utterances: Sequence[Utterance], parses: Sequence[Parse | None]
    ) -> int:
        """Return how many utterances were read only in part."""


@dataclass(frozen=True)
class Results:
    """What a fitted model says of the test utterances, and what that is worth.

    Args:
        data: Utterances.
        parses: One for each of `data.test`; None for an output that is none.
        report: The numbers.
        fit: The finished run.
    """

    data: DataSet
    parses: Sequence[Parse | None]
    report: NluReport
    fit: Fit

    def write(self, draft: Path, name: str) -> None:
        """Write card, report, plot, predictions and metrics into a folder.

        Args:
            draft: The folder.
            name: Name of the model's folder.
        """
        report = self.report
        (draft / REPORT_NAME).write_text(report.model_dump_json(indent=2), encoding="utf-8")
        (draft / "report.md").write_text(report_markdown(report), encoding="utf-8")
        (draft / "README.md").write_text(model_card(report, name), encoding="utf-8")
        (draft / METRICS_FILE).write_bytes((self.fit.folder / METRICS_FILE).read_bytes())
        plot_locales(report, [draft / f"locales{suffix}" for suffix in PLOT_SUFFIXES])
        write_predictions(draft / "predictions", self.data.test, self.parses)

    def facts(self) -> dict[str, Any]:
        """Return the numbers that the manifest keeps."""
        report, mean = self.report, self.report.scores.mean
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


def set_up(spec: NluSpec, device: str | None) -> torch.device:
    """Check that a report can be drawn, set the threads and pick the device.

    Args:
        spec: Its threads.
        device: Name of the device; None for the first GPU, else the CPU.

    Returns:
        The device.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: There is no such device.
    """
    check_plotting()
    torch.set_num_threads(spec.threads or available_cores())
    return pick_device(device)


def fit_and_test(
    spec: NluSpec,
    task: ParsingTask,
    data: DataSet,
    body: Path,
    folder: Path,
    device: torch.device,
    *,
    counts: Mapping[str, int],
    parameters: Mapping[str, int],
) -> Results:
    """Fit a task, ask it about the test utterances and score its answers.

    Args:
        spec: Settings.
        task: What is fitted.
        data: Utterances.
        body: Folder of the body.
        folder: Where metrics and the checkpoint lie.
        device: Where the network lies.
        counts: Counts of what is learnt.
        parameters: Parameters by part.

    Returns:
        The results; the checkpoint stays until the model is written.

    Raises:
        TrainingDivergedError: The loss is not a number any more.
        OutOfMemoryError: A batch does not fit.
    """
    fit = Fit(spec, task, folder, run_identity(spec, body, data), device)
    state = fit.run()
    parses = task.parse(data.test)
    num_truncated = task.count_truncated(data.test, parses)
    report = make_report(spec, data, parses, num_truncated, state, counts, parameters)
    return Results(data, parses, report, fit)


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


def count_parameters(network: nn.Module, body: PreTrainedModel) -> dict[str, int]:
    """Return parameters of the embeddings of tokens, of the rest of the body, and of heads.

    Args:
        network: The model.
        body: Its body; the model itself if that has no heads of ours.

    Returns:
        Counts; a tied matrix counts once.
    """
    embeddings = sum(p.numel() for p in body.get_input_embeddings().parameters())
    inside = sum(p.numel() for p in body.parameters())
    counts = {"embeddings": embeddings, "body": inside - embeddings}
    if network is body:
        return counts
    return {**counts, "heads": sum(p.numel() for p in network.parameters()) - inside}


def make_report(
    spec: NluSpec,
    data: DataSet,
    parses: Sequence[Parse | None],
    num_truncated: int,
    state: FitState,
    training: Mapping[str, int],
    parameters: Mapping[str, int],
) -> NluReport:
    """Score a model's parses of the test utterances.

    Args:
        spec: Settings.
        data: Utterances.
        parses: One for each of `data.test`; None for an output that is none.
        num_truncated: Utterances of `data.test` that were read only in part.
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
            "num_truncated": num_truncated,
            "training": dict(training),
            "parameters": dict(parameters),
            "settings": spec.identity(),
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "dev": state.best,
            "seconds": state.seconds,
        }
    )

"""report.json and report.md of a fine-tuned model: scores by locale beside the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hunmin.adapt.nlu.baselines import fit_constant, fit_linear
from hunmin.adapt.nlu.data_set import DataSet
from hunmin.adapt.nlu.score_table import percent
from hunmin.adapt.nlu.scores import NUM_RESAMPLES, NluScores, Prediction, Scores, score
from hunmin.core.spec import Spec
from hunmin.core.tables import markdown_table
from hunmin.core.units import format_count, format_duration

HEADER = (
    "locale",
    "utterances",
    "intent accuracy",
    "slot F1",
    "exact match",
    "intent, linear",
    "intent, constant",
)

REPORT_NAME = "report.json"


class NluReport(Spec):
    """Scores of a model on the test partition, and how it was made."""

    scores: NluScores
    """The model's, by locale, their mean, and over all."""
    zero_shot: Scores | None
    """Mean over the locales of which no label was seen; None if there is none."""
    trained: Scores | None
    """Mean over the locales that were trained on; None if none is tested."""
    linear: NluScores
    """Those of a linear model of character n-grams, fitted to the same utterances; no slots."""
    constant: NluScores
    """Those of always saying the most frequent intent; no slots."""
    train_locales: tuple[str, ...]
    """Locales whose train partition was learnt."""
    selection_locales: tuple[str, ...]
    """Locales whose dev partition chose the epoch."""
    zero_shot_locales: tuple[str, ...]
    """Tested locales of which no label was seen."""
    test_partition: str
    """Partition that was tested."""
    num_unknown_intents: int
    """Tested utterances whose intent does not occur in training: always wrong."""
    num_malformed: int
    """Outputs that are no parse, of models that write labels as text."""
    num_truncated: int
    """Tested utterances that were read only in part."""
    training: dict[str, int]
    """What was learnt, and what had to be left out."""
    parameters: dict[str, int]
    """Parameters of embeddings, of the rest of the body, and of the heads."""
    settings: dict[str, object]
    """The section `nlu`."""
    epochs: int
    """Epochs that were trained."""
    best_epoch: int
    """The epoch whose weights were kept."""
    dev: dict[str, float]
    """Scores of that epoch on the dev partition of the selection locales."""
    seconds: float
    """Wall time of training."""


def score_all(
    data: DataSet, predictions: Sequence[Prediction], *, seed: int = 0
) -> dict[str, NluScores | Scores | None]:
    """Score predictions of the test utterances, and the baselines.

    Args:
        data: Utterances; the baselines are fitted to `train`.
        predictions: One for each of `test`.
        seed: Of the linear baseline.

    Returns:
        Fields of `NluReport`: scores, zero_shot, trained, linear and constant.
    """
    linear = fit_linear(data.train, seed=seed).predict(data.test)
    constant = fit_constant(data.train).predict(data.test)
    return {
        "scores": score(data.test, predictions, num_resamples=NUM_RESAMPLES),
        "zero_shot": _mean_over(data, predictions, data.zero_shot_locales),
        "trained": _mean_over(data, predictions, data.train_locales),
        "linear": score(data.test, linear, num_resamples=NUM_RESAMPLES),
        "constant": score(data.test, constant, num_resamples=NUM_RESAMPLES),
    }


def _mean_over(
    data: DataSet, predictions: Sequence[Prediction], locales: Sequence[str]
) -> Scores | None:
    chosen = set(locales)
    pairs = [
        (made, said)
        for made, said in zip(data.test, predictions, strict=True)
        if made.locale in chosen
    ]
    if not pairs:
        return None
    references, some = zip(*pairs, strict=True)
    return score(references, some, num_resamples=NUM_RESAMPLES).mean


def report_markdown(report: NluReport) -> str:
    """Return report.md; it links the plot by relative path.

    Args:
        report: The numbers.

    Returns:
        Markdown.
    """
    rows = [_row("**mean**", report.scores.mean, report.linear.mean, report.constant.mean)]
    order = sorted(
        report.scores.locales, key=lambda name: -report.scores.locales[name].exact_match.value
    )
    for name in order:
        shown = f"{name} (trained)" if name in report.train_locales else name
        parts = (report.scores, report.linear, report.constant)
        rows.append(_row(shown, *(part.locales[name] for part in parts)))
    lines = [
        "# Intents and slots",
        "",
        *report_headline(report),
        "",
        "![Scores by locale](locales.svg)",
        "",
        *markdown_table(HEADER, rows),
        "",
        "## How to read this",
        "",
        *_explanation(report),
        "",
        "## What was done",
        "",
        *_provenance(report),
        "",
    ]
    return "\n".join(lines)


def model_card(report: NluReport, folder: str) -> str:
    """Return README.md of the model's folder.

    Args:
        report: The numbers.
        folder: Name of the folder.

    Returns:
        Markdown with the header that the Hugging Face hub reads.
    """
    languages = sorted({locale.split("-")[0] for locale in report.train_locales})
    lines = [
        "---",
        "library_name: transformers",
        "tags: [hunmin, intent-classification, slot-filling]",
        f"language: [{', '.join(languages)}]",
        "---",
        "",
        f"# {folder}",
        "",
        "Intents and slots of what people say to an assistant.",
        "",
        *report_headline(report),
        "",
        *_use(report, folder),
        "",
        "Scores by locale, and how they were obtained: [report.md](report.md).",
        "",
        "## Limits",
        "",
        "It knows the intents and slots that it was trained on and no others: whatever is said, "
        "one of these intents is the answer. Its scores hold for utterances like the tested ones.",
        "",
    ]
    return "\n".join(lines)


def _use(report: NluReport, folder: str) -> list[str]:
    ask = ["```bash", f'hunmin ask {folder} "…"', "```"]
    if not _is_text(report):
        return ask
    return [
        *ask,
        "",
        "```python",
        "from pathlib import Path",
        "from hunmin.adapt.nlu.text_model import load_text_model",
        f'load_text_model(Path("{folder}")).parse(["…"])',
        "```",
        "",
        "It writes its labels as text, and is neither exported to ONNX nor served.",
    ]


def read_report(folder: Path) -> NluReport:
    """Return the report in a folder that `finetune` wrote."""
    return NluReport.model_validate_json((folder / REPORT_NAME).read_text(encoding="utf-8"))


def report_headline(report: NluReport) -> list[str]:
    """Return the mean scores over trained and over unseen locales, a line each, as Markdown."""
    parts = [
        (
            "Zero-shot",
            report.zero_shot,
            len(report.zero_shot_locales),
            "no label was seen",
        ),
        ("Trained", report.trained, len(report.train_locales), "trained on"),
    ]
    return [
        f"- **{name}** ({number} locale{'s' * (number != 1)}, {what}): exact match "
        f"{percent(scores.exact_match)}, intent accuracy {percent(scores.intent_accuracy)}, "
        f"slot F1 {percent(scores.slot_f1)}."
        for name, scores, number, what in parts
        if scores is not None
    ]


def _row(name: str, scores: Scores, linear: Scores, constant: Scores) -> list[str]:
    return [
        name,
        f"{scores.num_utterances:,}",
        percent(scores.intent_accuracy),
        percent(scores.slot_f1),
        percent(scores.exact_match),
        f"{100 * linear.intent_accuracy.value:.1f}",
        f"{100 * constant.intent_accuracy.value:.1f}",
    ]


def _explanation(report: NluReport) -> list[str]:
    lines = [
        "- Per cent. **Exact match**: the intent is right, every slot is found, and no other is "
        "predicted. **Slot F1**: a slot is found if its type and its words are right; slots that "
        "are predicted where there is none count against the model.",
        "- **Linear**: logistic regression over character n-grams, fitted to the same "
        "utterances. **Constant**: always the most frequent intent. Neither predicts slots.",
        "- **[low, high]**: 95 % bootstrap interval over utterances of a locale. It does not cover "
        "the seed of training.",
    ]
    if report.num_unknown_intents:
        lines.append(
            f"- {report.num_unknown_intents:,} tested utterances have an intent that does not "
            "occur in training: no model can be right there."
        )
    return lines


def _provenance(report: NluReport) -> list[str]:
    seen = set(report.selection_locales) <= set(report.train_locales)
    honest = (
        "no label of another locale had a say"
        if seen
        else "labels of these locales chose the model, so their scores are not zero-shot"
    )
    training, parameters = report.training, report.parameters
    counts = ", ".join(f"{name} {format_count(number)}" for name, number in parameters.items())
    return [
        f"- Trained on {training.get('utterances', 0):,} utterances of "
        f"{', '.join(report.train_locales)}; preset {report.settings.get('preset')}.",
        f"- **Model selection**: epoch {report.best_epoch} of {report.epochs}, by exact match on "
        f"the dev partition of {', '.join(report.selection_locales)}: {honest}.",
        f"- Tested on the partition `{report.test_partition}`; predictions lie in `predictions/`, "
        "the scores can be computed from them again.",
        f"- Parameters: {counts}.",
        *(_lost_by_text(report) if _is_text(report) else _lost_by_heads(report)),
        f"- {format_duration(report.seconds)} of training.",
    ]


def _is_text(report: NluReport) -> bool:
    return report.settings.get("style") == "text"


def _lost_by_heads(report: NluReport) -> list[str]:
    training = report.training
    return [
        f"- Left out of training, as two slots would share a tag: "
        f"{training.get('left_out_two_slots_on_one_tag', 0):,}. Slots whose exact characters no "
        f"tag can say: {training.get('slots_not_exact', 0):,} of {training.get('slots', 0):,}. "
        f"Read in part: {training.get('truncated', 0):,} in training, "
        f"{report.num_truncated:,} in the test."
    ]


def _lost_by_text(report: NluReport) -> list[str]:
    return [
        "- Left out of training, as they do not fit the model with their labels: "
        f"{report.training.get('left_out_too_long', 0):,}. Tested utterances that were read only "
        f"in part: {report.num_truncated:,}.",
        "- Outputs that were no parse, also where there was no room for all labels, counted as "
        f"wrong: {report.num_malformed:,}.",
    ]

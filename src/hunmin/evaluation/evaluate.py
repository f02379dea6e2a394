"""Scores a model and its baselines on the same documents and writes a report artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.artifact import Artifact, ArtifactDraft, load_artifact, write_artifact
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.core.logs import get_logger
from hunmin.evaluation.baselines import Baselines, train_baselines
from hunmin.evaluation.bootstrap import Summary
from hunmin.evaluation.language_plot import plot_languages
from hunmin.evaluation.metrics import find_metrics, read_metrics
from hunmin.evaluation.model_scores import ModelScores, score_texts
from hunmin.evaluation.plots import plot_loss_curve
from hunmin.evaluation.report import report_markdown
from hunmin.evaluation.results import MODEL, REPORT_NAME, SCORES_NAME, Report
from hunmin.evaluation.sample import draw_documents
from hunmin.evaluation.spec import EvaluateSpec
from hunmin.evaluation.symbols import text_bytes

REPORT_KIND = "report"
logger = get_logger(__name__)


def evaluate_model(
    spec: EvaluateSpec,
    model: Artifact,
    documents: Artifact,
    output: Path,
    *,
    run_dir: Path | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Score a model beside the order-0 and the 5-gram byte model and write a report.

    Args:
        spec: What to score.
        model: A model artifact.
        documents: The documents artifact; the baselines learn from its train split.
        output: Where the report artifact goes.
        run_dir: Run folder, or its train folder, whose metrics are plotted; None for no plot.
        recipe: Recorded in the report's manifest.

    Returns:
        The report artifact: report.json, report.md, documents.parquet, plots as SVG and PNG.

    Raises:
        MissingExtraError: matplotlib is not installed; nothing was done yet.
        EmptyCorpusError: There is no document to score or to train the baselines on.
    """
    check_plotting()
    drawn, num_available = draw_documents(
        documents, spec.split, max_per_language=spec.max_documents_per_language, seed=spec.seed
    )
    baselines = train_baselines(documents, max_bytes=spec.max_baseline_bytes, seed=spec.seed)
    model_scores = score_texts(model, drawn["text"].to_pylist(), spec)
    scores = join_scores(drawn, model_scores, baselines)
    summary = Summary(scores, num_resamples=spec.num_resamples, seed=spec.seed)
    report = Report(
        split=spec.split,
        model=model.digest,
        documents=documents.digest,
        precision=model_scores.precision,
        num_available_documents=num_available,
        num_resamples=spec.num_resamples,
        baselines=baselines.facts,
        overall=summary.overall(),
        language_mean=summary.language_mean(),
        by_language=summary.by_language(),
        by_source=summary.by_source(),
    )
    with write_artifact(output, REPORT_KIND, recipe=recipe, inputs=(model, documents)) as draft:
        _write_report(draft, report, scores, run_dir)
    return load_artifact(output, REPORT_KIND)


def join_scores(drawn: pa.Table, model_scores: ModelScores, baselines: Baselines) -> pa.Table:
    """Put the scores of all systems side by side.

    Args:
        drawn: Columns id, text, language, source, group.
        model_scores: What the model gave to each text.
        baselines: The trained baselines.

    Returns:
        One row per document: id, language, source, group, num_bytes, num_tokens, and nats of each
        system over the document and its end.
    """
    data, lengths = text_bytes(drawn["text"])
    columns = {name: drawn[name] for name in ("id", "language", "source", "group")}
    columns["num_bytes"] = pa.array(lengths)
    columns["num_tokens"] = pa.array(model_scores.num_tokens)
    columns[f"{MODEL}_nats"] = pa.array(model_scores.nats)
    for name, baseline in baselines.models.items():
        columns[f"{name}_nats"] = pa.array(baseline.document_nats(data, lengths))
    return pa.table(columns)


def _write_report(
    draft: ArtifactDraft, report: Report, scores: pa.Table, run_dir: Path | None
) -> None:
    folder = draft.path
    (folder / REPORT_NAME).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    pq.write_table(scores, folder / SCORES_NAME, compression="zstd")
    plot_languages(report, [folder / f"languages{suffix}" for suffix in PLOT_SUFFIXES])
    has_loss_curve = _plot_loss(folder, run_dir)
    markdown = report_markdown(report, has_loss_curve=has_loss_curve)
    (folder / "report.md").write_text(markdown, encoding="utf-8")
    draft.facts["split"] = report.split
    draft.facts["documents"] = report.overall.num_documents
    draft.facts["bits_per_byte"] = {
        system: scores.bits_per_byte.value for system, scores in report.overall.scores.items()
    }


def _plot_loss(folder: Path, run_dir: Path | None) -> bool:
    """Draw the loss curve if the run recorded one, and say whether it did."""
    if run_dir is None or find_metrics(run_dir) is None:
        return False
    metrics = read_metrics(run_dir)
    if not metrics.steps:
        return False
    plot_loss_curve(metrics, [folder / f"loss{suffix}" for suffix in PLOT_SUFFIXES])
    return True

"""A trained quality classifier as text: for the terminal, and for its report."""

from __future__ import annotations

from collections.abc import Sequence

from hunmin.core.tables import align_columns, markdown_table
from hunmin.corpus.filters.train import ScoredSample, Training

_LINE_CHARACTERS = 90


def terminal_lines(training: Training) -> list[str]:
    """Return what to print: samples, how well they are told apart, sources, texts, notes."""
    lines = [*_sample_lines(training), "", *_result_lines(training), ""]
    lines += [*align_columns(_source_rows(training)), ""]
    lines += ["calibration, by tenth of the scores:", *align_columns(_bin_rows(training)), ""]
    for title, samples in _texts(training):
        lines += [f"{title}:", *(_line(sample) for sample in samples), ""]
    return [*lines, *(f"note: {note}" for note in training.notes)]


def report(training: Training, command: str) -> str:
    """Return the report in Markdown.

    Args:
        training: What was trained.
        command: What the samples were called.

    Returns:
        The content of report.md.
    """
    parts = ["# Quality classifier", "", command, "", *_sample_lines(training), ""]
    parts += [*_result_lines(training), "", "## Sources of the held-out samples", ""]
    parts += [*_markdown(_source_rows(training)), "", "## Calibration", ""]
    parts += [*_markdown(_bin_rows(training))]
    for title, samples in _texts(training):
        rows = [["score", "is", "source", "text"], *(_cells(sample) for sample in samples)]
        parts += ["", f"## {title}", "", *_markdown(rows)]
    if training.notes:
        parts += ["", "## Notes", "", *(f"- {note}" for note in training.notes)]
    return "\n".join(parts) + "\n"


def _sample_lines(training: Training) -> list[str]:
    return [
        f"{kind}: {counts['samples']:,.0f} different texts of {counts['sources']:.0f} sources, "
        f"median {counts['median_characters']:,.0f} characters"
        for kind, counts in training.samples.items()
    ]


def _result_lines(training: Training) -> list[str]:
    found = training.evaluation
    return [
        f"threshold {training.classifier.threshold:.3f} ({training.threshold_by})",
        f"{found.samples:,} held-out samples: accuracy {found.accuracy:.1%}, "
        f"always the commoner answer {found.majority:.1%}, AUC {found.auc:.4f}, "
        f"calibration error {found.calibration_error:.3f}",
        f"kept are {training.kept:.1%}, of which {training.precision:.1%} are good; of the good "
        f"ones {training.recall:.1%} are kept",
    ]


def _source_rows(training: Training) -> list[list[str]]:
    rows = [["source", "samples", "good", "judged rightly", "kept", "mean score"]]
    for name, found in training.evaluation.sources.items():
        shares = [f"{found.accuracy:.1%}", f"{found.kept:.1%}", f"{found.mean_score:.3f}"]
        rows.append([name, f"{found.samples:,}", f"{found.good:,}", *shares])
    return rows


def _bin_rows(training: Training) -> list[list[str]]:
    rows = [["mean score", "samples", "good"]]
    for part in training.evaluation.bins:
        rows.append([f"{part.mean_score:.3f}", f"{part.samples:,}", f"{part.good:.1%}"])
    return rows


def _texts(training: Training) -> list[tuple[str, Sequence[ScoredSample]]]:
    named = [
        ("Highest scores", training.highest),
        ("Lowest scores", training.lowest),
        ("Farthest on the wrong side", training.mistaken),
    ]
    return [(title, samples) for title, samples in named if samples]


def _cells(sample: ScoredSample) -> list[str]:
    kind = "good" if sample.is_good else "bad"
    return [f"{sample.score:.3f}", kind, sample.source, sample.text]


def _line(sample: ScoredSample) -> str:
    score, kind, source, text = _cells(sample)
    cut = text if len(text) <= _LINE_CHARACTERS else text[: _LINE_CHARACTERS - 1] + "…"
    return f"  {score}  {kind:<4}  {source}  {cut}"


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    return markdown_table(escaped[0], escaped[1:])

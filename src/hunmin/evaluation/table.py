"""The table of scores that stands at the end of a run on the terminal."""

from __future__ import annotations

from hunmin.core.tables import align_columns
from hunmin.evaluation.report import interval_text
from hunmin.evaluation.results import MODEL, SYSTEMS, TITLES, Report

MAX_LANGUAGES = 12


def summary_table(report: Report) -> str:
    """Return a compact table of bits per byte for a terminal.

    Args:
        report: The numbers.

    Returns:
        Aligned lines of plain text: all documents, and up to 12 languages with the most text.
    """
    most_text = sorted(report.by_language.items(), key=lambda row: (-row[1].num_bytes, row[0]))
    shown = sorted(most_text[:MAX_LANGUAGES])
    rows = [("all", report.overall), *(shown if len(most_text) > 1 else [])]
    header = ("bits per byte", *(TITLES[s] for s in SYSTEMS), "model 95 %", "documents")
    cells = [
        (
            name,
            *(f"{aggregate.scores[system].bits_per_byte.value:.3f}" for system in SYSTEMS),
            interval_text(aggregate.scores[MODEL].bits_per_byte),
            f"{aggregate.num_documents:,}",
        )
        for name, aggregate in rows
    ]
    lines = align_columns([header, *cells])
    hidden = len(most_text) - len(shown)
    if hidden > 0:
        lines.append(f"… and {hidden} more languages in the report")
    lines.append(
        f"lower is better; the model beats the byte 5-gram in {report.num_languages_won()} of "
        f"{len(most_text)} languages"
    )
    return "\n".join(lines)

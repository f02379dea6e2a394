"""The table of scores that stands at the end of a run on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

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


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad cells to columns by the width a terminal gives them: wide characters take two places."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        numbers = [gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True)]
        lines.append("  ".join([row[0] + gaps[0], *numbers]).rstrip())
    return lines

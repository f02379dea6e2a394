"""Tables of text, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad cells to columns by the width a terminal gives them: wide characters take two places."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        numbers = [gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True)]
        lines.append("  ".join([row[0] + gaps[0], *numbers]).rstrip())
    return lines


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; every column but the first is aligned to the right."""
    marks = ["---", *("--:" for _ in header[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (header, marks, *rows)]

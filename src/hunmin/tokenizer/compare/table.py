"""The tables of a comparison, as rows of text: for the terminal and for report.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hunmin.core.estimates import Estimate
from hunmin.core.tables import align_columns
from hunmin.tokenizer.compare.results import (
    BoundaryResult,
    Comparison,
    Reference,
    TextMeasures,
    TokenizerResult,
)

NOTHING = "–"
Groups = Callable[[TokenizerResult], dict[str, TextMeasures]]
DENSITIES: dict[str, Callable[[TextMeasures], str]] = {
    "Tokens, relative to the baseline": lambda found: _decimal(found.relative_tokens),
    "Bytes per token": lambda found: f"{found.bytes_per_token:.2f}",
    "Characters per token": lambda found: f"{found.characters_per_token:.2f}",
    "Tokens per word": lambda found: f"{found.tokens_per_word:.2f}",
    "Unknown tokens, and byte fallback": lambda found: (
        f"{_percent(found.unknown_share)}, {_percent(found.byte_fallback_share)}"
    ),
}


class Table(NamedTuple):
    """A table and what it is about."""

    title: str
    """What the rows tell."""
    header: tuple[str, ...]
    """Titles of the columns."""
    rows: Sequence[tuple[str, ...]]
    """Cells."""


def overview(comparison: Comparison) -> Table:
    """Return one row for each tokenizer with what matters most."""
    measures = ("tokens", "bytes/token", "tokens/word", "unknown", "partial", "failures")
    header = ("tokenizer", "method", "entries", *measures, "MB/CPU-s")
    rows = [
        (result.name, result.kind, f"{result.vocab_size:,}", *_overview_cells(result))
        for result in comparison.tokenizers
    ]
    return Table("All texts together", header, rows)


def _overview_cells(result: TokenizerResult) -> Iterator[str]:
    measures = result.overall
    if measures is None:
        yield from (NOTHING,) * 6
    else:
        lost = measures.unknown_share + measures.byte_fallback_share
        yield _decimal(measures.relative_tokens)
        yield f"{measures.bytes_per_token:.2f}"
        yield f"{measures.tokens_per_word:.2f}"
        yield _percent(lost)
        yield _percent(measures.partial_share)
        yield str(result.round_trip.num_failures) if result.round_trip else NOTHING
    fastest = [speed.megabytes_per_cpu_second for speed in result.speed.values()]
    yield f"{max(fastest):.2f}" if fastest else NOTHING


def boundary_table(comparison: Comparison, reference: Reference, *, with_intervals: bool) -> Table:
    """Return agreement with one reference, one row for each tokenizer."""
    kinds = list(reference.boundaries_by_kind)
    columns = [f"{kind} ({reference.boundaries_by_kind[kind]:,})" for kind in kinds]
    # A single unlabelled kind would only repeat the recall.
    kinds, columns = (kinds, columns) if len(kinds) > 1 else ([], [])
    rows = [
        (result.name, *_boundary_cells(result.boundaries[reference.name], kinds, with_intervals))
        for result in comparison.tokenizers
    ]
    header = ("tokenizer", "recall", "precision", "F1", *columns)
    return Table(reference.name, header, rows)


def _boundary_cells(
    result: BoundaryResult, kinds: Sequence[str], with_intervals: bool
) -> Iterator[str]:
    for estimate in (result.recall, result.precision, result.f1):
        yield f"{estimate.value:.3f}{_interval(estimate) if with_intervals else ''}"
    for kind in kinds:
        yield _decimal(result.recall_by_kind.get(kind))


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" [{estimate.low:.3f}, {estimate.high:.3f}]"


def density_tables(comparison: Comparison, groups: Groups) -> list[Table]:
    """Return tables with a row for each group of texts and a column for each tokenizer.

    Args:
        comparison: The numbers.
        groups: Takes the measures by language or by source.

    Returns:
        One table for each measure; unknown tokens only where there are any.
    """
    header = ("", *(result.name for result in comparison.tokenizers))
    names = list(groups(comparison.tokenizers[0]))
    measured = {name: [groups(result)[name] for result in comparison.tokenizers] for name in names}
    tables = [
        Table(title, header, [(name, *map(cell, row)) for name, row in measured.items()])
        for title, cell in DENSITIES.items()
    ]
    lost = [m.unknown_share + m.byte_fallback_share for row in measured.values() for m in row]
    return tables if any(lost) else tables[:-1]


def speed_table(comparison: Comparison) -> Table:
    """Return the speed of each engine of each tokenizer."""
    rows = [
        (result.name, engine, f"{speed.megabytes_per_cpu_second:.2f}", _decimal(speed.ratio))
        for result in comparison.tokenizers
        for engine, speed in result.speed.items()
    ]
    return Table("Speed", ("tokenizer", "engine", "MB/CPU-s", f"to {comparison.baseline}"), rows)


def vocabulary_table(comparison: Comparison) -> Table:
    """Return what part of each vocabulary the texts use."""
    rows = [
        (
            result.name,
            f"{use.vocab_size:,}",
            f"{use.num_used:,}",
            _percent(use.used_share),
            f"{use.num_covering:,}",
        )
        for result in comparison.tokenizers
        if (use := result.vocabulary) is not None
    ]
    header = ("tokenizer", "entries", "used", "share", "for 99 % of tokens")
    return Table("Use of the vocabulary", header, rows)


def terminal_tables(comparison: Comparison) -> str:
    """Return the tables that matter most, for a terminal."""
    first = overview(comparison)
    blocks = ["\n".join(align_columns([first.header, *first.rows]))]
    for reference in comparison.references:
        table = boundary_table(comparison, reference, with_intervals=False)
        titled = (f"{table.title}", *table.header[1:])
        blocks.append("\n".join(align_columns([titled, *table.rows])))
    blocks.append(
        f"tokens: relative to {comparison.baseline}, fewer is denser · unknown: with byte "
        "fallback · partial: begin or end within a character · failures: texts that do not come "
        "back"
    )
    return "\n\n".join(blocks)


def _decimal(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share else "0"

"""report.md of a comparison: the numbers in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from hunmin.core.tables import markdown_table
from hunmin.tokenizer.compare.results import Comparison, Reference, TokenizerResult
from hunmin.tokenizer.compare.table import (
    Groups,
    Table,
    boundary_table,
    density_tables,
    overview,
    speed_table,
    vocabulary_table,
)
from hunmin.tokenizer.inspect import visible_character

EXPLANATION = """\
- **Tokens** are relative to those of the baseline on the same texts; lower is denser. **Bytes**
  and **characters per token**: higher is denser. Languages differ in bytes per character, so
  compare tokenizers within a language, not languages. **Words** are what white space separates,
  which says little for scripts without spaces.
- **Unknown** tokens stand for text that is lost; **byte fallback** spells characters that the
  vocabulary lacks. In byte-level vocabularies rare characters are spelled too: see **partial**,
  tokens that begin or end within a character.
- **Boundaries**: a tokenizer's boundary is the start of a token after skipping white space; a
  token that starts within a character gives none. **Recall** is the share of the reference's
  boundaries that the tokenizer makes, **precision** the share of the tokenizer's that the reference
  has. Precision below 1 is normal: subwords also split inside morphemes. Only positions between
  two letters (Korean: two Hangul syllables) of words that can be judged count.
- **[low, high]**: 95 % bootstrap interval over sentences or words. It covers the choice of text,
  not the training of the tokenizer.
- An analyser is no judge: two good ones agree at an F1 of about 0.93 in Korean. Human gold counts
  more, and boundary recall is a property of a tokenizer, not a proof of its quality.
- **Failures** are texts that do not come back after encoding and decoding; those that come back in
  another Unicode form only are counted apart.
- **Speed** is CPU time of one thread, median of rounds in which the tokenizers take turns.
  `tokenizers` is the library's `encode_batch`, with offsets; `bulk` is hunmin's own path."""


def comparison_markdown(comparison: Comparison, *, plots: Sequence[str]) -> str:
    """Return report.md.

    Args:
        comparison: The numbers.
        plots: Names of the plots beside it, without ending.

    Returns:
        Markdown that links plots and sentences by relative path.
    """
    parts = [
        ["# Comparison of tokenizers"],
        [_summary(comparison)],
        _section(overview(comparison), level=0),
        *([f"![{name}]({name}.svg)"] for name in plots),
        *_boundaries(comparison),
        *_densities(comparison),
        _section(vocabulary_table(comparison)),
        _section(speed_table(comparison)),
        _failures(comparison),
        _sentences(comparison),
        ["## How to read this"],
        [EXPLANATION],
        ["## What was compared"],
        _provenance(comparison),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _summary(comparison: Comparison) -> str:
    count = len(comparison.tokenizers)
    first = comparison.tokenizers[0].overall
    on = f" on {first.num_texts:,} texts ({first.num_bytes:,} bytes)" if first else ""
    against = ", ".join(reference.name for reference in comparison.references)
    return f"{count} tokenizers{on}; the baseline is **{comparison.baseline}**." + (
        f" Boundaries are compared with {against}." if against else ""
    )


def _section(table: Table, level: int = 2) -> list[str]:
    if not table.rows:
        return []
    title = [f"{'#' * level} {table.title}", ""] if level else []
    return [*title, *markdown_table(table.header, table.rows)]


def _boundaries(comparison: Comparison) -> list[list[str]]:
    if not comparison.references:
        return []
    sections = [["## Boundaries"]]
    for reference in comparison.references:
        table = boundary_table(comparison, reference, with_intervals=True)
        sections += [[f"### {reference.name}"], [_describe(reference)], _section(table, level=0)]
    return sections


def _describe(reference: Reference) -> str:
    unit = "words" if reference.is_word_list else "texts"
    origin = "Marked by people" if reference.is_human else "Found by an analyser"
    total = sum(reference.boundaries_by_kind.values())
    judged = reference.judged_share
    share = f"; {100 * judged:.0f} % of the words can be judged" if judged is not None else ""
    words = ". Each word is encoded after a space, as in running text"
    return (
        f"{origin}: {reference.num_texts:,} {unit}, {total:,} boundaries{share}"
        f"{words if reference.is_word_list else ''}. Columns of kinds show recall."
    )


def _densities(comparison: Comparison) -> list[list[str]]:
    by: dict[str, Groups] = {
        "language": lambda result: result.by_language,
        "source": lambda result: result.by_source,
    }
    sections: list[list[str]] = []
    for title, groups in by.items():
        if groups(comparison.tokenizers[0]):
            tables = density_tables(comparison, groups)
            sections += [[f"## By {title}"], *(_section(table, level=3) for table in tables)]
    return sections


def _failures(comparison: Comparison) -> list[str]:
    rows = [
        f"- **{result.name}**: {trip.num_failures:,} of {trip.num_texts:,} texts come back "
        f"changed, {trip.num_normalized:,} in another Unicode form." + _examples(result)
        for result in comparison.tokenizers
        if (trip := result.round_trip) is not None
    ]
    return ["## Round trip", "", *rows] if rows else []


def _examples(result: TokenizerResult) -> str:
    examples = result.round_trip.examples if result.round_trip else ()
    return "".join(
        f"\n    - `{_code(example.text)}` comes back as `{_code(example.decoded)}`"
        for example in examples
    )


def _code(text: str) -> str:
    return "".join(c if c == " " else visible_character(c) for c in text).replace("`", "'")


def _sentences(comparison: Comparison) -> list[str]:
    if not comparison.sentences:
        return []
    return [
        "## Sentences",
        "",
        "![Sentences as each tokenizer cuts them](sentences.svg)",
        "",
        "The same as a page: [sentences.html](sentences.html).",
    ]


def _provenance(comparison: Comparison) -> list[str]:
    tokenizers = [
        f"- {result.name}: {result.kind}, digest {result.digest[:12]}"
        for result in comparison.tokenizers
    ]
    return [
        *tokenizers,
        f"- Intervals: {comparison.num_resamples:,} resamples, the same for every tokenizer.",
        "- All numbers here: `report.json`.",
    ]

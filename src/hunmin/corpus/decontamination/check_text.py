"""Found evaluation items as text: for the terminal, and as a report."""

from __future__ import annotations

from collections.abc import Sequence

from hunmin.core.tables import align_columns, markdown_table
from hunmin.corpus.decontamination.check import Check

_ITEM_CHARACTERS = 100


def terminal_lines(check: Check, examples: int) -> list[str]:
    """Return what to print: a table of sets, examples, a verdict.

    Args:
        check: What was found.
        examples: Items to show of each set.

    Returns:
        Lines.
    """
    lines = [_scope(check), "", *align_columns(_rows(check)), ""]
    for found in check.examples(examples):
        lines += [
            f"{found.set}  {found.share:.0%}  {_short(found.item_text)}",
            f"  in {found.source}, document {found.document}: {found.excerpt}",
        ]
    return [*lines, *([""] if examples and check.found else []), _verdict(check)]


def report(check: Check, sets: Sequence[str], examples: int = 20) -> str:
    """Return report.md.

    Args:
        check: What was found.
        sets: The sets as the user named them.
        examples: Items to show of each set.

    Returns:
        Markdown.
    """
    rows = _rows(check)
    parts = ["# Evaluation items in documents", "", _verdict(check), "", _scope(check), ""]
    parts += [f"Sets: {', '.join(sets)}", "", *markdown_table(rows[0], rows[1:]), ""]
    parts += [
        "`items` are given; `checkable` are different ones, long enough and not made of a template "
        "alone; `found` are those of which enough stands in a document.",
        "",
    ]
    if check.sources:
        parts += ["## Where they stand", ""]
        table = [
            [name, source, f"{number:,}"]
            for name, row in check.sources.items()
            for source, number in row.items()
        ]
        parts += [*markdown_table(["set", "source", "documents"], table), ""]
    for found in check.examples(examples):
        parts += [
            f"- **{found.set}**, {found.share:.0%} of “{_escaped(_short(found.item_text))}” in "
            f"{found.source}, document `{found.document}`: {_escaped(found.excerpt)}"
        ]
    return "\n".join(parts).rstrip() + "\n"


def _rows(check: Check) -> list[list[str]]:
    rows = [["set", "items", "checkable", "found", "share", "documents"]]
    for name, row in check.counts["sets"].items():
        checkable = row["whole"] + row["runs"]
        numbers = (row["items"], checkable, row["found_items"])
        rows.append(
            [
                name,
                *(f"{number:,}" for number in numbers),
                f"{row['found_share']:.2%}",
                f"{row['contaminated_documents']:,}",
            ]
        )
    return rows


def _scope(check: Check) -> str:
    return (
        f"{check.counts['documents']:,} documents ({', '.join(check.splits)}) of "
        f"{', '.join(check.documents)}"
    )


def _verdict(check: Check) -> str:
    if not check.num_found_items:
        return "none of the items was found"
    documents = check.counts["contaminated_documents"]
    return f"{_count(check.num_found_items, 'item')} found in {_count(documents, 'document')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _ITEM_CHARACTERS else line[: _ITEM_CHARACTERS - 1] + "…"


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in "\\`*_<[" else character for character in text)

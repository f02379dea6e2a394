"""What was kept and what was dropped, as the numbers of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hunmin.corpus.steps.chain import LANGUAGE, QUALITY, READ, USABLE
from hunmin.corpus.steps.notes import (
    EVALUATION,
    EXACT,
    LINES,
    NEAR,
    SPOKEN_FORM,
    SPOKEN_TWICE,
)
from hunmin.corpus.tally import Tally

STEPS = (USABLE, LANGUAGE, QUALITY, EXACT, NEAR, LINES, EVALUATION, SPOKEN_FORM, SPOKEN_TWICE)
"""The steps that drop or add documents, in order."""


def statistics_of(tally: Tally) -> dict[str, Any]:
    """Turn counts into the numbers of a report.

    Args:
        tally: What the steps counted.

    Returns:
        JSON: `total`, `rejects`, `languages`, `sources`, `licenses`, `flow`, `lengths` and, where
        the step took part, `cleaning`, `languages_found`, `scripts`, `privacy`, `spoken`.
    """
    parts = {
        "total": _summary(tally, lambda _source, _language: "all").get("all", _empty_row()),
        "rejects": _rejects(tally),
        "languages": _summary(tally, lambda _source, language: language),
        "sources": _summary(tally, lambda source, _language: source),
        "licenses": _licenses(tally),
        "flow": _flow(tally),
        "lengths": _nested(tally, "lengths"),
        "cleaning": {rule: number for (rule,), number in tally.of("cleaning").items()},
        "languages_found": _nested(tally, "languages found"),
        "scripts": {script: number for (script,), number in tally.of("scripts").items()},
        "privacy": _privacy(tally),
        "spoken": _spoken(tally),
    }
    return {name: value for name, value in parts.items() if value or name in ("rejects", "flow")}


def _rejects(tally: Tally) -> dict[str, int]:
    """Rejected records by reason, the commonest first."""
    totals: defaultdict[str, int] = defaultdict(int)
    for (_, _, reason), number in tally.of("rejected documents").items():
        totals[reason] += number
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def describe_rejects(tally: Tally) -> str:
    """Say how many records were read and why all were dropped; empty if none was read."""
    rejects = _rejects(tally)
    told = ", ".join(f"{count:,} {reason}" for reason, count in rejects.items())
    return f"{sum(rejects.values()):,} records read, all dropped: {told}" if rejects else ""


def _summary(tally: Tally, name_of: Callable[[str, str], str]) -> dict[str, Any]:
    rows: defaultdict[str, dict[str, Any]] = defaultdict(_empty_row)
    for (source, language, split), number in tally.of("kept documents").items():
        row = rows[name_of(source, language)]
        row[f"{split}_documents"] = row.get(f"{split}_documents", 0) + number
        row["documents"] += number
    for name, column in (("characters", "characters"), ("bytes", "utf8_bytes")):
        for (source, language, _), number in tally.of(f"kept {name}").items():
            rows[name_of(source, language)][column] += number
    for (source, language, reason), number in tally.of("rejected documents").items():
        rejects = rows[name_of(source, language)]["rejects"]
        rejects[reason] = rejects.get(reason, 0) + number
    return {name: _ordered(rows[name]) for name in sorted(rows)}


def _empty_row() -> dict[str, Any]:
    return {
        "documents": 0,
        "train_documents": 0,
        "validation_documents": 0,
        "characters": 0,
        "utf8_bytes": 0,
        "rejects": {},
    }


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"rejects": dict(sorted(row["rejects"].items()))}


def _licenses(tally: Tally) -> dict[str, Any]:
    licenses: defaultdict[str, dict[str, Any]] = defaultdict(
        lambda: {"documents": 0, "utf8_bytes": 0, "sources": []}
    )
    for name, column in (("documents", "documents"), ("bytes", "utf8_bytes")):
        for (license_, source), number in tally.of(f"licensed {name}").items():
            row = licenses[license_]
            row[column] += number
            row["sources"] = sorted({*row["sources"], source})
    return dict(sorted(licenses.items()))


def _flow(tally: Tally) -> list[dict[str, Any]]:
    """Documents and bytes that are left after each step that did something."""
    documents, utf8_bytes = tally.total(f"{READ} documents"), tally.total(f"{READ} bytes")
    flow: list[dict[str, Any]] = [
        {"step": READ, "documents": documents, "utf8_bytes": utf8_bytes, "dropped": {}}
    ]
    for step in STEPS:
        dropped = _dropped(tally, step)
        removed = tally.total("removed bytes", at0=step)
        added = tally.total("added documents", at0=step)
        if not dropped and not removed and not added:
            continue
        documents += added - sum(row["documents"] for row in dropped.values())
        utf8_bytes -= removed + sum(row["utf8_bytes"] for row in dropped.values())
        row = {"step": step, "documents": documents, "utf8_bytes": utf8_bytes, "dropped": dropped}
        # Numbers as words, and documents in both forms, take more room than before.
        changed = {"removed_bytes": removed} if removed >= 0 else {"added_bytes": -removed}
        flow.append(row | changed | ({"added_documents": added} if added else {}))
    return flow


def _dropped(tally: Tally, step: str) -> dict[str, dict[str, int]]:
    dropped: dict[str, dict[str, int]] = {}
    for name, column in (("documents", "documents"), ("bytes", "utf8_bytes")):
        for (reason, of_step), number in tally.of(f"dropped {name}").items():
            if of_step == step:
                dropped.setdefault(reason, {})[column] = number
    return dropped


def _nested(tally: Tally, name: str) -> dict[str, dict[str, int]]:
    table: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (first, second), number in tally.of(name).items():
        table[first][second] = number
    return dict(table)


def cluster_sizes(tally: Tally) -> dict[str, int]:
    """Return the documents kept by the size of their cluster: 1, 2, 3-4, 5-8, …."""
    sizes: defaultdict[int, int] = defaultdict(int)
    for (size,), number in tally.of("copies").items():
        sizes[(int(size) - 1).bit_length()] += number
    return {_range(power): sizes[power] for power in sorted(sizes)}


def _range(power: int) -> str:
    if power <= 1:
        return str(2**power)
    return f"{2 ** (power - 1) + 1}-{2**power}"


def _privacy(tally: Tally) -> dict[str, Any]:
    sources = _nested(tally, "personal data")
    counts: defaultdict[str, int] = defaultdict(int)
    for row in sources.values():
        for name, number in row.items():
            counts[name] += number
    if not counts:
        return {}
    return {
        "documents": tally.total("masked documents"),
        "counts": dict(sorted(counts.items())),
        "sources": sources,
    }


def _spoken(tally: Tally) -> dict[str, Any]:
    """Kept documents and bytes by language, form and split."""
    languages: dict[str, Any] = {}
    for name, column in (("documents", "documents"), ("bytes", "utf8_bytes")):
        for (language, form, split), number in tally.of(f"form {name}").items():
            row = languages.setdefault(language, {}).setdefault(form, {})
            row.setdefault(split, {})[column] = number
    return languages

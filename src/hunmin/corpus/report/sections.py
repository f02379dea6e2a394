"""What the report says: from the statistics and samples to sections of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hunmin.core.units import format_bytes, format_duration
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.report.blocks import (
    Block,
    Page,
    Paragraph,
    Picture,
    Sample,
    Samples,
    Section,
    Table,
)
from hunmin.corpus.report.card import card_sections
from hunmin.corpus.report.groups import (
    contamination_section,
    duplicates_section,
    languages_section,
    privacy_section,
    sources_section,
)
from hunmin.corpus.report.numbers import counted, format_share
from hunmin.corpus.report.plots import splits_line
from hunmin.corpus.report.spoken import spoken_section
from hunmin.corpus.report.visible import WINDOW, looks_the_same, mark_changes, plain, visible

Statistics = Mapping[str, Any]
Drop = tuple[str, str, int, int | None]
"""Reason, step, documents, and bytes if known."""
MARKS = "What differs is marked; a character that cannot be seen stands as its code in brackets."
NO_METADATA = "{}"
OPEN_REASONS = 3
"""So many reasons show their samples at once; the others are folded."""


def page_of(statistics: Statistics, samples: Mapping[str, Any], title: str, note: str) -> Page:
    """Arrange everything that is known on a page.

    Args:
        statistics: statistics.json; what is missing there is left out here.
        samples: samples.json.
        title: Of the page.
        note: Why there are no pictures; empty if there are.

    Returns:
        The page.
    """
    makers = [
        summary_section(statistics, note),
        flow_section(statistics),
        dropped_section(statistics, samples),
        changes_section(statistics, samples),
        spoken_section(statistics, samples, changed_sample),
        duplicates_section(statistics, samples),
        privacy_section(statistics),
        contamination_section(statistics),
        languages_section(statistics),
        sources_section(statistics),
        *card_sections(statistics),
    ]
    return Page(title, [section for section in makers if section is not None])


def summary_section(statistics: Statistics, note: str = "") -> Section:
    """One sentence and one table."""
    blocks: list[Block] = [Paragraph(summary_sentence(statistics)), _summary_table(statistics)]
    if note:
        blocks.append(Paragraph(note))
    return Section("Summary", blocks)


def summary_sentence(statistics: Statistics) -> str:
    """Return how much was read, how much is kept, and what took most away."""
    total = statistics["total"]
    kept, size = total["documents"], total["utf8_bytes"]
    read = _read(statistics)
    parts = [f"{kept:,} documents with {format_bytes(size)} of text are kept"]
    if read is not None:
        parts.append(f" of {read[0]:,} documents with {format_bytes(read[1])} that were read")
        parts += [f" ({format_share(size, read[1])} of the bytes)"] if read[1] else []
    languages, sources = statistics.get("languages", {}), statistics.get("sources", {})
    if languages and sources:
        parts.append(f", in {_count(languages, 'language')} from {_count(sources, 'source')}")
    drops = dropped_reasons(statistics)
    worst = max(drops, key=lambda row: (row[2], row[1]), default=None)
    if worst is None:
        return "".join(parts) + "; nothing was dropped."
    return "".join(parts) + f"; most were dropped as “{worst[0]}” ({worst[2]:,} documents)."


def _count(rows: Mapping[str, Any], name: str) -> str:
    return counted(sum(1 for row in rows.values() if row["documents"]), name)


def _read(statistics: Statistics) -> tuple[int, int] | None:
    flow = statistics.get("flow")
    return (flow[0]["documents"], flow[0]["utf8_bytes"]) if flow else None


def _summary_table(statistics: Statistics) -> Table:
    total, read = statistics["total"], _read(statistics)
    rows = []
    if read is not None:
        rows.append(("read", f"{read[0]:,}", format_bytes(read[1]), ""))
    dropped = sum(statistics.get("rejects", {}).values())
    rows.append(("dropped", f"{dropped:,}", "", ""))
    characters = f"{total['characters']:,}"
    size = format_bytes(total["utf8_bytes"])
    rows.append(("kept", f"{total['documents']:,}", size, characters))
    for split in SPLITS:
        if f"{split}_documents" in total:
            rows.append((f"of these {split}", f"{total[f'{split}_documents']:,}", "", ""))
    return Table(("", "documents", "UTF-8 bytes", "characters"), rows)


def flow_section(statistics: Statistics) -> Section | None:
    """The picture from read to kept, and its numbers."""
    flow = statistics.get("flow")
    if not flow:
        return None
    last = flow[-1]
    description = (
        f"A band from {flow[0]['documents']:,} documents read to {last['documents']:,} kept "
        f"({splits_line(statistics.get('total', {}))}); the table below tells its numbers."
    )
    header = ("step", "documents left", "bytes left", "documents dropped", "taken out of texts")
    rows = [_flow_row(entry) for entry in flow]
    return Section("Flow", [Picture("flow", description), Table(header, rows), *_time(statistics)])


def _flow_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    dropped = sum(counts["documents"] for counts in entry.get("dropped", {}).values())
    removed, added = entry.get("removed_bytes", 0), entry.get("added_bytes", 0)
    return (
        entry["step"],
        f"{entry['documents']:,}",
        format_bytes(entry["utf8_bytes"]),
        f"{dropped:,}" if dropped else "",
        f"{format_bytes(added)} added" if added else format_bytes(removed) if removed else "",
    )


def _time(statistics: Statistics) -> Iterator[Block]:
    seconds = statistics.get("seconds")
    if seconds:
        steps = ", ".join(f"{step} {format_duration(time)}" for step, time in seconds.items())
        engine = statistics.get("engine", "")
        how = f" (engine {engine}, {statistics.get('num_workers', 1)} workers)" if engine else ""
        yield Paragraph(f"Time{how}: {steps}.")


def dropped_reasons(statistics: Statistics) -> list[Drop]:
    """Return reason, step, documents and bytes of everything that was dropped, most first."""
    flow = statistics.get("flow", [])
    rows: list[Drop] = [
        (reason, entry["step"], counts["documents"], counts["utf8_bytes"])
        for entry in flow
        for reason, counts in entry.get("dropped", {}).items()
    ]
    known = {row[0] for row in rows}
    rejects = statistics.get("rejects", {})
    rows += [(reason, "", n, None) for reason, n in rejects.items() if reason not in known]
    return sorted((row for row in rows if row[2]), key=lambda row: (-row[2], row[0], row[1]))


def dropped_section(statistics: Statistics, samples: Mapping[str, Any]) -> Section:
    """What was dropped, why, and texts for each reason."""
    rows = dropped_reasons(statistics)
    blocks: list[Block] = [_reasons_table(statistics, rows)]
    blocks = blocks if rows else [Paragraph("Nothing was dropped.")]
    rejected = samples.get("rejected", {})
    order = list(dict.fromkeys([*(row[0] for row in rows), *sorted(rejected)]))
    blocks += [
        Samples(reason, [rejected_sample(sample) for sample in rejected[reason]], i < OPEN_REASONS)
        for i, reason in enumerate(reason for reason in order if rejected.get(reason))
    ]
    return Section("Dropped", blocks)


def _reasons_table(statistics: Statistics, rows: Sequence[Drop]) -> Table:
    read = _read(statistics)
    total = read[0] if read else statistics["total"]["documents"] + sum(row[2] for row in rows)
    cells = [
        (reason, step, f"{n:,}", format_share(n, total), "" if b is None else format_bytes(b))
        for reason, step, n, b in rows
    ]
    header = ("reason", "step", "documents", "of all read", "bytes")
    return Table(header, cells, text_columns=frozenset({0, 1}))


def rejected_sample(sample: Mapping[str, Any]) -> Sample:
    """Return the beginning of a dropped text, with where it is from."""
    text = sample["text"] + ("…" if len(sample["text"]) >= WINDOW else "")
    return Sample((plain(text),), caption=caption(sample), language=sample.get("language") or "")


def caption(sample: Mapping[str, Any], *more: str) -> str:
    """Return source, language, id and note of a sample in a line."""
    parts = [sample.get(key) for key in ("source", "language", "id", "note")]
    told = (visible(str(part)) for part in (*parts, *more) if part and part != NO_METADATA)
    return " · ".join(told)


def changes_section(statistics: Statistics, samples: Mapping[str, Any]) -> Section | None:
    """What was changed inside texts that stay, with texts before and after."""
    cleaning = {rule: n for rule, n in statistics.get("cleaning", {}).items() if n}
    changed: Sequence[Mapping[str, Any]] = samples.get("changed", [])
    if not cleaning and not changed:
        return None
    blocks: list[Block] = []
    if cleaning:
        rows = sorted(cleaning.items(), key=lambda row: (-row[1], row[0]))
        cells = [(rule, f"{n:,}") for rule, n in rows]
        blocks.append(Table(("rule", "documents changed"), cells))
    if changed:
        texts = [changed_sample(sample) for sample in changed]
        blocks.append(Paragraph(MARKS))
        blocks.append(Samples("Before and after", texts, is_open=True))
    return Section("Changed texts", blocks)


def changed_sample(sample: Mapping[str, Any]) -> Sample:
    """Return a text before and after, what differs marked."""
    before, after = sample["before"], sample["after"]
    same = "same letters in another Unicode form" if looks_the_same(before, after) else ""
    note = "the change lies behind what is shown" if before == after else same
    return Sample(
        mark_changes(before, after),
        labels=("before", "after"),
        caption=caption(sample, note),
        language=sample.get("language") or "",
    )

"""Sections about duplicates, personal data, evaluation items, languages and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hunmin.core.units import format_bytes
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.report.blocks import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Sample,
    Samples,
    Section,
    Table,
)
from hunmin.corpus.report.numbers import counted, format_share
from hunmin.corpus.report.visible import mark_changes, plain, visible
from hunmin.text.languages import language_name

Statistics = Mapping[str, Any]
CLUSTER_WINDOW = 300
"""Texts of clusters are cut to this many characters."""
MAX_DIFFERENCES = 20


def duplicates_section(statistics: Statistics, samples: Mapping[str, Any]) -> Section | None:
    """Clusters of equal and near documents, and lines that stand in many documents."""
    duplicates, lines = statistics.get("duplicates", {}), statistics.get("lines", {})
    sizes = sizes_of_clusters(statistics)
    clusters = samples.get("duplicates", [])
    if not duplicates and not lines and not clusters and set(sizes) <= {"1"}:
        return None
    facts = tuple(_duplicate_facts(duplicates, lines))
    blocks: list[Block] = [Bullets(facts)] if facts else []
    if sizes:
        blocks.append(Picture("duplicates", "Kept documents by the size of their cluster."))
    if clusters:
        blocks.append(Samples("Clusters", [_cluster(cluster) for cluster in clusters], True))
    if lines.get("top"):
        rows = [(visible(row["example"]), f"{row['documents']:,}") for row in lines["top"]]
        header = ("line that stands in many documents", "documents")
        blocks.append(Table(header, rows, foreign_columns=frozenset({0})))
    return Section("Duplicates", blocks)


def sizes_of_clusters(statistics: Statistics) -> Mapping[str, int]:
    """Return kept documents by the size of their cluster; empty if nobody looked."""
    inside = statistics.get("duplicates", {}).get("cluster_sizes")
    sizes: Mapping[str, int] = inside or statistics.get("cluster_sizes", {})
    return sizes


def _duplicate_facts(duplicates: Statistics, lines: Statistics) -> Iterator[str]:
    for kind in ("exact", "near"):
        if kind in duplicates:
            row = duplicates[kind]
            clusters, dropped = counted(row["clusters"], "cluster"), row["dropped"]
            yield f"{kind}: {clusters}, {dropped:,} documents dropped"
    near = duplicates.get("near", {})
    if "candidates" in near:
        yield f"near: {near['candidates']:,} pairs compared, {near['edges']:,} alike"
    if near.get("capped"):
        buckets = counted(len(near["capped"]), "bucket")
        yield f"near: {buckets} too large to compare every pair in them"
    if lines:
        yield (
            f"repeated lines: {lines['removed_characters']:,} characters taken out of "
            f"{lines['documents']:,} documents"
            + (f"; {lines['dropped']:,} documents dropped" if lines.get("dropped") else "")
        )


def _cluster(cluster: Mapping[str, Any]) -> Sample:
    """Different texts of a cluster; what differs from the first is marked."""
    first, *others = dict.fromkeys(cluster["texts"])
    marked = [mark_changes(first, text, window=CLUSTER_WINDOW)[1] for text in others]
    same = "" if others else "; the texts that were looked at are equal here"
    labels = tuple(f"text {number}" for number in range(1, len(others) + 2)) if others else ()
    return Sample((plain(first), *marked), labels, f"{cluster['size']:,} documents{same}")


def privacy_section(statistics: Statistics) -> Section | None:
    """Numbers of masked personal data; never the data."""
    privacy = statistics.get("privacy")
    if not privacy:
        return None
    counts = {name: n for name, n in privacy["counts"].items() if n}
    sentence = (
        f"{privacy['documents']:,} documents held personal data in {sum(counts.values()):,} "
        "places; a typed token stands there now. Only numbers were recorded."
    )
    blocks: list[Block] = [Paragraph(sentence)]
    if counts:
        blocks.append(Picture("privacy", "Places with personal data by type."))
    rows = [
        (source, f"{sum(types.values()):,}", _listed(types))
        for source, types in privacy.get("sources", {}).items()
        if sum(types.values())
    ]
    if rows:
        columns = frozenset({0, 2})
        blocks.append(Table(("source", "places", "by type"), rows, text_columns=columns))
    return Section("Personal data", blocks)


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{name} {n:,}" for name, n in ordered if n)


def contamination_section(statistics: Statistics) -> Section | None:
    """How much of each evaluation set stands in the corpus."""
    report = statistics.get("contamination")
    if not report:
        return None
    sets = report["sets"]
    sentence = (
        f"{report['contaminated_documents']:,} of {report['documents']:,} documents "
        f"({format_share(report['contaminated_documents'], report['documents'])}) hold items of "
        f"{counted(len(sets), 'evaluation set')}."
    )
    header = ("set", "items", "looked for", "found", "share", "documents")
    rows = [_set_row(name, row) for name, row in sets.items()]
    blocks: list[Block] = [Paragraph(sentence)]
    blocks += [Picture("contamination", "Share of items found by set.")] if sets else []
    blocks.append(Table(header, rows))
    blocks += _found_examples(sets)
    return Section("Evaluation items", blocks)


def _set_row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    searched = row["whole"] + row["runs"]
    numbers = (row["items"], searched, row["found_items"])
    share = format_share(row["found_items"], searched)
    return (name, *(f"{n:,}" for n in numbers), share, f"{row['contaminated_documents']:,}")


def _found_examples(sets: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        (name, str(example["item"]), str(example["id"]), format_share(example["share"], 1))
        for name, row in sets.items()
        for example in row.get("examples", [])
    ]
    if rows:
        header = ("set", "item", "found in document", "share of the item")
        yield Table(header, rows, text_columns=frozenset({0, 1, 2}))


def languages_section(statistics: Statistics) -> Section | None:
    """Kept and dropped by language, lengths, what was identified, scripts."""
    languages = statistics.get("languages")
    if not languages:
        return None
    blocks: list[Block] = [Picture("languages", "Bytes kept and share dropped by language.")]
    blocks.append(rows_table("language", languages, names=True))
    if statistics.get("lengths"):
        blocks.append(Picture("lengths", "Histograms of the lengths of documents by language."))
    if statistics.get("languages_found"):
        blocks += _identified(statistics["languages_found"])
    scripts = statistics.get("scripts")
    if scripts:
        blocks.append(_scripts(scripts))
    return Section("Languages", blocks)


def rows_table(title: str, rows: Mapping[str, Any], *, names: bool = False) -> Table:
    """Return a table of documents, splits, characters, bytes and drops, largest first.

    Args:
        title: What the rows are.
        rows: The `languages` or `sources` of the statistics.
        names: Write the English name behind a language tag.

    Returns:
        The table.
    """
    splits = [s for s in SPLITS if _has(rows, f"{s}_documents")]
    header = (title, "documents", *splits, "characters", "UTF-8 bytes", "dropped", "share dropped")
    ordered = sorted(rows.items(), key=lambda row: (-row[1]["utf8_bytes"], row[0]))
    cells = [_row(_name(name) if names else name, row, splits) for name, row in ordered]
    return Table(header, cells)


def _has(rows: Mapping[str, Any], key: str) -> bool:
    return any(key in row for row in rows.values())


def _name(tag: str) -> str:
    name = language_name(tag)
    return tag if name == tag else f"{tag} · {name}"


def _row(name: str, row: Mapping[str, Any], splits: Sequence[str]) -> tuple[str, ...]:
    dropped = sum(row.get("rejects", {}).values())
    counts = [row["documents"], *(row.get(f"{split}_documents", 0) for split in splits)]
    counts += [row["characters"], row["utf8_bytes"], dropped]
    share = format_share(dropped, dropped + row["documents"])
    return (name, *(f"{count:,}" for count in counts), share)


def _identified(found: Mapping[str, Mapping[str, int]]) -> Iterator[Block]:
    yield Picture("identified", "Languages identified in documents of each declared language.")
    pairs = [
        (declared, other, n, n / max(sum(row.values()), 1))
        for declared, row in found.items()
        for other, n in row.items()
        if other != declared and n
    ]
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    rows = [(a, b, f"{n:,}", format_share(s, 1)) for a, b, n, s in pairs[:MAX_DIFFERENCES]]
    if rows:
        header = ("declared", "identified", "documents", "of the declared")
        yield Table(header, rows, text_columns=frozenset({0, 1}))


def _scripts(scripts: Mapping[str, int]) -> Table:
    total = sum(scripts.values())
    ordered = sorted(scripts.items(), key=lambda row: (-row[1], row[0]))
    rows = [(code, f"{n:,}", format_share(n, total)) for code, n in ordered if n]
    return Table(("script", "characters", "share"), rows)


def sources_section(statistics: Statistics) -> Section | None:
    """Kept and dropped by source."""
    sources = statistics.get("sources")
    if not sources:
        return None
    picture = Picture("sources", "Bytes kept and share dropped by source.")
    total = sum(row["utf8_bytes"] for row in sources.values())
    largest = max(sources, key=lambda name: (sources[name]["utf8_bytes"], name))
    size = sources[largest]["utf8_bytes"]
    sentence = f"The largest source is {largest}: {format_bytes(size)}, "
    sentence += f"{format_share(size, total)} of the text."
    return Section("Sources", [picture, Paragraph(sentence), rows_table("source", sources)])

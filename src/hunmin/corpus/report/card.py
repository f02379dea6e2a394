"""The data card: what the corpus is, where it is from, what it may be used for, where it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from hunmin.core.units import format_bytes
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.report.blocks import Block, Bullets, Code, Paragraph, Section, Table
from hunmin.corpus.report.groups import rows_table
from hunmin.corpus.report.limits import known_limits
from hunmin.corpus.report.markdown import escape, sections_to_markdown
from hunmin.corpus.report.numbers import format_share
from hunmin.text.languages import UNDETERMINED, base_language

Statistics = Mapping[str, Any]
UNKNOWN = "unknown"
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
LOADING = """\
from datasets import load_dataset

documents = load_dataset("path/of/this/folder")"""
COLUMNS = (
    "id: hash of source and key; the same record has the same id in every build",
    "text: the document, in Unicode form NFC",
    "language: BCP 47 tag",
    "source, license: where it is from and what its source says about its use",
    "group: documents of one group are on the same side of the split",
    "meta: what else the source told, a JSON object as a string",
    "copies: documents that this one stands for, itself and the duplicates that were dropped; "
    "a weight for sampling",
)
USE = (
    "For training and evaluating language models and tokenizers. It is text as people wrote it: "
    "opinions, errors and prejudice included. It is no source of facts, and not for learning "
    "about single persons."
)
CITING = (
    "Name the sources in the table of licences together with their licences, as each asks for, "
    "and the version of hunmin that manifest.json tells; that file also holds the recipe and the "
    "checksum of every file."
)


def data_card(statistics: Statistics, *, title: str = "Documents") -> str:
    """Write the card that lies beside the documents as README.md.

    Args:
        statistics: statistics.json.
        title: Its heading.

    Returns:
        Markdown with the front matter of a dataset card: languages, licences, size, and which
        files are which split, so that `datasets.load_dataset` reads the folder.
    """
    sections = [
        _contents(statistics),
        *_row_sections(statistics),
        *card_sections(statistics),
    ]
    parts = [
        "---\n" + yaml.safe_dump(front_matter(statistics, title), sort_keys=False) + "---",
        f"# {escape(title)}",
        *sections_to_markdown(sections, has_pictures=False),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(statistics: Statistics, title: str) -> dict[str, Any]:
    """Return the fields of a dataset card; those that nothing is known about are left out.

    Args:
        statistics: statistics.json.
        title: Shown by the Hub.

    Returns:
        Plain values for YAML.

    Source:
        The Hub's dataset card specification: `language` takes ISO 639 codes, longer tags go to
        `language_bcp47`.
    """
    languages = statistics.get("languages", {})
    tags = sorted(t for t, row in languages.items() if t != UNDETERMINED and row["documents"])
    longer = [tag for tag in tags if base_language(tag) != tag]
    fields = {
        "pretty_name": title,
        "language": sorted({base_language(tag) for tag in tags}),
        "language_bcp47": longer,
        "license": sorted({hub_license(name) for name in statistics.get("licenses", {})}),
        "size_categories": [size_category(statistics["total"]["documents"])],
        "task_categories": ["text-generation"],
        "configs": [{"config_name": "default", "data_files": _data_files(statistics["total"])}],
    }
    return {name: value for name, value in fields.items() if value}


def _data_files(total: Mapping[str, Any]) -> list[dict[str, str]]:
    """The parts of each split that has documents: an empty folder would be an error there."""
    return [
        {"split": split, "path": f"{split}/*.parquet"}
        for split in SPLITS
        if total.get(f"{split}_documents")
    ]


def size_category(documents: int) -> str:
    """Return the Hub's name of a number of documents, such as `10K<n<100K`."""
    limits = [10**power for power in range(3, 13)]
    place = sum(documents >= limit for limit in limits)
    if place == 0:
        return f"n<{_SIZES[0]}"
    return f"{_SIZES[place - 1]}<n<{_SIZES[place]}" if place < len(_SIZES) else f"n>{_SIZES[-1]}"


@cache
def _hub_licenses() -> frozenset[str]:
    text = resources.files("hunmin.corpus.report").joinpath("data/licenses.tsv").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def hub_license(name: str) -> str:
    """Return the Hub's identifier of a licence; `other` for one that it does not know.

    Args:
        name: As the recipe writes it: `CC0-1.0`, `CC BY-SA 4.0`, `GPL-3.0-or-later`, `unknown`.

    Returns:
        The identifier in lower case.
    """
    lowered = "-".join(re.split(r"[\s_-]+", name.strip().lower()))
    plain = re.sub(r"(-or-later|-only|\+)$", "", lowered)
    return plain if plain in _hub_licenses() else "other"


def _contents(statistics: Statistics) -> Section:
    total = statistics["total"]
    sentence = (
        f"{total['documents']:,} documents, {total['characters']:,} characters, "
        f"{total['utf8_bytes']:,} bytes of UTF-8."
    )
    counts = [(split, total[f"{split}_documents"]) for split in SPLITS if _knows(total, split)]
    held = ", ".join(f"{split}/ {count:,} documents" for split, count in counts)
    folders = (
        f"Parquet parts: {held}. No group is on two sides. rejects/ holds every record that was "
        "dropped, with its reason. report.html and report.md show what happened on the way."
    )
    blocks: list[Block] = [Paragraph(sentence), Paragraph(folders), Code(LOADING)]
    return Section("What is here", [*blocks, Paragraph("Columns:"), Bullets(COLUMNS)])


def _knows(total: Mapping[str, Any], split: str) -> bool:
    return f"{split}_documents" in total


def _row_sections(statistics: Statistics) -> Iterator[Section]:
    if statistics.get("languages"):
        yield Section("By language", [rows_table("language", statistics["languages"], names=True)])
    if statistics.get("sources"):
        yield Section("By source", [rows_table("source", statistics["sources"])])
    rejects = statistics.get("rejects", {})
    rows = sorted(rejects.items(), key=lambda row: (-row[1], row[0]))
    table = Table(("reason", "records"), [(reason, f"{n:,}") for reason, n in rows])
    yield Section("Dropped", [table if rows else Paragraph("Nothing.")])


def card_sections(statistics: Statistics) -> list[Section]:
    """Return the sections that card and report share: licences, use, citing, limits."""
    licenses = statistics.get("licenses", {})
    sections = [Section("Licences", list(_license_blocks(licenses)))] if licenses else []
    return [
        *sections,
        Section("Intended use", [Paragraph(USE)]),
        Section("Citing", [Paragraph(CITING)]),
        Section("Known limits", [Bullets(tuple(known_limits(statistics)))]),
    ]


def _license_blocks(licenses: Mapping[str, Any]) -> Iterator[Block]:
    total = sum(row["utf8_bytes"] for row in licenses.values())
    ordered = sorted(licenses.items(), key=lambda row: (-row[1]["utf8_bytes"], row[0]))
    rows = [
        (
            name,
            f"{row['documents']:,}",
            format_bytes(row["utf8_bytes"]),
            format_share(row["utf8_bytes"], total),
            ", ".join(row["sources"]),
        )
        for name, row in ordered
    ]
    header = ("licence", "documents", "bytes", "share", "sources")
    yield Table(header, rows, text_columns=frozenset({0, 4}))
    yield Paragraph(
        "Licences are as the recipe declares them for each source; nobody checked single documents."
    )

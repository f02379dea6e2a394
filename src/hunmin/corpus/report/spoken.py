"""The section about documents in spoken form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hunmin.corpus.report.blocks import Block, Paragraph, Sample, Samples, Section, Table
from hunmin.corpus.report.numbers import format_share
from hunmin.corpus.spoken import FORMS, SPOKEN, UNSPEAKABLE
from hunmin.text.languages import language_name

Statistics = Mapping[str, Any]
HELD_OUT = ("validation", "test")


def spoken_section(
    statistics: Statistics,
    samples: Mapping[str, Any],
    show: Callable[[Mapping[str, Any]], Sample],
) -> Section | None:
    """How many documents of each language have which form.

    Args:
        statistics: statistics.json.
        samples: samples.json.
        show: Shows a text before and after.

    Returns:
        The section; None if nothing was to be spoken.
    """
    languages = statistics.get("spoken")
    if not languages:
        return None
    blocks: list[Block] = [Paragraph(_sentence(languages)), _table(languages)]
    if samples.get("spoken"):
        texts = [show(sample) for sample in samples["spoken"]]
        blocks.append(Samples("Written and spoken", texts, is_open=True))
    return Section("Spoken form", blocks)


def _sentence(languages: Statistics) -> str:
    sizes = [_count(languages, forms, "train", "utf8_bytes") for forms in ((SPOKEN,), FORMS)]
    numbers = [_count(languages, forms, "train", "documents") for forms in ((SPOKEN,), FORMS)]
    held_out = sum(_count(languages, (SPOKEN,), split, "documents") for split in HELD_OUT)
    unspeakable = _count(languages, (UNSPEAKABLE,), None, "documents")
    return (
        f"{numbers[0]:,} of {numbers[1]:,} documents of the training split are in spoken form "
        f"({format_share(*numbers)} of the documents, {format_share(*sizes)} of the bytes). "
        f"What is held out is there in both forms ({held_out:,} documents in spoken form). "
        f"{unspeakable:,} documents stay written, since no word would be left of them or a slot "
        "could not be found again."
    )


def _count(languages: Statistics, forms: tuple[str, ...], split: str | None, column: str) -> int:
    return sum(
        counts.get(column, 0)
        for row in languages.values()
        for form in forms
        for side, counts in row.get(form, {}).items()
        if split is None or side == split
    )


def _table(languages: Statistics) -> Table:
    header = ("language", *(f"train, {form}" for form in FORMS), "held out, spoken")
    rows = []
    for tag in sorted(languages):
        one = {tag: languages[tag]}
        counts = [_count(one, (form,), "train", "documents") for form in FORMS]
        counts.append(sum(_count(one, (SPOKEN,), split, "documents") for split in HELD_OUT))
        name = language_name(tag)
        shown = tag if name == tag else f"{tag} · {name}"
        rows.append((shown, *(f"{count:,}" for count in counts)))
    return Table(header, rows)

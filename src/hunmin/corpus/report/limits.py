"""Known limits of a corpus, read off its statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hunmin.corpus.report.numbers import counted, format_share
from hunmin.text.languages import UNDETERMINED, base_language

Statistics = Mapping[str, Any]
UNKNOWN_LICENSE = "unknown"
SMALL_DOCUMENTS = 1000
DOMINANT_SHARE = 0.5
MAX_NAMES = 12


def known_limits(statistics: Statistics) -> Iterator[str]:
    """Tell what a user of the corpus should know.

    Args:
        statistics: statistics.json; a missing key says that nobody looked.

    Yields:
        Sentences, the legal ones first.
    """
    yield from _licenses(statistics.get("licenses"))
    yield from _privacy(statistics.get("privacy"))
    yield from _evaluation(statistics.get("contamination"))
    yield from _duplicates(statistics.get("duplicates"))
    yield from _balance(statistics)
    yield from _languages(statistics)


def names(items: list[str]) -> str:
    """Return names in a row, the first MAX_NAMES of them."""
    shown = ", ".join(items[:MAX_NAMES])
    return shown + (f" and {len(items) - MAX_NAMES} more" if len(items) > MAX_NAMES else "")


def _licenses(licenses: Statistics | None) -> Iterator[str]:
    if not licenses:
        yield "Licences were not recorded."
        return
    row = licenses.get(UNKNOWN_LICENSE)
    if row:
        total = sum(each["utf8_bytes"] for each in licenses.values())
        share, sources = format_share(row["utf8_bytes"], total), row["sources"]
        have = "has" if len(sources) == 1 else "have"
        told = f"{counted(len(sources), 'source')} {have} licence 'unknown' ({names(sources)})"
        yield f"{told}: {share} of the text. Find out before you pass it on."


def _privacy(privacy: Statistics | None) -> Iterator[str]:
    if not privacy:
        yield "No personal data were masked."
    else:
        yield (
            "Personal data were found by their format (numbers, addresses of mail, cards …): "
            "names, postal addresses and what people tell about themselves are still there."
        )


def _evaluation(contamination: Statistics | None) -> Iterator[str]:
    if not contamination:
        yield (
            "No evaluation set was looked for: scores of models trained on this text may be too "
            "good on public tests."
        )
        return
    sets = contamination["sets"]
    unseen = sum(row["too_short"] + row["template"] for row in sets.values())
    looked = f"Evaluation items were looked for in {counted(len(sets), 'set')} only"
    looked += f" ({names(list(sets))})" if sets else ""
    missed = f"; {unseen:,} of their items are too short to be looked for" if unseen else ""
    yield f"{looked}{missed}. Translations and paraphrases are not found."


def _duplicates(duplicates: Statistics | None) -> Iterator[str]:
    near = (duplicates or {}).get("near")
    if near is None:
        yield "Near duplicates were not looked for."
    elif near.get("capped"):
        yield (
            "Not every pair was compared where too many documents looked alike "
            f"({counted(len(near['capped']), 'bucket')}): some near duplicates may remain."
        )


def _balance(statistics: Statistics) -> Iterator[str]:
    for kind in ("sources", "languages"):
        rows = statistics.get(kind, {})
        total = sum(row["utf8_bytes"] for row in rows.values())
        for name, row in rows.items():
            if len(rows) > 1 and row["utf8_bytes"] > DOMINANT_SHARE * total:
                share = format_share(row["utf8_bytes"], total)
                yield f"One of {len(rows)} {kind}, {name}, makes {share} of the text."


def _languages(statistics: Statistics) -> Iterator[str]:
    languages = {
        tag: row for tag, row in statistics.get("languages", {}).items() if row["documents"]
    }
    small = [tag for tag, row in languages.items() if row["documents"] < SMALL_DOCUMENTS]
    if small:
        yield f"Fewer than {SMALL_DOCUMENTS:,} documents in {names(small)}."
    unheld = [tag for tag, row in languages.items() if not row.get("validation_documents")]
    if unheld:
        yield f"Nothing is held out for validation in {names(unheld)}."
    if languages.get(UNDETERMINED, {}).get("documents"):
        count = languages[UNDETERMINED]["documents"]
        yield f"The language of {count:,} documents is not known ('{UNDETERMINED}')."
    yield from _disagreement(statistics.get("languages_found", {}))


def _disagreement(found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    pairs = [
        (count, base_language(declared) == base_language(other))
        for declared, row in found.items()
        if declared != UNDETERMINED
        for other, count in row.items()
    ]
    total, other = sum(n for n, _ in pairs), sum(n for n, is_equal in pairs if not is_equal)
    if other:
        yield (
            f"In {format_share(other, total)} of the documents another language was identified "
            "than their source declares; identification errs, above all on short texts."
        )

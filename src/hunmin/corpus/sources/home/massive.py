"""Home-assistant documents as JSON lines in the format of the MASSIVE data set."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from hunmin.corpus.documents import read_parts

_COLUMNS = ("id", "text", "language", "source", "meta")
_PARTITIONS = {"train": "train", "validation": "dev"}


def annotate(text: str, slots: list[dict[str, Any]]) -> str:
    """Write the slots into an utterance.

    Args:
        text: The utterance.
        slots: Objects with `slot`, `start` and `end` (characters), in order, not overlapping.

    Returns:
        The utterance with each value as `[slot : value]`.
    """
    parts: list[str] = []
    done = 0
    for slot in slots:
        value = text[slot["start"] : slot["end"]]
        parts += [text[done : slot["start"]], f"[{slot['slot']} : {value}]"]
        done = slot["end"]
    return "".join([*parts, text[done:]])


def massive_rows(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the home-assistant documents of a documents folder as MASSIVE records.

    Args:
        folder: A documents artifact or its draft.

    Yields:
        id, locale, partition (train or dev), scenario, intent, utt, annot_utt.
    """
    for split, partition in _PARTITIONS.items():
        for batch in read_parts(folder / split, _COLUMNS):
            for row in batch.to_pylist():
                if row["source"] != "home-assistant":
                    continue
                meta = json.loads(row["meta"])
                yield {
                    "id": row["id"],
                    "locale": row["language"],
                    "partition": partition,
                    "scenario": meta["scenario"],
                    "intent": meta["intent"],
                    "utt": row["text"],
                    "annot_utt": annotate(row["text"], meta["slots"]),
                }


def write_massive(folder: Path) -> None:
    """Write massive/LOCALE.jsonl for every language of the home-assistant documents.

    Args:
        folder: A documents artifact's draft, its parts finished.
    """
    target = folder / "massive"
    target.mkdir()
    files: dict[str, TextIO] = {}
    with contextlib.ExitStack() as stack:
        for row in massive_rows(folder):
            locale = row["locale"]
            if locale not in files:
                path = target / f"{locale}.jsonl"
                files[locale] = stack.enter_context(path.open("w", encoding="utf-8"))
            files[locale].write(json.dumps(row, ensure_ascii=False) + "\n")

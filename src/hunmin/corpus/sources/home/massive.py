"""Home-assistant documents as JSON lines in the format of the MASSIVE data set."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from hunmin.corpus.documents import read_parts
from hunmin.text.annotations import annotate

_COLUMNS = ("id", "text", "language", "source", "meta")
_PARTITIONS = {"train": "train", "validation": "dev", "test": "test"}


def massive_rows(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the home-assistant documents of a documents folder as MASSIVE records.

    Args:
        folder: A documents artifact or its draft.

    Yields:
        id, locale, partition (train, dev or test), scenario, intent, utt, annot_utt.
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
                    "annot_utt": annotate(row["text"], _places(meta["slots"])),
                }


def _places(slots: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(slot["slot"], slot["start"], slot["end"]) for slot in slots]


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

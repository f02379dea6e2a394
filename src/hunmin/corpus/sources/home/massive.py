"""Home-assistant documents as JSON lines in the format of the MASSIVE data set."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow.parquet as pq

from hunmin.corpus.spoken import speak
from hunmin.text.annotations import annotate

SOURCE = "home-assistant"
_COLUMNS = ("id", "text", "language", "source", "group", "meta")
_PARTITIONS = {"train": "train", "validation": "dev", "test": "test"}
Form = Literal["written", "spoken"]


def massive_rows(
    files: Mapping[str, Sequence[Path]], moved: Collection[str] = (), *, form: Form = "written"
) -> Iterator[dict[str, str]]:
    """Yield the home-assistant documents among others as MASSIVE records.

    Args:
        files: Parquet files of documents by split, none of them spoken.
        moved: Groups of the training split that are held out for validation all the same.
        form: Of the utterances; one whose slots cannot be found in its spoken form stays written.

    Yields:
        id, locale, partition (train, dev or test), scenario, intent, utt, annot_utt.
    """
    for split, partition in _PARTITIONS.items():
        for row in _documents(files.get(split, ())):
            is_moved = split == "train" and row["group"] in moved
            yield _massive_row(row, "dev" if is_moved else partition, form)


def _documents(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(_COLUMNS)):
                yield from (row for row in batch.to_pylist() if row["source"] == SOURCE)


def _massive_row(row: Mapping[str, Any], partition: str, form: Form) -> dict[str, str]:
    text, meta = row["text"], json.loads(row["meta"])
    if form == "spoken":
        text, meta = speak(text, row["language"], meta) or (text, meta)
    slots = [(slot["slot"], slot["start"], slot["end"]) for slot in meta["slots"]]
    return {
        "id": row["id"],
        "locale": row["language"],
        "partition": partition,
        "scenario": meta["scenario"],
        "intent": meta["intent"],
        "utt": text,
        "annot_utt": annotate(text, slots),
    }


def write_massive(
    folder: Path,
    files: Mapping[str, Sequence[Path]],
    moved: Collection[str] = (),
    *,
    form: Form = "written",
) -> None:
    """Write massive/LOCALE.jsonl for every language of the home-assistant documents.

    Args:
        folder: A documents artifact's draft.
        files: See `massive_rows`.
        moved: See `massive_rows`.
        form: See `massive_rows`.
    """
    target = folder / "massive"
    target.mkdir()
    handles: dict[str, TextIO] = {}
    with contextlib.ExitStack() as stack:
        for row in massive_rows(files, moved, form=form):
            locale = row["locale"]
            if locale not in handles:
                path = target / f"{locale}.jsonl"
                handles[locale] = stack.enter_context(path.open("w", encoding="utf-8"))
            handles[locale].write(json.dumps(row, ensure_ascii=False) + "\n")

"""The labelled utterances that the networks of an export are asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hunmin.adapt.nlu.massive_files import check_locale, read_folder
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import EmptyCorpusError, InputError, suggest
from hunmin.serving.export.spec import ExportSpec


def read_utterances(spec: ExportSpec, folders: Sequence[Path]) -> list[Utterance]:
    """Read the utterances to compare on.

    Args:
        spec: Partition, locales and number.
        folders: Of LOCALE.jsonl files, used unless `spec` names some.

    Returns:
        The utterances by locale; of too many, evenly spaced ones.

    Raises:
        InputError: No folder is named, or a record is malformed.
        MissingInputError: A folder has no data, or a locale has no file.
        EmptyCorpusError: There is no utterance of the partition.
    """
    folders = spec.data or folders
    if not folders:
        raise InputError(
            "no labelled utterances are named to compare on",
            where="export.data",
            allowed="folders of LOCALE.jsonl files",
            hint="name those that the model was trained with",
        )
    found = _by_locale(folders)
    for locale in spec.locales:
        check_locale(locale, found, *folders)
    chosen = [
        one
        for locale in spec.locales or sorted(found)
        for one in found[locale]
        if one.partition == spec.partition
    ]
    if not chosen:
        present = sorted({one.partition for rows in found.values() for one in rows})
        raise EmptyCorpusError(
            f"no utterance of the partition '{spec.partition}'.{suggest(spec.partition, present)}",
            where=", ".join(map(str, folders)),
            allowed=", ".join(present),
            hint="choose a partition that the data have",
        )
    return evenly(chosen, spec.max_utterances)


def _by_locale(folders: Sequence[Path]) -> dict[str, list[Utterance]]:
    found: dict[str, list[Utterance]] = {}
    for folder in folders:
        for locale, rows in read_folder(folder).items():
            found.setdefault(locale, []).extend(rows)
    return found


def evenly(utterances: Sequence[Utterance], number: int) -> list[Utterance]:
    """Return some utterances, evenly spaced, so that every locale keeps its share."""
    step = max(1.0, len(utterances) / number)
    places = (np.arange(min(number, len(utterances))) * step).astype(np.int64)
    return [utterances[place] for place in places.tolist()]

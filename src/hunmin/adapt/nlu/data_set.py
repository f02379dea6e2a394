"""Which utterances a fine-tuning learns, chooses by and is tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hunmin.adapt.nlu.massive_files import check_locale, locale_files, read_file
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.hashing import seed_from
from hunmin.core.logs import get_logger

logger = get_logger(__name__)

_NO_LOCALE = "no locale"
_WAYS_OUT = {
    "train_locales": "name locales that have some with --train (nlu.train_locales)",
    "selection_locales": "name locales that have some, and shall choose the epoch, with --select "
    "(nlu.selection_locales)",
    "test_locales": "test another partition with test_partition={other} (nlu.test_partition)",
}


@dataclass(frozen=True, slots=True)
class DataSet:
    """Utterances by what they are for.

    Args:
        train: What is learnt.
        dev: What chooses the epoch.
        test: What is reported.
        train_locales: Locales of `train`.
        selection_locales: Locales of `dev`.
        test_locales: Locales of `test`.
    """

    train: list[Utterance]
    dev: list[Utterance]
    test: list[Utterance]
    train_locales: tuple[str, ...]
    selection_locales: tuple[str, ...]
    test_locales: tuple[str, ...]

    @property
    def zero_shot_locales(self) -> tuple[str, ...]:
        """Tested locales of which no label was seen, neither to learn nor to choose."""
        seen = {*self.train_locales, *self.selection_locales}
        return tuple(name for name in self.test_locales if name not in seen)


def read_data(spec: NluSpec) -> DataSet:
    """Read the folders that a section names.

    Args:
        spec: Folders, locales and the partition that is tested.

    Returns:
        The utterances.

    Raises:
        InputError: The section names no folder, or a record is malformed.
        MissingInputError: A folder has no data, or a locale has no file.
        EmptyCorpusError: A locale has no utterance of the partition it is wanted for.
    """
    if not spec.data:
        raise InputError(
            "no labelled utterances are named",
            where="nlu.data",
            allowed="folders of LOCALE.jsonl files",
            hint="`hunmin samples --out FOLDER` makes some (FOLDER/massive), "
            "`hunmin finetune data` reads other sets",
        )
    files = _files(spec.data)
    named = {*spec.train_locales, *spec.selection_locales, *spec.test_locales}
    for locale in sorted(named):
        check_locale(locale, files, *spec.data)
    needs_all = not spec.train_locales or not spec.test_locales
    wanted = sorted(files) if needs_all else sorted(named)
    found = {
        locale: [made for path in files[locale] for made in read_file(path)] for locale in wanted
    }
    train, train_locales = _select(found, spec.train_locales, "train", "train_locales")
    train = _draw(train, spec.max_train_utterances, spec.seed)
    selection = spec.selection_locales or _with_dev(found, train_locales)
    dev, selection_locales = _select(found, selection, "dev", "selection_locales")
    test, test_locales = _select(found, spec.test_locales, spec.test_partition, "test_locales")
    return DataSet(train, dev, test, train_locales, selection_locales, test_locales)


def _files(folders: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for locale, path in locale_files(folder).items():
            found.setdefault(locale, []).append(path)
    return found


def _select(
    found: Mapping[str, list[Utterance]], locales: Sequence[str], partition: str, key: str
) -> tuple[list[Utterance], tuple[str, ...]]:
    """Return the utterances of a partition; locales that were not named may have none."""
    chosen: list[Utterance] = []
    present: list[str] = []
    for locale in locales or found:
        rows = [made for made in found[locale] if made.partition == partition]
        if not rows and locales:
            raise _without_partition(locale, found[locale], partition, key)
        chosen += rows
        present += [locale] if rows else []
    if not chosen:
        every = [made for rows in found.values() for made in rows]
        raise _without_partition(_NO_LOCALE, every, partition, key)
    return chosen, tuple(present)


def _with_dev(found: Mapping[str, list[Utterance]], locales: tuple[str, ...]) -> tuple[str, ...]:
    """Return those that have a dev partition: of a small language all may be for training."""
    able = tuple(name for name in locales if any(made.partition == "dev" for made in found[name]))
    if 0 < len(able) < len(locales):
        without = ", ".join(name for name in locales if name not in able)
        logger.info("no utterance to choose the epoch by: %s; the other locales choose it", without)
    return able or locales


def _draw(rows: list[Utterance], most: int | None, seed: int) -> list[Utterance]:
    """Keep at most so many utterances of each locale, in their order."""
    if most is None:
        return rows
    kept: list[Utterance] = []
    for locale in dict.fromkeys(made.locale for made in rows):
        some = [made for made in rows if made.locale == locale]
        generator = np.random.default_rng(seed_from(seed, "draw", locale))
        chosen = np.sort(generator.permutation(len(some))[:most])
        kept += [some[number] for number in chosen]
    return kept


def _without_partition(
    locale: str, rows: Sequence[Utterance], partition: str, key: str
) -> EmptyCorpusError:
    present = sorted({made.partition for made in rows})
    leave = "" if locale == _NO_LOCALE else "leave the locale out, or "
    return EmptyCorpusError(
        f"{locale} has {'an' if locale == _NO_LOCALE else 'no'} utterance in the partition "
        f"'{partition}'",
        where=f"nlu.{key}",
        given=f"partitions {', '.join(present)}",
        allowed=f"at least one utterance with partition: {partition}",
        hint=f"{leave}{_WAYS_OUT[key].format(other='dev' if 'dev' in present else present[0])}, "
        "or add utterances of this partition",
    )

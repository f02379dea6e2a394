"""Which data sets can be read, by which files they are known, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from hunmin.adapt.nlu.readers.nlupp import NLUPP_NAME, read_nlupp
from hunmin.adapt.nlu.readers.records import DataFile, Draft
from hunmin.adapt.nlu.readers.slurp import SLURP_NAME, read_slurp
from hunmin.adapt.nlu.readers.xsid import XSID_NAME, read_xsid
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import InputError, MissingInputError

DataFormat = Literal["xsid", "slurp", "nlupp"]
DATA_FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)


@dataclass(frozen=True)
class _Format:
    pattern: re.Pattern[str]
    """Matches FOLDER/NAME of a file of the data set."""
    example: str
    read: Callable[[Sequence[DataFile], int], Iterator[Draft]]
    globs: tuple[str, ...] = ("*",)
    """Where in a folder its files lie."""


def _one_by_one(
    read: Callable[[Path, re.Match[str]], Iterator[Draft]],
) -> Callable[[Sequence[DataFile], int], Iterator[Draft]]:
    """Read files that know nothing of each other, and of no fold."""
    return lambda files, fold: chain.from_iterable(read(path, match) for path, match in files)


_FORMATS: dict[DataFormat, _Format] = {
    "xsid": _Format(XSID_NAME, "de.valid.conll or en.train.jsonl", _one_by_one(read_xsid)),
    "slurp": _Format(
        SLURP_NAME, "train.jsonl, devel.jsonl and test.jsonl", _one_by_one(read_slurp)
    ),
    "nlupp": _Format(
        NLUPP_NAME, "banking.jsonl or banking/fold0.json", read_nlupp, ("*", "*/fold*.json*")
    ),
}


def read_data_set(
    folder: Path, kind: DataFormat, *, fold: int = 0, skipped: list[InputError] | None = None
) -> list[Utterance]:
    """Read a data set in its own form.

    Args:
        folder: Its files, packed or not; or one of them.
        kind: `xsid` for LOCALE.PART.conll and LOCALE.train….jsonl; `slurp` for PART.jsonl;
            `nlupp` for DOMAIN.jsonl and DOMAIN/foldN.json.
        fold: Of nlupp, the fold that is tested.
        skipped: Takes what is wrong with records that are left out; None to refuse them.

    Returns:
        Utterances of all files, by name of file; partitions are train, dev and test.

    Raises:
        MissingInputError: There is no such file.
        InputError: A record is malformed; the message names file and line.
    """
    files = _files(folder, kind)
    made: list[Utterance] = []
    for draft in _FORMATS[kind].read(files, fold):
        try:
            made.append(draft())
        except InputError as error:
            if skipped is None:
                raise _skippable(error) from error
            skipped.append(error)
    return made


def _skippable(error: InputError) -> InputError:
    """Say of a malformed record, besides what is wrong, that it can be left out."""
    return type(error)(
        error.problem,
        where=error.where,
        given=error.given,
        allowed=error.allowed,
        hint=f"{error.hint}; or leave all such records out with --skip-malformed",
    )


def _files(folder: Path, kind: DataFormat) -> list[DataFile]:
    form = _FORMATS[kind]
    below = {path for glob in form.globs for path in folder.glob(glob)}
    paths = sorted(path for path in below | {folder} if path.is_file())
    named = [(path, form.pattern.match(f"{path.parent.name}/{path.name}")) for path in paths]
    found = [(path, match) for path, match in named if match is not None]
    if not found:
        raise MissingInputError(
            f"no file of {kind} in this folder" if folder.is_dir() else f"no file of {kind}",
            where=folder,
            allowed=f"files such as {form.example}",
            hint="check the path",
        )
    return found


def count_unseen_intents(utterances: Sequence[Utterance]) -> int:
    """Return how many utterances of the test have an intent that no train utterance has.

    Args:
        utterances: Of all partitions.

    Returns:
        A count; a model with one label an utterance gets all of them wrong.
    """
    seen = {made.intent for made in utterances if made.partition == "train"}
    return sum(made.partition == "test" and made.intent not in seen for made in utterances)

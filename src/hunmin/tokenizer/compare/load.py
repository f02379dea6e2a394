"""From folders to subjects, each with a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hunmin.core.errors import ArtifactKindError, InputError, suggest
from hunmin.tokenizer.compare.library import LibrarySubject
from hunmin.tokenizer.compare.subject import Subject
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer


class NamedPath(NamedTuple):
    """A folder or file and what it is called."""

    name: str
    """What it is called in the report."""
    path: Path
    """Where it lies."""


def load_subject(path: Path, name: str | None = None) -> Subject:
    """Open any folder with a tokenizer.

    Args:
        path: A tokenizer artifact, a model folder, or any folder with `tokenizer.json`.
        name: What it is called in the report; the folder's name by default.

    Returns:
        The tokenizer as a subject.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no tokenizer.
        CorruptArtifactError: The tokenizer cannot be read.
    """
    name = name or path.absolute().name
    definition, ours = read_definition(path)
    if ours is None:
        return LibrarySubject(name, definition)
    return LibrarySubject(name, definition, bulk=ours.encode_batch, cutter=ours.cutter)


def read_definition(path: Path) -> tuple[str, TextTokenizer | None]:
    """Read any folder with a tokenizer.

    Args:
        path: A tokenizer artifact, a model folder, or any folder with `tokenizer.json`.

    Returns:
        Content of `tokenizer.json`, and the tokenizer as hunmin uses it for training; None if only
        the `tokenizers` library understands it.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no tokenizer.
        CorruptArtifactError: The tokenizer cannot be read.
    """
    try:
        ours = load_tokenizer(path)
    except ArtifactKindError:
        if not (path / "tokenizer.json").is_file():
            raise
        return (path / "tokenizer.json").read_text(encoding="utf-8"), None
    return ours.definition, ours


def name_paths(written: Sequence[str]) -> list[NamedPath]:
    """Give every folder a name.

    Args:
        written: `FOLDER` or `NAME=FOLDER`.

    Returns:
        Names and folders; a folder without a name gets the last parts of its path that tell it
        from the others.

    Raises:
        InputError: Two have one name.
    """
    pairs = [split_name(text) for text in written]
    own = [NamedPath(name or "", Path(path)) for name, path in pairs]
    unnamed = [pair.path for pair in own if not pair.name]
    named = [NamedPath(pair.name or _shortest(pair.path, unnamed), pair.path) for pair in own]
    names = [pair.name for pair in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            "two tokenizers have one name",
            given=", ".join(twice),
            hint="name them: first=FOLDER second=FOLDER",
        )
    return named


def find_baseline(name: str | None, names: Sequence[str]) -> str:
    """Return the tokenizer that the others are divided by, the first one by default.

    Args:
        name: Its name; None for the first.
        names: Names of all tokenizers.

    Returns:
        The name.

    Raises:
        InputError: There is no such tokenizer.
    """
    if name is None:
        return names[0]
    if name not in names:
        raise InputError(
            f"the baseline is none of the tokenizers.{suggest(name, names)}",
            where="--baseline",
            given=name,
            allowed=", ".join(names),
        )
    return name


def split_name(written: str) -> tuple[str | None, str]:
    """Part `NAME=PATH` into both; a path that exists has no name."""
    name, equals, path = written.partition("=")
    if not equals or Path(written).exists() or not name or "/" in name:
        return None, written
    return name, path


def _shortest(path: Path, paths: Sequence[Path]) -> str:
    """Return the fewest last parts of a path that no other path ends with."""
    parts = path.absolute().parts
    others = [other.absolute().parts for other in paths if other != path]
    for length in range(1, len(parts)):
        if not any(other[-length:] == parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return str(path)

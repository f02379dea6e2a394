"""Evaluation sets that a command line names: of a recipe, or files of items."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hunmin.core.errors import EmptyCorpusError, RecipeError
from hunmin.core.progress import progress
from hunmin.core.recipe import load_recipe
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.named import MAX_CHARACTERS, Unit, source_of
from hunmin.corpus.sources.spec import FilesSource
from hunmin.corpus.spec import DecontaminateSpec
from hunmin.text.unicode import normalize

_RECIPES = (".yaml", ".yml")
_NAME_BYTES = 8


class _CorpusPart(BaseModel):
    """What a recipe's corpus section says of evaluation sets."""

    model_config = ConfigDict(extra="ignore")
    decontaminate: DecontaminateSpec | None = None


class _SetsFile(BaseModel):
    """A recipe, or a file with `sets` alone."""

    model_config = ConfigDict(extra="ignore")
    corpus: _CorpusPart = _CorpusPart()
    sets: tuple[FilesSource, ...] = ()


@dataclass(frozen=True)
class EvaluationSets:
    """Items to look for."""

    items: Mapping[str, Mapping[str, str]]
    """For each set its items: name -> text; a name is a hash of the text,
    with a number for those that are repeated."""
    min_share: float | None
    """Share of an item that must stand in a document, if a recipe says it."""


def read_sets(written: Sequence[str], *, unit: Unit = "line") -> EvaluationSets:
    """Read evaluation sets.

    Args:
        written: Recipes with `corpus.decontaminate.sets`, YAML files with `sets`, or
            `[NAME=]PATH[:FIELD]`; those of one name are one set.
        unit: What one item of a plain text file is.

    Returns:
        The items of all sets.

    Raises:
        RecipeError: A YAML file names no sets, or is not what it must be.
        MissingInputError: A file does not exist.
        EmptyCorpusError: A set holds no item.
    """
    sources: list[FilesSource] = []
    shares: list[float] = []
    for item in written:
        if Path(item).suffix.lower() in _RECIPES:
            found, share = _of_recipe(Path(item))
            sources += found
            shares += [] if share is None else [share]
        else:
            sources.append(source_of(item, unit=unit))
    items: dict[str, list[str]] = {}
    with progress("reading evaluation sets", total=len(sources), unit="files") as bar:
        for source in sources:
            items.setdefault(source.source_name, []).extend(_items(source))
            bar.advance()
    named = {name: _named(texts) for name, texts in items.items()}
    return EvaluationSets(named, min(shares, default=None))


def _of_recipe(path: Path) -> tuple[tuple[FilesSource, ...], float | None]:
    spec = load_recipe(path, _SetsFile).spec
    if spec.corpus.decontaminate is not None:
        known = spec.corpus.decontaminate
        return (*known.sets, *spec.sets), known.min_share
    if not spec.sets:
        raise RecipeError(
            "this file names no evaluation sets",
            where=path,
            allowed="corpus.decontaminate.sets as in a recipe, or `sets:` at the top",
            hint="or name the sets themselves: --sets NAME=PATH:FIELD",
        )
    return spec.sets, None


def _items(source: FilesSource) -> list[str]:
    reader = FileReader(source, MAX_CHARACTERS)
    found = [
        text.strip()
        for batch in reader.batches(lambda _: None)
        for text, reason in zip(batch["text"].to_pylist(), batch["reason"].to_pylist(), strict=True)
        if text.strip() and reason is None
    ]
    if not found:
        raise EmptyCorpusError(
            f"the evaluation set '{source.source_name}' holds no item",
            where=", ".join(source.paths),
            hint="which field holds the question or sentence? NAME=PATH:FIELD",
        )
    return found


def _named(texts: Sequence[str]) -> dict[str, str]:
    """Items by a hash of their text; repeated ones stay, since the index counts them."""
    seen: Counter[str] = Counter()
    named: dict[str, str] = {}
    for text in texts:
        name = hashlib.blake2b(normalize(text).encode(), digest_size=_NAME_BYTES).hexdigest()
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name}-{seen[name]}"] = text
    return named

"""An entry of the catalogue: keys in a YAML file, the rest taken from another entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from hunmin.core.errors import InputError, MissingInputError, RecipeError, suggest
from hunmin.core.recipe import LoadedRecipe, load_recipe
from hunmin.core.spec import Spec
from hunmin.core.yaml12 import KeyPath

SpecType = TypeVar("SpecType", bound=Spec)
EntryType = TypeVar("EntryType", bound="Entry")
FOLDER = Path(__file__).parent
YAML_SUFFIXES = (".yaml", ".yml")


class Entry(Spec):
    """Keys that are all optional, because another entry may have them."""

    like: str | None = None
    """Entry of the catalogue whose keys are taken where this one has none."""
    title: str | None = None
    """What it is, for people."""

    @model_validator(mode="before")
    @classmethod
    def _take_name(cls, value: Any) -> Any:
        return {"like": value} if isinstance(value, str) else value


class Figures(Entry):
    """An entry with numbers, each of which comes from somewhere."""

    sources: dict[str, str] = Field(default_factory=dict)
    """Key of this block -> data sheet, page or benchmark that its value is from."""

    @field_validator("sources")
    @classmethod
    def _check_keys(cls, sources: dict[str, str]) -> dict[str, str]:
        for key in sources:
            if key not in cls.model_fields:
                raise ValueError(f"a source of '{key}', which is no key of this block.")
        return sources

    @property
    def figures(self) -> dict[str, Any]:
        """The keys that are written, without names, blocks of figures and what is null."""
        names = self.model_fields_set - {"like", "title", "aliases", "sources"}
        values = {name: getattr(self, name) for name in sorted(names)}
        return {k: v for k, v in values.items() if v is not None and not isinstance(v, Figures)}

    def with_sources(self, loaded: LoadedRecipe[Any], path: KeyPath = ()) -> Self:
        """Name the line of the file as the source of each figure that has no other."""
        lines = {name: str(loaded.origin((*path, name))) for name in self.figures}
        blocks = {
            name: block.with_sources(loaded, (*path, name))
            for name in self.model_fields_set
            if isinstance(block := getattr(self, name), Figures)
        }
        return self.model_copy(update={**blocks, "sources": lines | self.sources})


def overlay(lower: SpecType, upper: SpecType) -> SpecType:
    """Return `lower` with every key that is written in `upper`.

    Args:
        lower: What is taken where `upper` has nothing.
        upper: What counts. A block in it that is `like` an entry replaces the block below whole;
            another block is laid over it key by key.

    Returns:
        A new entry.
    """
    update: dict[str, Any] = {}
    for name in upper.model_fields_set:
        old, new = getattr(lower, name), getattr(upper, name)
        is_part = isinstance(old, Spec) and isinstance(new, Spec) and not getattr(new, "like", None)
        update[name] = overlay(old, new) if is_part else new
    if isinstance(lower, Figures) and isinstance(upper, Figures):
        update["sources"] = lower.sources | upper.sources
    return lower.model_copy(update=update)


def completed(entry: EntryType, library: Mapping[str, EntryType], what: str) -> EntryType:
    """Return the entry with the keys of the one that it is `like`.

    Args:
        entry: As written.
        library: Entries by name.
        what: "device", "link" ..., for the message.

    Returns:
        The same entry if it is like no other.

    Raises:
        InputError: There is no such name.
    """
    if entry.like is None:
        return entry
    if entry.like.lower() not in library:
        raise unknown_name(entry.like, library, what)
    return overlay(library[entry.like.lower()], entry)


def unknown_name(
    name: str,
    options: Iterable[str],
    what: str,
    *,
    where: str | None = None,
    others: Iterable[str] = (),
    also: str = "",
) -> InputError:
    """Return the error about a name that the catalogue does not have.

    Args:
        name: As given.
        options: Names, listed in their order.
        what: "cluster", "device" ..., for the message.
        where: What the name was given for.
        others: Aliases, which may be suggested, too.
        also: What else is allowed.

    Returns:
        The error, to be raised.
    """
    names = list(options)
    return InputError(
        f"there is no {what} '{name}' in the catalogue.{suggest(name.lower(), [*names, *others])}",
        where=where,
        given=name,
        allowed=", ".join(names) + also,
    )


def is_yaml_name(text: str) -> bool:
    """Return whether a text names a YAML file, not an entry."""
    return text.lower().endswith(YAML_SUFFIXES)


def read_file(path: Path, kind: type[SpecType], what: str) -> LoadedRecipe[SpecType]:
    """Read a file of somebody's own.

    Args:
        path: A YAML file.
        kind: What it must hold.
        what: "cluster" or "model", for the message.

    Returns:
        The checked content with the line of each key.

    Raises:
        MissingInputError: There is no such file.
        RecipeError: Everything that is wrong with it, one `file:line: key: problem` a line.
    """
    if not path.is_file():
        folder = path.parent
        siblings = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise MissingInputError(
            f"there is no such {what} file.{suggest(path.name, siblings)}",
            where=path,
            hint=f"leave .yaml out to name a {what} of the catalogue",
        )
    return load_recipe(path, kind)


def read_shipped(name: str, kind: type[SpecType]) -> SpecType:
    """Read a file of this folder, such as devices.yaml."""
    return load_recipe(FOLDER / name, kind).spec


def refuse_missing(needed: Mapping[str, object], where: object, hint: str) -> None:
    """Raise a `RecipeError` that names every key of `needed` whose value is None."""
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        lines = [f"{where}: {name}: this key is required" for name in missing]
        raise RecipeError("\n".join(lines), hint=hint)

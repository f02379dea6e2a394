"""Recipes: YAML files checked against a Spec, with one base, overrides and the origin of values.

recipes/quickstart.yaml ── base: ──> recipes/common.yaml
        │  merged by key; a list replaces a list, a new `kind` replaces its whole block
        ▼
+ overrides from the command line (`train.duration='100 steps'`)
        ▼
Spec (frozen)  and  origins: key path -> file:line | command line | default
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from hunmin.core.errors import HunminError, MissingInputError, RecipeError, suggest
from hunmin.core.yaml12 import KeyPath, Place, parse_yaml, read_yaml

SpecType = TypeVar("SpecType", bound=BaseModel)
COMMAND_LINE = Place("command line")
DEFAULT = Place("default")


@dataclass(frozen=True)
class LoadedRecipe(Generic[SpecType]):
    """A checked recipe and where each of its values came from."""

    spec: SpecType
    origins: Mapping[KeyPath, Place]
    path: Path | None

    def origin(self, key: KeyPath) -> Place:
        """Return where the value at `key` was written; the default if nowhere."""
        return self.origins.get(key, DEFAULT)


def load_recipe(
    path: Path, spec_type: type[SpecType], overrides: Sequence[str] = ()
) -> LoadedRecipe[SpecType]:
    """Read a recipe, its base and the overrides, and check all of it at once.

    Args:
        path: The YAML file.
        spec_type: The Spec it must satisfy.
        overrides: Items `key.path=value`; values are YAML, list items are addressed by number.

    Returns:
        The Spec and the origin of every value that was given.

    Raises:
        MissingInputError: The file or its base does not exist.
        RecipeError: Everything that is wrong with it, one `file:line: key: problem` a line.
    """
    value, origins = _read_with_base(path, seen=())
    for item in overrides:
        _apply_override(value, origins, item)
    value = _fill_default_blocks(value, spec_type)
    spec = check_values(value, spec_type, place=Place(str(path)), origins=origins)
    return LoadedRecipe(spec, origins, path)


def _read_with_base(
    path: Path, seen: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[KeyPath, Place]]:
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise MissingInputError(
            f"there is no such recipe.{suggest(path.name, siblings)}",
            where=path,
            hint="recipes that come with hunmin lie in the folder recipes/",
        )
    if path.resolve() in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise RecipeError("a recipe is its own base", where=path, given=chain)
    value, origins = read_yaml(path)
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise RecipeError(
            "a recipe is a mapping of keys to values",
            where=path,
            given=type(value).__name__,
            allowed="lines such as `name: my-model`",
        )
    base = value.pop("base", None)
    if base is None:
        return value, origins
    if not isinstance(base, str):
        raise RecipeError("base is one file name", where=str(origins[("base",)]), given=base)
    lower, lower_origins = _read_with_base(path.parent / base, (*seen, path.resolve()))
    return _merge(lower, value, lower_origins, origins)


def _merge(
    lower: dict[str, Any],
    upper: dict[str, Any],
    lower_origins: dict[KeyPath, Place],
    upper_origins: dict[KeyPath, Place],
    path: KeyPath = (),
) -> tuple[dict[str, Any], dict[KeyPath, Place]]:
    """Merge by key; a block whose `kind` changes, and a list, is replaced whole."""
    merged, origins = dict(lower), {**lower_origins}
    for key, value in upper.items():
        child = (*path, key)
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _same_kind(old, value):
            merged[key], origins = _merge(old, value, origins, upper_origins, child)
        else:
            merged[key] = value
            origins = {k: v for k, v in origins.items() if k[: len(child)] != child}
            origins |= {k: v for k, v in upper_origins.items() if k[: len(child)] == child}
    return merged, origins


def _same_kind(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return "kind" not in new or new["kind"] == old.get("kind")


def _apply_override(value: dict[str, Any], origins: dict[KeyPath, Place], item: str) -> None:
    name, separator, text = item.partition("=")
    if not separator or not name:
        raise RecipeError(
            "not an override", where="command line", given=item, allowed="key.path=value"
        )
    new, _ = parse_yaml(text, f"command line: {name}")
    keys = name.split(".")
    parent: Any = value
    for depth, key in enumerate(keys[:-1]):
        parent = _descend(parent, key, ".".join(keys[: depth + 1]))
    _assign(parent, keys[-1], new, name)
    path = tuple(int(key) if key.isdigit() else key for key in keys)
    for known in [k for k in origins if k[: len(path)] == path]:
        del origins[known]
    origins[path] = COMMAND_LINE


def _descend(parent: Any, key: str, name: str) -> Any:
    if isinstance(parent, dict):
        if parent.get(key) is None:
            parent[key] = {}
        return parent[key]
    if isinstance(parent, list) and key.isdigit() and int(key) < len(parent):
        return parent[int(key)]
    raise _no_such_place(parent, name)


def _assign(parent: Any, key: str, new: Any, name: str) -> None:
    if isinstance(parent, dict):
        parent[key] = new
    elif isinstance(parent, list) and key.isdigit() and int(key) < len(parent):
        parent[int(key)] = new
    else:
        raise _no_such_place(parent, name)


def _no_such_place(parent: Any, name: str) -> RecipeError:
    allowed = f"0 to {len(parent) - 1}" if isinstance(parent, list) else "a key of a block"
    return RecipeError("there is no such place", where=f"command line: {name}", allowed=allowed)


def _fill_default_blocks(value: dict[str, Any], spec_type: type[BaseModel]) -> dict[str, Any]:
    """Let a block that is given in part keep the rest of the default block of the same kind."""
    filled = dict(value)
    for name, field in spec_type.model_fields.items():
        block = filled.get(name)
        if not isinstance(block, dict):
            continue
        default = field.default
        if isinstance(default, BaseModel):
            whole = default.model_dump(mode="json")
            if _same_kind(whole, block):
                block, _ = _merge(whole, block, {}, {})
        models = [m for m in _models_in(field.annotation) if _same_kind(block, _default_kind(m))]
        filled[name] = _fill_default_blocks(block, models[0]) if len(models) == 1 else block
    return filled


def _default_kind(model: type[BaseModel]) -> dict[str, Any]:
    kinds = _kinds(model)
    return {"kind": kinds[0]} if kinds else {}


def check_values(
    value: dict[str, Any],
    spec_type: type[SpecType],
    *,
    place: Place,
    origins: Mapping[KeyPath, Place] | None = None,
    name: str = "recipe",
) -> SpecType:
    """Check values against a Spec.

    Args:
        value: The values by key.
        spec_type: The Spec they must satisfy.
        place: Where they were given.
        origins: Where single ones were, if it is known.
        name: What is wrong where no single key is.

    Returns:
        The Spec.

    Raises:
        RecipeError: Everything that is wrong, one `place: key: problem` a line.
    """
    try:
        return spec_type.model_validate(value)
    except ValidationError as error:
        lines = []
        for problem in _causes(error):
            key = _recipe_path(problem["loc"], value)
            near = _nearest_place(key, origins or {}, place)
            told = _explain(problem, key, value, spec_type)
            lines.append(f"{near}: {'.'.join(map(str, key)) or name}: {told}")
        raise RecipeError("\n".join(dict.fromkeys(lines))) from error


def _causes(error: ValidationError) -> list[Any]:
    """The problems without those that only follow from others: a list that lost a wrong item."""
    problems = error.errors()
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(
            other is not problem and other["loc"][: len(problem["loc"])] == problem["loc"]
            for other in problems
        )
    ]


def _explain(problem: Any, key: KeyPath, value: dict[str, Any], spec_type: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        options = _sibling_keys(spec_type, key[:-1], value)
        near = suggest(str(key[-1]), options) or f" Allowed: {', '.join(sorted(options))}."
        return f"unknown key.{near}"
    if problem["type"] == "missing":
        return "this key is required"
    if problem["type"] in ("union_tag_invalid", "literal_error", "enum"):
        return _explain_choice(problem)
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, HunminError):
        return _on_one_line(cause)
    given = problem.get("input")
    shown = "" if isinstance(given, dict) else f" (given: {_without_users(repr(given))})"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}{shown}"


def _without_users(text: str) -> str:
    """Leave users and passwords out of addresses: messages end up in logs."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def _on_one_line(error: HunminError) -> str:
    details = {"given": error.given, "allowed": error.allowed, "next": error.hint}
    told = "; ".join(f"{name}: {value}" for name, value in details.items() if value is not None)
    return f"{error.problem} ({told})" if told else error.problem


def _explain_choice(problem: Any) -> str:
    context = problem.get("ctx", {})
    given = str(context.get("tag", problem.get("input")))
    expected = str(context.get("expected_tags", context.get("expected", "")))
    options = [option.strip(" '\"") for option in expected.replace(" or ", ",").split(",")]
    allowed = ", ".join(filter(None, options))
    return f"'{given}' is not one of: {allowed}.{suggest(given, options)}"


def _recipe_path(location: Iterable[str | int], value: Any) -> KeyPath:
    """Drop the parts of a pydantic location that name union variants, not keys."""
    path: list[str | int] = []
    parts = list(location)
    for index, part in enumerate(parts):
        if isinstance(value, dict) and (part in value or index == len(parts) - 1):
            path.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
    return tuple(path)


def _nearest_place(key: KeyPath, origins: Mapping[KeyPath, Place], place: Place) -> Place:
    for length in range(len(key), 0, -1):
        if key[:length] in origins:
            return origins[key[:length]]
    return place


def _sibling_keys(spec_type: type[BaseModel], parent: KeyPath, value: Any) -> set[str]:
    """Return the keys allowed in the block at `parent`."""
    models = [spec_type]
    for part in parent:
        value = value[part] if value is not None else None
        if isinstance(part, int):
            continue
        models = [
            inner
            for model in models
            if part in model.model_fields
            for inner in _models_in(model.model_fields[part].annotation)
        ]
    kind = value.get("kind") if isinstance(value, dict) else None
    chosen = [m for m in models if kind is None or kind in _kinds(m)] or models
    return {name for model in chosen for name in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (
        typing.Union,
        types.UnionType,
        tuple,
        typing.Annotated,
        dict,
    ):
        return [model for part in typing.get_args(annotation) for model in _models_in(part)]
    return []


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field is not None else ()

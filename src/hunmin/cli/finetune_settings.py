"""Options and KEY=VALUE words of `hunmin finetune` as the section `nlu` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.adapt.nlu.spec import NluSpec


def nlu_spec(
    settings: Sequence[str],
    *,
    data: Sequence[Path],
    teacher: Path | None,
    preset: str | None,
    locales: Mapping[str, str | None],
) -> NluSpec:
    """Return the section.

    Args:
        settings: Words KEY=VALUE, values in YAML.
        data: Folders.
        teacher: Folder of a teacher, if any.
        preset: Name of a preset; None for the default.
        locales: Key of the section -> names with commas between, None for the default.

    Returns:
        The section.

    Raises:
        RecipeError: A key or a value is none; the message says what is.
    """
    from pydantic import ValidationError

    from hunmin.adapt.nlu.spec import NluSpec
    from hunmin.core.errors import RecipeError
    from hunmin.core.yaml12 import parse_yaml

    given: dict[str, Any] = {"data": tuple(data), "teacher": teacher}
    given |= {"preset": preset} if preset else {}
    given |= {key: tuple(names.split(",")) for key, names in locales.items() if names}
    for item in settings:
        key, equals, value = item.partition("=")
        if not equals:
            raise click.UsageError(f"'{item}' is no KEY=VALUE, such as epochs=20")
        given[key], _ = parse_yaml(value, item)
    try:
        return NluSpec.model_validate(given)
    except ValidationError as error:
        raise RecipeError(
            "; ".join(_explain(problem) for problem in error.errors()),
            where="settings",
            allowed=", ".join(NluSpec.model_fields),
            hint="correct the setting",
        ) from error


def _explain(problem: Any) -> str:
    from hunmin.adapt.nlu.spec import NluSpec
    from hunmin.core.errors import suggest

    key = ".".join(map(str, problem["loc"]))
    near = suggest(key, NluSpec.model_fields) if key not in NluSpec.model_fields else ""
    return f"{key}: {problem['msg']}.{near}" if key else str(problem["msg"])

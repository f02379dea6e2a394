"""Settings as a user types them, checked with a message for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hunmin.core.errors import InputError, suggest
from hunmin.serving.spec import SamplingParams


def change_setting(params: SamplingParams, name: str, value: str) -> SamplingParams:
    r"""Change one setting as a user types it.

    Args:
        params: The settings so far.
        name: Name of a setting.
        value: Its new value; `none` for off, `\n` for a line break.

    Returns:
        The new settings.

    Raises:
        InputError: There is no such setting, or the value is not allowed.
    """
    names = list(SamplingParams.model_fields)
    if name not in names:
        raise InputError(
            f"there is no such setting.{suggest(name, names)}", given=name, allowed=", ".join(names)
        )
    typed: object = value.replace("\\n", "\n")
    if value.lower() in ("none", "off"):
        typed = () if name == "stop" else None
    return check_settings({**params.model_dump(), name: typed})


def check_settings(values: Mapping[str, Any]) -> SamplingParams:
    """Make settings from values that a user gave.

    Args:
        values: Settings by name.

    Returns:
        The settings.

    Raises:
        InputError: A value is not allowed.
    """
    try:
        return SamplingParams.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(
            problem["msg"],
            where=".".join(str(part) for part in problem["loc"]),
            given=repr(problem["input"]),
        ) from error

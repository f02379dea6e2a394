"""Spec: what the user wrote, frozen and checked."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from hunmin.core.units import parse_count

Count = Annotated[int, BeforeValidator(parse_count)]
"""A whole number that a recipe may also write with a suffix, such as 64K or 1.5M."""


class Spec(BaseModel):
    """Base of every recipe section: frozen, no unknown keys, a meaning below each field."""

    INDIFFERENT: ClassVar[frozenset[str]] = frozenset()
    """Keys that decide how work is done and cannot change its result."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        validate_default=True,
    )

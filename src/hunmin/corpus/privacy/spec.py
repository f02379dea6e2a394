"""Which personal data are masked, as written in a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from hunmin.core.errors import suggest
from hunmin.core.spec import Spec
from hunmin.corpus.privacy.tokens import DEFAULT_TYPES, PRIVACY_TYPES


def _known_types(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in PRIVACY_TYPES:
            raise ValueError(
                f"'{name}' is no type of personal data.{suggest(name, PRIVACY_TYPES)} "
                f"Allowed: {', '.join(PRIVACY_TYPES)}"
            )
    return tuple(name for name in PRIVACY_TYPES if name in names)


class PrivacySpec(Spec):
    """Personal data to put tokens in place of; cannot be undone, only counts by type are kept."""

    types: Annotated[tuple[str, ...], AfterValidator(_known_types)] = DEFAULT_TYPES
    """What to mask, of rrn, card, account, license, passport, phone, email, ip, business and
    coordinates; the last two are off unless named. An empty list masks nothing."""

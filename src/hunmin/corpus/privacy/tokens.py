"""The types of personal data and the token that stands for each; tokenizers take them as special.

A token says what was there and nothing else: neither the original nor a hash of it is kept, since
the few thousand million numbers of a country can all be hashed in minutes.
"""

from __future__ import annotations

DEFAULT_TYPES = ("rrn", "card", "account", "license", "passport", "phone", "email", "ip")
"""Masked unless the recipe says otherwise."""

OPTIONAL_TYPES = ("business", "coordinates")
"""Masked on request.

business: Korean law has every company publish its registration number, and it names no person.
coordinates: most are places on a map; they are personal where a device wrote them."""

PRIVACY_TYPES = DEFAULT_TYPES + OPTIONAL_TYPES
"""All types, in the order of columns and tokens."""


def token_of(name: str) -> str:
    """Return the token that stands for a type, such as <|phone|>."""
    return f"<|{name}|>"


PRIVACY_TOKENS = tuple(token_of(name) for name in PRIVACY_TYPES)
"""All tokens: a tokenizer trained before another type is switched on needs no new entry."""

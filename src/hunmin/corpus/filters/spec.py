"""Quality filters as written in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from hunmin.core.spec import Spec
from hunmin.corpus.filters.profiles import Profile, Threshold
from hunmin.text.languages import LanguageTag


class FilterSpec(Spec):
    """Which rules judge documents, and what differs from the thresholds of the package."""

    rules: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """Statistics to judge by, see `hunmin.corpus.filters.statistics`; `all` that have a limit."""
    without: tuple[str, ...] = ()
    """Statistics not to judge by."""
    thresholds: Mapping[LanguageTag, Mapping[str, Threshold]] = {}
    """Own thresholds by language and statistic; `und` holds for all languages."""
    files: tuple[str, ...] = ()
    """Further files of thresholds, such as `propose` writes; they replace the package's own."""
    profiles: tuple[Profile, ...] = ()
    """Further profiles, written out; they go before the files."""
    profanity: Mapping[LanguageTag, tuple[str, ...]] = {}
    """Words to count as profanity, by language."""
    keep_statistics: bool = False
    """Keep every statistic as a column."""

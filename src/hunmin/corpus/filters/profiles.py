"""Profiles of languages: scripts, stop words, phrases of pages, and the threshold of each rule.

The numbers are data: `thresholds/default.yaml` holds for every language, `thresholds/{tag}.yaml`
overrides it rule by rule, and a recipe overrides both.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from hunmin.core.errors import InputError, RecipeError, suggest
from hunmin.core.spec import Spec
from hunmin.core.yaml12 import parse_yaml
from hunmin.corpus.filters.statistics import STATISTICS, Lexicon
from hunmin.text.languages import LanguageTag, base_language, normalize_tag

_LOGGER = logging.getLogger(__name__)
MIN_PHRASE_CHARACTERS = 4
_SCRIPT_LETTERS = 4


class Threshold(Spec):
    """When one statistic of a document speaks against it."""

    min: float | None = None
    """Smallest value that is kept; None for no limit."""
    max: float | None = None
    """Largest value that is kept; None for no limit."""
    from_words: Annotated[float, Field(ge=0)] | None = None
    """Documents of fewer words are not judged by this rule; None: as the level below says."""
    from_lines: Annotated[float, Field(ge=0)] | None = None
    """Documents of fewer lines are not judged by this rule; None: as the level below says."""
    too_low: str | None = None
    """Reason against a document below `min`."""
    too_high: str | None = None
    """Reason against a document above `max`."""
    origin: str | None = None
    """Where the numbers come from."""


class Profile(Spec):
    """What is known of one language."""

    language: LanguageTag
    """BCP 47 tag; `und` for the defaults."""
    scripts: tuple[str, ...] = ()
    """ISO 15924 codes of its scripts."""
    stop_words: tuple[str, ...] = ()
    """Words that running text has whatever it is about."""
    stop_words_origin: str | None = None
    """Where the stop words come from."""
    boilerplate: tuple[str, ...] = ()
    """Phrases of lines that belong to a page, not to its text; at least four characters."""
    placeholders: tuple[str, ...] = ()
    """Phrases that stand for text to come; at least four characters."""
    rules: Mapping[str, Threshold] = {}
    """Thresholds by statistic, in the order in which they are asked."""


@dataclass(frozen=True)
class Rule:
    """One statistic with its limits, all levels merged."""

    statistic: str
    """Name of the statistic."""
    threshold: Threshold
    """Limits and reasons."""


def check_statistics(names: Iterable[str], where: str) -> None:
    """Refuse names that no statistic has.

    Args:
        names: Names of statistics.
        where: Where they were written, for the message.

    Raises:
        RecipeError: A name is not known.
    """
    for name in names:
        if name not in STATISTICS:
            raise RecipeError(
                f"there is no such statistic.{suggest(name, STATISTICS)}",
                where=where,
                given=repr(name),
                allowed=", ".join(STATISTICS),
            )


def parse_profile(text: str, where: str) -> Profile:
    """Read a profile from YAML.

    Args:
        text: YAML text.
        where: Name of the file for messages.

    Returns:
        The profile.

    Raises:
        RecipeError: Not YAML, or not a profile.
    """
    values, places = parse_yaml(text, where)
    try:
        profile = Profile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(first["loc"])
        place = next((places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in places), "")
        raise RecipeError(
            f"{'.'.join(map(str, path))}: {first['msg']}",
            where=str(place) or where,
            given=repr(first["input"]),
            hint="see the fields of hunmin.corpus.filters.profiles.Profile",
        ) from error
    check_statistics(profile.rules, where)
    _check_phrases(profile, where)
    return profile


def _check_phrases(profile: Profile, where: str) -> None:
    for phrase in (*profile.boilerplate, *profile.placeholders):
        if len(phrase) < MIN_PHRASE_CHARACTERS:
            raise RecipeError(
                "a phrase is too short to look for",
                where=where,
                given=repr(phrase),
                allowed="four characters or more",
            )


def read_profile(path: Path) -> Profile:
    """Read a profile from a file; see `parse_profile`."""
    if not path.is_file():
        raise InputError("there is no such file of thresholds", where=path)
    return parse_profile(path.read_text("utf-8"), str(path))


@functools.cache
def shipped_profiles() -> dict[str, Profile]:
    """Return the profiles of the package by tag, the defaults under `und`."""
    folder = resources.files("hunmin.corpus.filters").joinpath("thresholds")
    files = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".yaml")),
        key=lambda item: item.name,
    )
    profiles = [parse_profile(item.read_text("utf-8"), item.name) for item in files]
    return {profile.language: profile for profile in profiles}


def nearest_profile(language: str, profiles: Mapping[str, Profile]) -> Profile | None:
    """Return the profile of a tag, or of the tag without its last parts; None if there is none."""
    tag = normalize_tag(language)
    while tag:
        if tag in profiles:
            return profiles[tag]
        tag = tag.rpartition("-")[0]
    return None


@functools.cache
def warn_of_defaults(language: str) -> None:
    """Say once that a language has no thresholds of its own."""
    _LOGGER.warning(
        "%s has no thresholds of its own: the defaults for all languages judge it; "
        "`hunmin corpus thresholds` makes some from trusted text",
        language,
    )


def merged(*levels: Threshold | None) -> Threshold:
    """Merge thresholds, later ones over earlier ones.

    Note:
        A later level that gives `min` or `max` replaces what was written before it of that limit;
        `.inf` and `-.inf` take a limit away.
    """
    values: dict[str, Any] = {}
    for level in levels:
        if level is not None:
            given = level.model_dump(exclude_none=True)
            values |= given
    return Threshold(**values)


def rules_of(profile: Profile | None, own: Mapping[str, Threshold] | None = None) -> list[Rule]:
    """Merge the rules of a language: defaults, its profile, the user's own.

    Args:
        profile: Profile of the language; None for the defaults alone.
        own: What a recipe says for the language.

    Returns:
        Rules in the order of the defaults, then those that only later levels have.
    """
    levels = [shipped_profiles()["und"].rules, profile.rules if profile else {}, own or {}]
    names = dict.fromkeys(name for level in levels for name in level)
    return [Rule(name, merged(*(level.get(name) for level in levels))) for name in names]


@functools.cache
def _written() -> dict[str, tuple[str, ...]]:
    folder = resources.files("hunmin.corpus.filters").joinpath("data/language_scripts.tsv")
    rows = (row.split("\t") for row in folder.read_text("utf-8").splitlines())
    return {row[0]: tuple(row[1].split()) for row in rows if not row[0].startswith("#")}


def written_scripts(language: str) -> tuple[str, ...]:
    """Return the scripts that a language is written with; none if that is not known."""
    return _written().get(base_language(language), ())


def lexicon_of(language: str, profile: Profile | None, profanity: Iterable[str] = ()) -> Lexicon:
    """Return what statistics need to know of a language.

    Args:
        language: Canonical tag; its script, if it names one, goes before the profile's.
        profile: Profile of the language; None if there is none.
        profanity: Words that the user wants counted.

    Returns:
        The lexicon; phrases of pages in any language belong to every one.
    """
    default = shipped_profiles()["und"]
    subtags = language.split("-")[1:]
    script = next(
        (part for part in subtags if len(part) == _SCRIPT_LETTERS and part.isalpha()), None
    )
    scripts = (script,) if script else (profile.scripts if profile else written_scripts(language))
    own = profile or default
    return Lexicon(
        scripts,
        frozenset(own.stop_words),
        frozenset(profanity),
        tuple(dict.fromkeys((*default.boilerplate, *own.boilerplate))),
        tuple(dict.fromkeys((*default.placeholders, *own.placeholders))),
    )

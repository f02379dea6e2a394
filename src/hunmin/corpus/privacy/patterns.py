"""Patterns: the formats of patterns.yaml, compiled once."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from hunmin.core.errors import InputError, suggest
from hunmin.core.yaml12 import Yaml12Loader
from hunmin.corpus.privacy.scan import SCANS
from hunmin.corpus.privacy.tokens import PRIVACY_TYPES
from hunmin.corpus.privacy.validators import VALIDATORS, Candidate, Validator
from hunmin.text.languages import base_language

_PATTERNS, _CONTEXTS = "patterns.yaml", "contexts.yaml"
_MACRO = re.compile(r"<<([a-z_]+)>>")
# Scripts that are written without spaces, or whose particles and compounds touch a word.
_JOINED = re.compile(r"[^\w]|[ᄀ-ᇿ぀-ヿ㐀-鿿가-힣\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_UNLESS_BEFORE = 16


def _begin(word: str) -> str:
    return "" if _JOINED.match(word) else r"(?<![^\W\d_])"


class Words:
    """Words looked for in a short text, regardless of case.

    Args:
        stems: Words that may go on.
        words: Words that end there.
    """

    def __init__(self, stems: Sequence[str], words: Sequence[str]) -> None:
        self._lowered = tuple(word.lower() for word in (*stems, *words))
        parts = [_begin(stem) + re.escape(stem) for stem in stems]
        parts += [_begin(word) + re.escape(word) + r"(?![^\W\d_])" for word in words]
        self._pattern = re.compile("|".join(parts), re.IGNORECASE)

    def stand_in(self, text: str) -> bool:
        """Tell whether one of them stands in a text."""
        lowered = text.lower()
        # Looking for plain strings is fifty times quicker than the pattern, and mostly says no.
        if not any(word in lowered for word in self._lowered):
            return False
        return self._pattern.search(text) is not None


@dataclass(frozen=True)
class Pattern:
    """One format of one type of personal data; see the head of patterns.yaml."""

    name: str
    type: str
    scan: str
    needs: tuple[str, ...]
    regex: re.Pattern[str]
    validator: Validator | None
    languages: frozenset[str]
    context: Words | None
    before: int
    after: int
    unless: Words | None
    origin: str

    def may_match(self, window: str) -> bool:
        """Tell quickly whether a folded window can hold this format."""
        return not self.needs or any(part in window for part in self.needs)

    def accepts(self, candidate: Candidate, language: str) -> bool:
        """Tell whether a match stands where this format is meant.

        Args:
            candidate: The match with what is around it.
            language: BCP 47 tag of the document; `und` if it is not known.

        Returns:
            Whether it is to be masked.
        """
        if self.validator is not None and not self.validator(candidate):
            return False
        if self._needs_context(language) and not self._has_context(candidate):
            return False
        return self.unless is None or not self.unless.stand_in(candidate.before[-_UNLESS_BEFORE:])

    def _needs_context(self, language: str) -> bool:
        return self.context is not None and base_language(language) not in self.languages

    def _has_context(self, candidate: Candidate) -> bool:
        if self.context is None:
            return True
        before = candidate.before[-self.before :] if self.before else ""
        after = candidate.after[: self.after]
        return self.context.stand_in(before) or self.context.stand_in(after)


@functools.cache
def load_patterns(types: tuple[str, ...]) -> tuple[Pattern, ...]:
    """Return the patterns of some types in their order of priority.

    Args:
        types: Of PRIVACY_TYPES.

    Returns:
        Compiled patterns.
    """
    return tuple(pattern for pattern in _all_patterns() if pattern.type in types)


@functools.cache
def _all_patterns() -> tuple[Pattern, ...]:
    return parse_patterns(_read(_PATTERNS), _read(_CONTEXTS))


def _read(name: str) -> Any:
    file = resources.files("hunmin.corpus.privacy").joinpath("data", name)
    return yaml.load(file.read_text("utf-8"), Loader=Yaml12Loader)


def parse_patterns(table: Mapping[str, Any], contexts: Mapping[str, Any]) -> tuple[Pattern, ...]:
    """Compile the contents of a table of patterns.

    Args:
        table: What patterns.yaml holds: `macros` and `patterns`.
        contexts: What contexts.yaml holds: lists of words by name.

    Returns:
        The patterns in the order of the table.

    Raises:
        InputError: A pattern names something that does not exist, or is no regular expression.
    """
    words = {name: Words(**lists) for name, lists in contexts.items()}
    return tuple(_parse(entry, table["macros"], words) for entry in table["patterns"])


def _parse(
    entry: Mapping[str, Any], macros: Mapping[str, str], words: Mapping[str, Words]
) -> Pattern:
    where = f"{_PATTERNS}: {entry['name']}"
    context, unless, validator = (entry.get(key) for key in ("context", "unless", "validator"))
    return Pattern(
        name=entry["name"],
        type=_known(entry["type"], PRIVACY_TYPES, "type", where),
        scan=_known(entry["scan"], tuple(SCANS), "scan", where),
        needs=tuple(entry.get("needs", ())),
        regex=_compile(entry["regex"], macros, where),
        validator=validator
        and VALIDATORS[_known(validator, tuple(VALIDATORS), "validator", where)],
        languages=frozenset(entry.get("languages", ())),
        context=context and words[_known(context, tuple(words), "context", where)],
        before=entry.get("before", 0),
        after=entry.get("after", 0),
        unless=unless and words[_known(unless, tuple(words), "unless", where)],
        origin=entry["origin"],
    )


def _known(name: str, options: Sequence[str], key: str, where: str) -> str:
    if name in options:
        return name
    raise InputError(
        f"there is no {key} of this name.{suggest(name, options)}",
        where=where,
        given=name,
        allowed=", ".join(sorted(options)),
    )


def _compile(regex: str, macros: Mapping[str, str], where: str) -> re.Pattern[str]:
    def insert(match: re.Match[str]) -> str:
        return insert_all(macros[_known(match[1], tuple(macros), "macro", where)])

    def insert_all(part: str) -> str:
        return _MACRO.sub(insert, part)

    try:
        return re.compile(insert_all(regex))
    except re.error as error:
        raise InputError(
            f"this is not a regular expression: {error}", where=where, given=regex
        ) from error

"""The sentence templates of the package home-assistant-intents, parsed by hassil."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from hassil.expression import Expression
from hassil.intents import Intents, SlotList
from hassil.parse_expression import parse_sentence

from hunmin.core.errors import InputError, suggest
from hunmin.core.extras import require
from hunmin.core.hashing import stable_hash

PACKAGE = "home_assistant_intents"


@dataclass(frozen=True)
class Template:
    """One sentence template."""

    intent: str
    """What it means, such as HassTurnOn."""
    scenario: str
    """The part of the house that the intent belongs to, such as light or climate."""
    sentence: str
    """As its authors wrote it."""
    expression: Expression
    """Parsed."""
    domains: tuple[str, ...]
    """Kinds of device that a {name} in it may be."""
    fixed_slots: Mapping[str, Any]
    """Slots with a value that no word of the sentence carries, such as the domain."""
    combination: str
    """Which slots it has, in Home Assistant's words."""

    def group(self, language: str) -> str:
        """Name of the template in the split, the same for equal sentences of a language."""
        return f"{language}/{stable_hash([language, self.sentence])[:16]}"


@dataclass(frozen=True)
class TemplateSet:
    """All templates of a language with what they refer to."""

    language: str
    """BCP 47 tag."""
    templates: tuple[Template, ...]
    """In a stable order that mixes the intents."""
    rules: Mapping[str, Expression]
    """Expansions of <rule>."""
    lists: Mapping[str, SlotList]
    """Values of {list}; name, area and floor are not among them."""


@functools.cache
def available_languages() -> tuple[str, ...]:
    """Return the BCP 47 tags of all languages the installed package has."""
    package = require(PACKAGE, extra="samples")
    return tuple(sorted(package.get_languages()))


def check_languages(languages: tuple[str, ...]) -> None:
    """Refuse languages without templates.

    Args:
        languages: Canonical BCP 47 tags.

    Raises:
        InputError: One of them has no templates.
    """
    known = available_languages()
    for language in languages:
        if language not in known:
            raise InputError(
                f"home-assistant has no sentences in this language.{suggest(language, known)}",
                given=language,
                allowed=f"all, or some of {', '.join(known)}",
            )


def load_templates(language: str) -> TemplateSet:
    """Parse the templates of a language.

    Args:
        language: One of `available_languages`.

    Returns:
        Its templates, rules and lists, every text in NFC.
    """
    package = require(PACKAGE, extra="samples")
    scenarios = {name: info["domain"] for name, info in package.get_intent_info().items()}
    data = package.get_intents(language, json_load=_load_nfc)
    parsed = Intents.from_dict(data | {"intents": {}})
    templates = sorted(_templates(data, scenarios), key=lambda item: item.group(language))
    return TemplateSet(
        language=language,
        templates=tuple(templates),
        rules={name: rule.expression for name, rule in parsed.expansion_rules.items()},
        lists=parsed.slot_lists,
    )


def _load_nfc(file: IO[str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(unicodedata.normalize("NFC", file.read()))
    return data


def _templates(data: dict[str, Any], scenarios: dict[str, str]) -> Iterator[Template]:
    for intent, content in data["intents"].items():
        for block in content["data"]:
            for sentence in block["sentences"]:
                yield Template(
                    intent=intent,
                    scenario=scenarios.get(intent, "homeassistant"),
                    sentence=sentence,
                    expression=parse_sentence(sentence).expression,
                    domains=_domains(block),
                    fixed_slots=block.get("slots", {}),
                    combination=block.get("metadata", {}).get("slot_combination", "default"),
                )


def _domains(block: dict[str, Any]) -> tuple[str, ...]:
    """Kinds of device named: asked for by the context, or fixed by the template."""
    named = block.get("requires_context", {}).get("domain")
    if named is None:
        named = block.get("slots", {}).get("domain", [])
    return (named,) if isinstance(named, str) else tuple(named)

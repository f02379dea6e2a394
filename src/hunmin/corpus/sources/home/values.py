"""Values of open slots: names of rooms and devices, free texts, numbers."""

from __future__ import annotations

import functools
import random
from importlib import resources
from typing import Any

import yaml
from hassil.intents import RangeSlotList, RangeType
from hassil.numbers import get_rbnf_engine

from hunmin.core.yaml12 import Yaml12Loader
from hunmin.text.languages import base_language

# Home Assistant's domains that are named like another one, and lists that take the same texts.
_SAME_AS = {
    "input_boolean": "switch",
    "input_button": "button",
    "shopping_list_item": "item",
    "todo_list_item": "item",
}
_DEVICES = ("light", "switch", "fan", "media_player", "climate", "cover", "lock")
_HANDY_NUMBERS = (1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50, 60, 70, 75, 80, 90, 100)
_ROOM_TEMPERATURES = range(16, 29)
_HOURS = range(1, 13)
_WORDS_SHARE = 0.15
_HALF_SHARE = 0.08
_MAX_NUMBER_IN_WORDS = 100
# Hours are counted with native numerals in Korean.
_RULESETS = {("ko", "timer_hours"): "spellout-cardinal-native-attributive"}


@functools.cache
def _table() -> dict[str, Any]:
    text = (
        resources.files("hunmin.corpus.sources.home")
        .joinpath("data/home_values.yaml")
        .read_text("utf-8")
    )
    table: dict[str, Any] = yaml.load(text, Loader=Yaml12Loader)
    return table


@functools.cache
def texts_for(language: str, key: str) -> tuple[str, ...]:
    """Return texts that can fill a slot.

    Args:
        language: BCP 47 tag.
        key: area, floor, a domain of Home Assistant, or the name of a wildcard list.

    Returns:
        Texts in that language; empty if none is known.
    """
    key = _SAME_AS.get(key, key)
    languages = _table()["languages"]
    for tag in (language, base_language(language)):
        found = languages.get(tag, {}).get(key)
        if found:
            return tuple(found)
    return tuple(_table()["any"].get(key, ()))


@functools.cache
def names_for(language: str, domains: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of devices of some domains, of any device if those have none."""
    own = [text for domain in domains for text in texts_for(language, domain)]
    if not own:
        own = [text for domain in _DEVICES for text in texts_for(language, domain)]
    return tuple(dict.fromkeys(own))


def draw_number(
    slot_list: RangeSlotList, list_name: str, language: str, rng: random.Random
) -> tuple[str, float]:
    """Draw a number that people would say.

    Args:
        slot_list: The range; percentages and durations are mostly round, temperatures mostly
            those of a room.
        list_name: Name of the range.
        language: BCP 47 tag, for numbers in words.
        rng: Source of chance.

    Returns:
        The number as digits or words, and its value.
    """
    numbers = range(slot_list.start, slot_list.stop + 1, slot_list.step)
    value: int = rng.choice(numbers)
    handy = [number for number in _likely(slot_list, list_name) if number in numbers]
    if handy and rng.random() < 0.8:
        value = rng.choice(handy)
    if slot_list.fraction_type is not None and rng.random() < _HALF_SHARE:
        return f"{value}.5", value + 0.5
    words = None
    if slot_list.words and value <= _MAX_NUMBER_IN_WORDS:
        wants_words = not slot_list.digits or rng.random() < _WORDS_SHARE
        words = number_in_words(value, list_name, language) if wants_words else None
    return words or str(value), value


def _likely(slot_list: RangeSlotList, list_name: str) -> range | tuple[int, ...]:
    if slot_list.type == RangeType.TEMPERATURE:
        return _ROOM_TEMPERATURES
    return _HOURS if "hour" in list_name else _HANDY_NUMBERS


@functools.cache
def number_in_words(value: int, list_name: str, language: str) -> str | None:
    """Spell a number out, or return None for languages without rules for it."""
    try:
        result = get_rbnf_engine(language).format_number(value)
    except ValueError:  # no rules for the language, or none for this number
        return None
    ruleset = _RULESETS.get((language, list_name), "spellout-numbering")
    words: str = result.text_by_ruleset.get(ruleset) or result.text
    return words.replace("\u00ad", "")

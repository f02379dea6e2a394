"""From the labels of classifiers to canonical language tags."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

from hunmin.core.yaml12 import parse_yaml
from hunmin.text.identification.prior import script_rules
from hunmin.text.languages import UNDETERMINED, base_language, normalize_tag


@functools.cache
def tag_of_label(label: str) -> str:
    """Return the canonical tag of a classifier's label.

    Args:
        label: Such as `ko`, `iw`, `zh-Hant`, `kor_Hang`, `__label__cmn_Hans`, `un`.

    Returns:
        A canonical tag; a script is kept only where the language has several. `und` for labels
        that name no language.

    Raises:
        InputError: The label is no language tag.
    """
    table = _table()
    text = label.removeprefix("__label__")
    tag = table["special"].get(text, text)
    if re.split("[-_]", tag.lower())[0] in table["none"]:
        return UNDETERMINED
    tag = normalize_tag(tag)
    language, *rest = tag.split("-")
    language = base_language(normalize_tag(table["individual"].get(language, language)))
    scripts = script_rules().scripts_of(language)
    kept = [part for part in rest if not _is_usual(part, language, scripts)]
    return "-".join([language, *kept])


def _is_usual(part: str, language: str, scripts: frozenset[str]) -> bool:
    """Tell whether a subtag is the script that the language is written in anyway."""
    usual = {"Jpan", "Hrkt", "Kore"} | (scripts if len(scripts) == 1 else frozenset())
    return part in usual or (part, language) in {("Hani", "zh"), ("Hang", "ko")}


@functools.cache
def _table() -> dict[str, Any]:
    source = resources.files("hunmin.text.identification").joinpath("data/labels.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "labels.yaml")
    return dict(content)

"""Language tags (BCP 47): checked, and written in one canonical form."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Annotated

from pydantic import AfterValidator

from hunmin.core.errors import InputError, suggest

UNDETERMINED = "und"
# Codes that the registry has replaced.
_REPLACED = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "sh": "sr-Latn"}
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})"
    r"(?:-(?P<extended>[a-z]{3}))?"
    r"(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?P<rest>(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?)",
    re.ASCII,
)


@functools.cache
def _table() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Names by two-letter code, two-letter codes by three-letter code, and codes by name."""
    text = resources.files("hunmin.text").joinpath("data/iso639_1.tsv").read_text("utf-8")
    names: dict[str, str] = {}
    shorter: dict[str, str] = {}
    for row in text.splitlines():
        short, terminology, bibliographic, name = row.split("\t")
        names[short] = name
        shorter.update({code: short for code in (terminology, bibliographic) if code})
    return names, shorter, {name.lower(): short for short, name in names.items()}


def normalize_tag(tag: str) -> str:
    """Check a language tag and write it in its canonical form.

    Args:
        tag: A BCP 47 tag such as `ko`, `pt-BR`, `sr_latn`, `zh-Hant-TW`; three-letter codes that
            have a two-letter one (`kor`) are accepted; `und` stands for undetermined.

    Returns:
        The tag with hyphens, lower-case language, Title-case script, upper-case region, the
        shortest and current language code.

    Raises:
        InputError: Not a well-formed tag, or a two-letter language code that does not exist.

    Note:
        Three-letter codes, scripts and regions are checked for their form, not against the
        registry: an unusual language must not be refused for missing from a table.
    """
    lowered = tag.strip().replace("_", "-").lower()
    if re.fullmatch(r"x(-[a-z0-9]{1,8})+", lowered, re.ASCII):
        return lowered
    match = _TAG.fullmatch(lowered)
    names, shorter, _ = _table()
    if match is None:
        raise _not_a_tag(tag)
    language = shorter.get(match["language"], match["language"])
    language = _REPLACED.get(language, language)
    if len(language) == 2 and language not in names:
        raise _not_a_tag(tag)
    parts = [language, match["extended"]]
    parts += [match["script"].title() if match["script"] else None]
    parts += [match["region"].upper() if match["region"] else None]
    return "-".join(part for part in parts if part) + match["variants"] + match["rest"]


def _not_a_tag(tag: str) -> InputError:
    names, _, by_name = _table()
    named = by_name.get(tag.strip().lower())
    near = f" Did you mean '{named}'?" if named else suggest(tag.lower(), names)
    return InputError(
        f"this is not a language tag.{near}",
        given=repr(tag),
        allowed="a BCP 47 tag: ko, en, zh-Hant, pt-BR, or und where the language is not known",
    )


def base_language(tag: str) -> str:
    """Return the language of a canonical tag without script, region and variants."""
    return tag.split("-", 1)[0]


def language_name(tag: str) -> str:
    """Return the English name of a tag's language, or the tag itself if none is known."""
    return _table()[0].get(base_language(tag), tag)


LanguageTag = Annotated[str, AfterValidator(normalize_tag)]
"""A field of a Spec that holds a canonical language tag."""

"""Wikitext to plain text: what a reader of the page would read, without its boxes and tables.

Brackets are resolved from the inside out: templates, then tables, then links. Each round is one
scan of a compiled pattern that sees only brackets without brackets inside, so the time grows with
the length of the page and never with what is left open in it.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from hunmin.core.yaml12 import Yaml12Loader

_MAX_ROUNDS = 40
# Control characters that XML cannot hold stand for what is kept as it is.
_KEPT = re.compile("\x02(\\d+)\x03")
_VERBATIM = re.compile(
    r"<(nowiki|pre|math|chem|ce|syntaxhighlight|source)\b[^<>]*?"
    r"(?:/>|>([^<]*+(?:<(?!/?\1\b)[^<]*+)*+)</\1\s*>)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LEFT_OUT = "ref|gallery|timeline|imagemap|score|hiero|mapframe|maplink|graph|templatedata|inputbox"
_ELEMENT = re.compile(
    rf"<({_LEFT_OUT})\b[^<>]*?(?:/>|>[^<]*+(?:<(?!/?\1\b)[^<]*+)*+</\1\s*>)", re.IGNORECASE
)
_TEMPLATE = re.compile(r"\{\{([^{}]*+(?:(?:\{(?!\{)[^{}]*+\}|\{(?!\{)|\}(?!\}))[^{}]*+)*+)\}\}")
_TABLE = re.compile(r"\{\|[^{|]*+(?:(?:\{(?!\|)|\|(?!\}))[^{|]*+)*+\|\}")
_TABLE_REST = re.compile(r"^\{\|.*?(?=\n\n[^|!\n]|\Z)", re.DOTALL | re.MULTILINE)
_TEMPLATE_REST = re.compile(r"\{\{[^\n]*|^\s*\}\}|\}\}")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\[\]<>]*[ \t]*([^\[\]\n]*)\]")
_LINK = re.compile(r"\[\[([^\[\]]*+(?:\[(?!\[)[^\[\]]*+\](?!\])[^\[\]]*+)*+)\]\]")
_BREAK = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/blockquote)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_QUOTES = re.compile("''+")
_SWITCH = re.compile(r"__[^\W\d_]{3,}__")
_HEADING = re.compile(r"^(={1,6})[ \t]*(.*?)[ \t]*\1[ \t]*$", re.MULTILINE)
_LIST = re.compile(r"\n[*#:;]*([*#:;]) *")
_RULE = re.compile(r"\n-----* *")
_BLANKS = re.compile("  +")
_EMPTY_ITEMS = re.compile(r"\n- *(?=\n)")
_EMPTY_LINES = re.compile(r"\n\n\n+")
_INTERLANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?\Z|simple\Z")
_ARGUMENT = re.compile(r"\{(-?\d+)\}")
# Stands for a template that was left out, until the words around it are known.
_GAP = "\x04"
_ARGUMENT_EDGES = " \t\n\x04"
_SEPARATORS, _OPENING, _CLOSING = " \n,;:·、，；/", "(（", ")）"
_VARIANT = re.compile(r"-\{([^{}]*)\}-")


@dataclass(frozen=True)
class Wikitext:
    """How the wikitext of one edition is read.

    Call it with a page's wikitext; it returns the plain text: headings and list items on lines of
    their own, sections without text left out.
    """

    files: frozenset[str] = frozenset()
    """Names of the namespace of files, in lower case."""
    categories: frozenset[str] = frozenset()
    """Names of the namespace of categories, in lower case."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """Name of a template -> what it shows; any other shows nothing."""
    pattern: str = "(?!)"
    """Names of the families of templates that show their first argument."""
    disambiguation: str = "(?!)"
    """Pattern of the templates on pages that only list meanings."""

    def __call__(self, wikitext: str) -> str:
        """Return the plain text."""
        text, kept = _set_aside(wikitext)
        text = _ELEMENT.sub("", text) if "<" in text else text
        text = self._without_templates(text)
        text = self._without_links(_without_tables(text))
        return _KEPT.sub(lambda match: kept[int(match[1])], _tidy(text)).strip()

    def categories_of(self, wikitext: str) -> list[str]:
        """Return the categories a page names, in its order."""
        found = (match[1].partition("|")[0].partition(":") for match in _LINK.finditer(wikitext))
        names = (name for space, _, name in found if space.strip().lower() in self.categories)
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))

    def is_disambiguation(self, wikitext: str) -> bool:
        """Say whether a page only lists the meanings of its title."""
        return _compiled(self.disambiguation).search(wikitext) is not None

    def _without_templates(self, text: str) -> str:
        if "-{" in text:
            text = _VARIANT.sub(_first_variant, text)
        text = _until_stable(text, "{{", lambda rest: _TEMPLATE.sub(self._template, rest))
        if "{{" in text or "}}" in text:
            text = _TEMPLATE_REST.sub("", text)
        return _close_gaps(text) if _GAP in text else text

    def _template(self, match: re.Match[str]) -> str:
        name, _, rest = match[1].partition("|")
        name = _name(name)
        shown = self.templates.get(name)
        if shown is None:
            if not _compiled(self.pattern).fullmatch(name):
                return _GAP
            shown = "{1}"
        return _show(shown, _arguments(rest))

    def _without_links(self, text: str) -> str:
        if "//" in text:
            text = _EXTERNAL.sub(r"\1", text)
        return _until_stable(text, "[[", lambda rest: _LINK.sub(self._link, rest))

    def _link(self, match: re.Match[str]) -> str:
        target, bar, label = match[1].partition("|")
        space, colon, _ = target.partition(":")
        if colon:
            name = space.strip().lower()
            if name in self.files or name in self.categories:
                return ""
            if not bar and _INTERLANGUAGE.match(space):
                return ""
        return label or target.strip().removeprefix(":")


def _set_aside(text: str) -> tuple[str, list[str]]:
    """Take out comments, and put what is no wikitext under a mark."""
    kept: list[str] = []
    if "\x02" in text or _GAP in text:
        text = text.replace("\x02", "").replace(_GAP, "")
    if "<" not in text:
        return text, kept

    def keep(match: re.Match[str]) -> str:
        kept.append(html.unescape(match[2] or "").strip("\n"))
        return f"\x02{len(kept) - 1}\x03"

    return _VERBATIM.sub(keep, _COMMENT.sub("", text)), kept


def _until_stable(text: str, sign: str, replace: Callable[[str], str]) -> str:
    for _ in range(_MAX_ROUNDS):
        if sign not in text:
            break
        shorter = replace(text)
        if shorter == text:
            break
        text = shorter
    return text


def _without_tables(text: str) -> str:
    text = _until_stable(text, "{|", lambda rest: _TABLE.sub("", rest))
    return _TABLE_REST.sub("", text) if "{|" in text else text


def _name(name: str) -> str:
    return name.strip().replace("_", " ").lower()


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _arguments(rest: str) -> list[str]:
    """Return the unnamed arguments, or those named 1, 2, …."""
    unnamed: list[str] = []
    for part in rest.split("|"):
        name, equals, value = part.partition("=")
        if not equals:
            unnamed.append(part.strip(_ARGUMENT_EDGES))
        elif name.strip().isdecimal():
            unnamed.append(value.strip(_ARGUMENT_EDGES))
    return unnamed


def _show(shown: str, arguments: list[str]) -> str:
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        index = int(match[1])
        index = index - 1 if index > 0 else len(arguments) + index
        if 0 <= index < len(arguments) and arguments[index]:
            return arguments[index]
        missing = True
        return ""

    text = _ARGUMENT.sub(value, shown)
    if not missing:
        return text
    # Half of what a template shows reads worse than its first argument alone.
    return arguments[0] if arguments and arguments[0] and "{1}" in shown else _GAP


def _first_variant(match: re.Match[str]) -> str:
    """Choose among the spellings of a word (Chinese, Serbian, …): the first one."""
    first = match[1].split(";")[0].rpartition("|")[2]
    return first.partition(":")[2] or first


def _close_gaps(text: str) -> str:
    """Take what only held left-out templates apart: brackets around them, commas beside them."""
    first, *others = text.split(_GAP)
    closed: list[str] = []
    left = first
    for right in others:
        while closed and not left.strip(_SEPARATORS):
            left = closed.pop() + left
        left, right = _close_gap(left, right)
        closed.append(left)
        left = right
    return "".join([*closed, left])


def _close_gap(left: str, right: str) -> tuple[str, str]:
    before, after = left.rstrip(_SEPARATORS), right.lstrip(_SEPARATORS)
    opens, closes = before[-1:] in _OPENING, after[:1] in _CLOSING
    if before and opens and after and closes:
        return before[:-1].rstrip(" "), after[1:]
    if (before and opens) or (after and closes):
        return before, after
    return left, right


def _tidy(text: str) -> str:
    if "<" in text:
        text = _TAG.sub("", _BREAK.sub("\n", text))
    if "&" in text:
        text = html.unescape(text).replace("\xa0", " ")
    text = _QUOTES.sub("", text)
    text = _SWITCH.sub("", text) if "__" in text else text
    text = "\n" + text.replace("\t", " ") + "\n"
    text = _RULE.sub("\n", text) if "----" in text else text
    text = _BLANKS.sub(" ", _LIST.sub(_list_item, text))
    text = _EMPTY_ITEMS.sub("", text.replace(" \n", "\n").replace("\n ", "\n"))
    return _EMPTY_LINES.sub("\n\n", _without_empty_sections(text))


def _list_item(match: re.Match[str]) -> str:
    return "\n- " if match[1] in "*#" else "\n"


def _without_empty_sections(text: str) -> str:
    """Write headings as plain lines, those with nothing below them left out."""
    pieces = _HEADING.split(text)
    if len(pieces) == 1:
        return text
    kept: list[str] = []
    following = 0
    for at in range(len(pieces) - 3, 0, -3):
        level, title, body = len(pieces[at]), pieces[at + 1], pieces[at + 2].strip()
        if body or following > level:
            kept.append(f"{title}\n\n{body}" if body else title)
            following = level
    return "\n\n".join([pieces[0].strip(), *reversed(kept)])


@functools.cache
def load_words() -> Mapping[str, Any]:
    """Return the words of wikitext that differ between editions, from the package's data."""
    data = resources.files("hunmin.corpus.sources.wikipedia").joinpath("data/wikitext.yaml")
    words: Mapping[str, Any] = yaml.load(data.read_text("utf-8"), Loader=Yaml12Loader)
    return words


def wikitext_of_edition(
    files: frozenset[str], categories: frozenset[str], templates: Mapping[str, str]
) -> Wikitext:
    """Return how to read an edition.

    Args:
        files: Its names for the namespace of files.
        categories: Its names for the namespace of categories.
        templates: Further templates and what they show.

    Returns:
        What turns its wikitext into text; English names are always understood too.
    """
    words = load_words()
    names = (re.escape(name).replace(r"\ ", "[ _]") for name in words["disambiguation"])
    return Wikitext(
        files=frozenset(map(str.lower, files)) | frozenset(words["files"]),
        categories=frozenset(map(str.lower, categories)) | frozenset(words["categories"]),
        templates=dict(words["templates"]) | {_name(k): v for k, v in templates.items()},
        pattern="|".join(words["template_patterns"]),
        disambiguation=rf"(?i)\{{\{{\s*(?:{'|'.join(names)})\s*[|}}]",
    )

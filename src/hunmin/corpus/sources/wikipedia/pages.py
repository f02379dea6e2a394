"""Pages of a MediaWiki export (XML), cut out of it by their tags.

A whole XML parser would read what the export never holds: its tags have one spelling, and text in
it is escaped, so `<page>` is always a page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

PAGE_START, PAGE_END = b"<page>", b"</page>"
_TITLE = re.compile(r"<title>([^<]*)</title>")
_NAMESPACE = re.compile(r"<ns>(-?\d+)</ns>")
_ID = re.compile(r"<id>(\d+)</id>")
_TEXT = re.compile(r"<text\b[^<>]*?(?:/>|>([^<]*)</text>)")
_NAMES = re.compile(r'<namespace key="(-?\d+)"[^<>]*?(?:/>|>([^<]*)</namespace>)')
_BASE = re.compile(r"<base>([^<]*)</base>")
# The ampersand comes last: what it escapes is text.
_ESCAPES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))
MALFORMED = "malformed page"


class Page(NamedTuple):
    """One page of an export."""

    id: str
    """Number of the page."""
    title: str
    """Its title, with its namespace."""
    namespace: int
    """0 for articles."""
    revision: str
    """Number of the version."""
    is_redirect: bool
    """It only leads to another page."""
    wikitext: str
    """The text as its authors wrote it."""
    problem: str = ""
    """What is missing, if the page cannot be used."""


class SiteInfo(NamedTuple):
    """What the head of an export says about its edition."""

    base: str
    """Address of the main page; empty if it is not told."""
    namespaces: dict[int, str]
    """Number -> name."""

    def url(self, title: str) -> str:
        """Return the address of a page; empty if the base is not known."""
        from urllib.parse import quote

        folder, slash, _ = self.base.rpartition("/")
        return f"{folder}/{quote(title.replace(' ', '_'))}" if slash else ""


def parse_site_info(head: str) -> SiteInfo:
    """Read the head of an export, up to its first page."""
    base = _BASE.search(head)
    names = {int(key): html.unescape(name) for key, name in _NAMES.findall(head)}
    return SiteInfo(html.unescape(base[1]) if base else "", names)


def parse_pages(xml: str) -> Iterator[Page]:
    """Yield the pages of a piece of an export.

    Args:
        xml: Whole pages; anything between them is passed over.

    Yields:
        Every page; one without number, title or text comes with its problem.
    """
    for part in xml.split("<page>")[1:]:
        page, end, _ = part.partition("</page>")
        yield _parse_page(page, is_whole=bool(end))


def _parse_page(xml: str, *, is_whole: bool) -> Page:
    head, revision, rest = xml.rpartition("<revision>")
    title, namespace, page_id = _TITLE.search(head), _NAMESPACE.search(head), _ID.search(head)
    text, version = _TEXT.search(rest), _ID.search(rest)
    parts = {"title": title, "id": page_id, "revision": revision, "text": text}
    missing = [f"no <{name}>" for name, part in parts.items() if not part]
    if not is_whole:
        missing = ["no </page>"]
    return Page(
        id=page_id[1] if page_id else "",
        title=_unescape(title[1]) if title else "",
        namespace=int(namespace[1]) if namespace else 0,
        revision=version[1] if version else "",
        is_redirect="<redirect " in head,
        wikitext=_unescape(text[1] or "") if text else "",
        problem=missing[0] if missing else "",
    )


def _unescape(text: str) -> str:
    """Undo the escapes of XML; an export has no others but numbers."""
    if "&#" in text:
        return html.unescape(text)
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text


def outer_parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Part a piece of an export into the end of a page, whole pages, and the start of a page.

    Args:
        data: Any stretch of an export.

    Returns:
        What stands before the first page, the pages, what follows the last one.
    """
    first, last = data.find(PAGE_START), data.rfind(PAGE_END)
    end = data.find(PAGE_END)
    if first < 0 or last < first:
        return _without_pages(data, first, end)
    return data[:first], data[first : last + len(PAGE_END)], data[last + len(PAGE_END) :]


def _without_pages(data: bytes, first: int, end: int) -> tuple[bytes, bytes, bytes]:
    if first >= 0 and end >= 0:
        return data[:first], b"", data[first:]
    return (data, b"", b"") if first < 0 else (data[:first], b"", data[first:])

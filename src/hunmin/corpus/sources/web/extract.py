"""The text of a page without its menus, by one of two extractors."""

from __future__ import annotations

import html
import logging
import re
from typing import NamedTuple

from hunmin.core.extras import require
from hunmin.corpus.sources.spec import Extractor

MAX_PAGE_CHARACTERS = 1 << 23
# Both extractors take time that grows with the square of these; pages for readers stay far below.
MAX_TAGS = {"quick": 200_000, "quality": 30_000}
MAX_DEPTH = 512
MAX_ATTRIBUTES = 1_000
TOO_COMPLEX = "page too complex"
_NESTING = re.compile(
    r"<(/?)(?:div|section|article|span|ul|ol|table|blockquote|font|b|i|em|strong|center|main|nav|"
    r"dl|form|fieldset|big|small|u|s|a|td)\b",
    re.IGNORECASE,
)
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{4000,}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TITLE = re.compile(r"<title\b[^>]*>([^<]{1,1000})", re.IGNORECASE)
_EMPTY_LINES = re.compile(r"\n{3,}")


class ExtractedPage(NamedTuple):
    """The text of a page, or why there is none."""

    text: str
    """Paragraphs and list items on lines of their own."""
    problem: str
    """What makes the page unreadable; empty if nothing is wrong."""


def extract_text(page: str, extractor: Extractor) -> ExtractedPage:
    """Extract the main content of a page.

    Args:
        page: HTML.
        extractor: `quick` (resiliparse) or `quality` (trafilatura).

    Returns:
        The text; empty if the page has none. Pages that would take an extractor minutes come with
        the limit they break.

    Raises:
        MissingExtraError: The extractor is not installed.
    """
    problem = _too_complex(page, extractor)
    if problem:
        return ExtractedPage("", problem)
    text = _quick(page) if extractor == "quick" else _quality(page)
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return ExtractedPage(_EMPTY_LINES.sub("\n\n", text).strip(), "")


def title_of(page: str) -> str:
    """Return what a page calls itself; empty if it does not."""
    match = _TITLE.search(page)
    return " ".join(html.unescape(match[1]).split()) if match else ""


def _quick(page: str) -> str:
    module = require("resiliparse.extract.html2text", extra="web")
    text: str = module.extract_plain_text(
        page, main_content=True, alt_texts=False, comments=False, post_meta=False
    )
    return text


def _quality(page: str) -> str:
    trafilatura = require("trafilatura", extra="web")
    # What it cannot read comes out empty here and is counted; its own log would repeat that.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return trafilatura.extract(page, include_comments=False) or ""


def _too_complex(page: str, extractor: Extractor) -> str:
    if len(page) > MAX_PAGE_CHARACTERS:
        return f"longer than {MAX_PAGE_CHARACTERS:,} characters"
    tags = page.count("<")
    if tags > MAX_TAGS[extractor]:
        return f"more than {MAX_TAGS[extractor]:,} tags"
    if tags > MAX_DEPTH and _depth(page) > MAX_DEPTH:
        return f"elements nested more than {MAX_DEPTH} deep"
    for match in _LONG_TAG.finditer(page):
        if _QUOTED.sub("", match[0]).count("=") > MAX_ATTRIBUTES:
            return f"a tag with more than {MAX_ATTRIBUTES:,} attributes"
    return ""


def _depth(page: str) -> int:
    depth = deepest = 0
    for closing in _NESTING.findall(page):
        depth += -1 if closing else 1
        deepest = max(deepest, depth)
    return deepest

"""The page as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hunmin.corpus.report.blocks import (
    Block,
    Bullets,
    Code,
    Page,
    Paragraph,
    Picture,
    Piece,
    Sample,
    Samples,
    Section,
    Table,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~$#])")
_BULLET = re.compile(r"^(\s*)([-+=])", re.MULTILINE)
_NUMBER = re.compile(r"^(\s*\d+)([.)])(?=\s|$)", re.MULTILINE)


def to_markdown(page: Page, *, has_pictures: bool) -> str:
    """Write a page as Markdown.

    Args:
        page: What it says.
        has_pictures: Whether plots/ was drawn; without it no picture is linked.

    Returns:
        GitHub-flavoured Markdown; text out of the corpus is escaped.
    """
    parts = [f"# {escape(page.title)}"]
    parts += sections_to_markdown(page.sections, has_pictures=has_pictures)
    return "\n\n".join(parts) + "\n"


def sections_to_markdown(sections: Sequence[Section], *, has_pictures: bool) -> list[str]:
    """Return the titles and blocks of sections, to be parted by empty lines."""
    parts = []
    for section in sections:
        parts.append(f"## {section.title}")
        blocks = (block for block in section.blocks if has_pictures or not _is_picture(block))
        parts += ["\n".join(_block(block)) for block in blocks]
    return parts


def _is_picture(block: Block) -> bool:
    return isinstance(block, Picture)


def escape(text: str) -> str:
    """Take the meaning away from everything that Markdown or HTML would read as more than text."""
    inert = _SPECIAL.sub(r"\\\1", text)
    return _NUMBER.sub(r"\1\\\2", _BULLET.sub(r"\1\\\2", inert))


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(text):
            return [escape(text)]
        case Bullets(items):
            return [f"- {escape(item)}" for item in items]
        case Code(text):
            return ["```python", text, "```"]
        case Table():
            return _table(block)
        case Picture(name, description):
            return [f"![{escape(description)}](plots/{name}.svg)"]
        case Samples():
            return _samples(block)


def _table(table: Table) -> list[str]:
    marks = ["---" if i in table.text_columns else "--:" for i in range(len(table.header))]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return ["| " + " | ".join(cells) + " |" for cells in (table.header, marks, *rows)]


def _cell(text: str) -> str:
    return escape(" ".join(text.split()))


def _samples(samples: Samples) -> list[str]:
    lines = [f"**{escape(samples.title)}**"]
    for sample in samples.samples:
        lines += ["", *_sample(sample)]
    return lines


def _sample(sample: Sample) -> list[str]:
    lines: list[str] = []
    for number, pieces in enumerate(sample.texts):
        label = f"*{sample.labels[number]}:* " if sample.labels else ""
        text = label + "".join(_piece(piece) for piece in pieces)
        lines += [">", *(f"> {line}  " for line in text.split("\n"))]
    caption = f"> <sub>{escape(sample.caption)}</sub>"
    return [*lines[1:], ">", caption] if sample.caption else lines[1:]


def _piece(piece: Piece) -> str:
    if not piece.is_marked:
        return escape(piece.text)
    parts = (f"<mark>{escape(part)}</mark>" if part else "" for part in piece.text.split("\n"))
    return "\n".join(parts)

"""The page as one HTML file that fetches nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources

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


def to_html(page: Page, drawings: Mapping[str, str]) -> str:
    """Write a page as HTML.

    Args:
        page: What it says; all of it is escaped.
        drawings: SVG elements by name of picture; a picture that is not among them is left out.

    Returns:
        A document without scripts and without references to other files.
    """
    style = resources.files("hunmin.corpus.report").joinpath("page.css").read_text("utf-8")
    title = escape(page.title)
    links = (f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in page.sections)
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        f'<header><h1 dir="auto">{title}</h1></header>',
        f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>',
        "<main>",
        *(_section(section, drawings) for section in page.sections),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _section(section: Section, drawings: Mapping[str, str]) -> str:
    blocks = (_block(block, drawings) for block in section.blocks)
    return "\n".join(
        [
            f'<section id="{section.anchor}">',
            f"<h2>{escape(section.title)}</h2>",
            *(block for block in blocks if block),
            "</section>",
        ]
    )


def _block(block: Block, drawings: Mapping[str, str]) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Code(text):
            return f'<pre class="wide"><code>{escape(text)}</code></pre>'
        case Table():
            return _table(block)
        case Picture(name, description):
            return _picture(drawings.get(name, ""), description)
        case Samples():
            return _samples(block)


def _picture(drawing: str, description: str) -> str:
    if not drawing:
        return ""
    return f'<figure role="img" aria-label="{escape(description)}">{drawing}</figure>'


def _table(table: Table) -> str:
    def cell(kind: str, column: int, text: str) -> str:
        side = "" if column in table.text_columns else ' class="number"'
        scope = ' scope="col"' if kind == "th" else ""
        is_foreign = kind == "td" and column in table.foreign_columns
        content = f"<bdi>{escape(text)}</bdi>" if is_foreign else escape(text)
        return f"<{kind}{side}{scope}>{content}</{kind}>"

    def row(kind: str, cells: tuple[str, ...]) -> str:
        return f"<tr>{''.join(cell(kind, i, text) for i, text in enumerate(cells))}</tr>"

    rows = "\n".join(row("td", cells) for cells in table.rows)
    head = row("th", table.header)
    return (
        f'<div class="wide"><table><thead>{head}</thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )


def _samples(samples: Samples) -> str:
    state = " open" if samples.is_open else ""
    count = len(samples.samples)
    return "\n".join(
        [
            f"<details{state}><summary>{escape(samples.title)} <small>{count}</small></summary>",
            *(_sample(sample) for sample in samples.samples),
            "</details>",
        ]
    )


def _sample(sample: Sample) -> str:
    language = f' lang="{escape(sample.language)}"' if sample.language else ""
    parts = []
    for number, pieces in enumerate(sample.texts):
        if sample.labels:
            parts.append(f'<p class="label">{escape(sample.labels[number])}</p>')
        text = "".join(_piece(piece) for piece in pieces)
        parts.append(f'<blockquote{language} dir="auto">{text}</blockquote>')
    if sample.caption:
        parts.append(f'<p class="origin">{escape(sample.caption)}</p>')
    return f"<article>{''.join(parts)}</article>"


def _piece(piece: Piece) -> str:
    text = escape(piece.text)
    return f"<mark>{text}</mark>" if piece.is_marked else text

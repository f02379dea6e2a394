"""Where each tokenizer cuts a sentence, side by side: for a terminal, as HTML and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from hunmin.tokenizer.compare.results import Cut, SentenceCuts
from hunmin.tokenizer.compare.subject import Subject, Tokens
from hunmin.tokenizer.inspect import visible_character

if TYPE_CHECKING:
    from rich.text import Text

# Backgrounds of neighbouring tokens, of tokens that share a character, of unknown text.
FILLS = ("#CFE5F5", "#FBE3C8")
SHARED, UNKNOWN = "#E8D3E2", "#F3B3A6"
INK, MUTED = "#1F2328", "#6E7781"
CELL, LINE, MARGIN = 8.4, 26, 16
MAX_CHARACTERS = 90


class Piece(NamedTuple):
    """A stretch of a sentence as it is shown."""

    text: str
    """Its characters, and how many tokens they take if more than one."""
    fill: str | None
    """Background; None for characters that no token stands for."""


def cut_sentences(subjects: Sequence[Subject], texts: Sequence[str]) -> tuple[SentenceCuts, ...]:
    """Let each tokenizer cut some sentences.

    Args:
        subjects: The tokenizers.
        texts: Sentences; they are shortened to 90 characters.

    Returns:
        The cuts of each sentence by tokenizer.
    """
    short = [text[:MAX_CHARACTERS] for text in texts]
    cuts = {subject.name: _cuts(subject.encode(short)) for subject in subjects}
    return tuple(
        SentenceCuts(text=text, cuts={name: found[number] for name, found in cuts.items()})
        for number, text in enumerate(short)
    )


def _cuts(tokens: Tokens) -> list[tuple[Cut, ...]]:
    cuts = []
    for first, last in zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True):
        found: list[Cut] = []
        for number in range(first, last):
            start, end = int(tokens.starts[number]), int(tokens.ends[number])
            unknown = bool(tokens.unknown[number])
            if found and start < found[-1].end:
                found[-1] = _join(found[-1], end, unknown=unknown)
            elif start < end:
                found.append(Cut(start=start, end=end, num_tokens=1, unknown=unknown))
        cuts.append(tuple(found))
    return cuts


def _join(cut: Cut, end: int, *, unknown: bool) -> Cut:
    return Cut(
        start=cut.start,
        end=max(cut.end, end),
        num_tokens=cut.num_tokens + 1,
        unknown=cut.unknown or unknown,
    )


def pieces(text: str, cuts: Sequence[Cut]) -> Iterator[Piece]:
    """Return what is shown of a sentence.

    Args:
        text: The sentence.
        cuts: Where one tokenizer cuts it.

    Yields:
        Its stretches in order.
    """
    end = 0
    for number, cut in enumerate(cuts):
        if cut.start > end:
            yield Piece(_shown(text[end : cut.start]), None)
        times = f"×{cut.num_tokens}" if cut.num_tokens > 1 else ""
        yield Piece(_shown(text[cut.start : cut.end]) + times, _fill(cut, number))
        end = cut.end
    if end < len(text):
        yield Piece(_shown(text[end:]), None)


def _fill(cut: Cut, number: int) -> str:
    if cut.unknown:
        return UNKNOWN
    return SHARED if cut.num_tokens > 1 else FILLS[number % 2]


def _shown(text: str) -> str:
    return "".join(c if c == " " else visible_character(c) for c in text)


def plain_lines(sentence: SentenceCuts) -> list[str]:
    """Return a sentence as lines of plain text: `byte-bpe  학교|에서는| 친구`."""
    width = max(cell_len(name) for name in sentence.cuts)
    return [
        f"{name}{' ' * (width - cell_len(name))}  {_joined(sentence.text, cuts)}"
        for name, cuts in sentence.cuts.items()
    ]


def _joined(text: str, cuts: Sequence[Cut]) -> str:
    shown, before = "", None
    for piece in pieces(text, cuts):
        shown += ("|" if piece.fill and before else "") + piece.text
        before = piece.fill
    return shown


def terminal_lines(sentence: SentenceCuts) -> list[Text]:
    """Return a sentence as coloured lines for a terminal, one for each tokenizer."""
    from rich.text import Text

    width = max(cell_len(name) for name in sentence.cuts)
    lines = []
    for name, cuts in sentence.cuts.items():
        line = Text(name + " " * (width - cell_len(name) + 2), no_wrap=True)
        for piece in pieces(sentence.text, cuts):
            line.append(piece.text, style=f"{INK} on {piece.fill}" if piece.fill else "")
        lines.append(line.append(f"  {_num_tokens(cuts)}", style="dim"))
    return lines


def _num_tokens(cuts: Sequence[Cut]) -> int:
    return sum(cut.num_tokens for cut in cuts)


def sentences_html(sentences: Sequence[SentenceCuts]) -> str:
    """Return a page that shows all sentences, without scripts or anything from elsewhere."""
    tables = "\n".join(_html_table(sentence) for sentence in sentences)
    return f"""<!doctype html>
<meta charset="utf-8">
<title>Where each tokenizer cuts</title>
<style>
body {{ font: 16px/1.7 system-ui, sans-serif; color: {INK}; margin: 2rem; }}
table {{ border-collapse: collapse; margin: 0 0 2rem; }}
th, td.n {{ color: {MUTED}; font-weight: normal; text-align: left; padding-right: 1rem; }}
span {{ border-radius: 3px; padding: 2px 0; white-space: pre-wrap; }}
</style>
<h1>Where each tokenizer cuts</h1>
<p>{escape(LEGEND)}</p>
{tables}
"""


LEGEND = (
    "Colours alternate from token to token. ×2: two tokens share a character. "
    "Red: the vocabulary cannot express it."
)


def _html_table(sentence: SentenceCuts) -> str:
    rows = []
    for name, cuts in sentence.cuts.items():
        shown = "".join(
            f'<span style="background:{piece.fill or "none"}">{escape(piece.text)}</span>'
            for piece in pieces(sentence.text, cuts)
        )
        number = f'<td class="n">{_num_tokens(cuts)}</td>'
        rows.append(f"<tr><th>{escape(name)}</th>{number}<td>{shown}</td></tr>")
    return "<table>" + "\n".join(rows) + "</table>"


def sentences_svg(sentences: Sequence[SentenceCuts]) -> str:
    """Return a drawing of all sentences; the viewer's fonts write the text."""
    names = [name for sentence in sentences for name in sentence.cuts]
    left = MARGIN + CELL * (max(map(cell_len, names), default=0) + 2)
    body: list[str] = []
    top, right = MARGIN, left
    for sentence in sentences:
        for name, cuts in sentence.cuts.items():
            end = _svg_line(body, name, list(pieces(sentence.text, cuts)), left, top)
            right = max(right, end)
            top += LINE
        top += LINE // 2
    size = f'width="{right + MARGIN:.0f}" height="{top:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" '
            f'font-size="14" fill="{INK}">',
            f'<rect {size} fill="white"/>',
            *body,
            "</svg>\n",
        ]
    )


def _svg_line(body: list[str], name: str, shown: Sequence[Piece], left: float, top: float) -> float:
    """Draw one tokenizer's pieces; return where they end."""
    baseline = top + LINE * 0.65
    body.append(f'<text x="{MARGIN}" y="{baseline:.1f}" fill="{MUTED}">{escape(name)}</text>')
    x = left
    for piece in shown:
        width = CELL * cell_len(piece.text)
        if piece.fill:
            body.append(
                f'<rect x="{x:.1f}" y="{top + 2}" width="{width - 1:.1f}" height="{LINE - 5}" '
                f'rx="3" fill="{piece.fill}"/>'
            )
        if piece.text.strip() and width:
            indent = CELL * (cell_len(piece.text) - cell_len(piece.text.lstrip()))
            body.append(
                f'<text x="{x + indent:.1f}" y="{baseline:.1f}" '
                f'textLength="{width - indent - 1:.1f}" lengthAdjust="spacingAndGlyphs">'
                f"{escape(piece.text.strip())}</text>"
            )
        x += width
    return x

"""All pictures of a report, as files beside it and as elements for the page."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hunmin.core.extras import require
from hunmin.core.figures import (
    FAINT,
    INK,
    MUTED,
    PLOT_SUFFIXES,
    new_figure,
    save_figure,
)
from hunmin.core.units import format_bytes
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.report.bars import (
    BARS_WIDTH,
    MAX_LANGUAGES,
    MAX_PANELS,
    MAX_ROWS,
    Bar,
    Found,
    Histogram,
    bars_height,
    draw_bars,
    draw_lengths,
    draw_matrix,
    largest,
    matrix_size,
    panels_size,
)
from hunmin.corpus.report.flow import WIDTH, draw_flow, flow_height, flow_steps
from hunmin.corpus.report.groups import sizes_of_clusters
from hunmin.corpus.report.numbers import format_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Statistics = Mapping[str, Any]
_NUMBER = re.compile(r"\b\d+\.\d{3,}\b")


class Drawing(NamedTuple):
    """A picture that can be drawn."""

    size: tuple[float, float]
    """Width and height in inches."""
    draw: Callable[[Figure], None]


def drawings_of(statistics: Statistics) -> dict[str, Drawing]:
    """Return the pictures that the numbers allow, by name, in the order of the page."""
    makers = {
        "flow": flow_drawing,
        "duplicates": duplicates_drawing,
        "privacy": privacy_drawing,
        "contamination": contamination_drawing,
        "languages": languages_drawing,
        "lengths": lengths_drawing,
        "identified": identified_drawing,
        "sources": sources_drawing,
    }
    drawings = {name: make(statistics) for name, make in makers.items()}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def plot_all(statistics: Statistics, folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Draw everything.

    Args:
        statistics: statistics.json.
        folder: Where the files go; made if missing.

    Returns:
        The files, and an SVG element for each picture that takes its colours from the page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths, elements = [], {}
    for name, (size, draw) in drawings_of(statistics).items():
        with new_figure(*size) as figure:
            draw(figure)
            for suffix in PLOT_SUFFIXES:
                paths.append(folder / f"{name}{suffix}")
                save_figure(figure, paths[-1])
            elements[name] = svg_element(figure, name)
    return paths, elements


def svg_element(figure: Figure, name: str) -> str:
    """Return a figure as an element for a page.

    Args:
        figure: Drawn with `new_figure`.
        name: Makes its ids differ from those of other pictures on the page.

    Returns:
        An `<svg>` whose text is text, whose background is the page's, and whose ink, muted and
        faint colours are the page's `--ink`, `--muted` and `--faint`.
    """
    matplotlib = require("matplotlib", extra="plots")
    for axes in figure.axes:
        axes.patch.set_visible(False)
    target = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        without = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(target, format="svg", metadata=without, facecolor="none")
    element = target.getvalue()
    width = figure.get_size_inches()[0]
    limits = f'style="max-width:{104 * width:.0f}px;min-width:{68 * width:.0f}px"'
    element = element[element.index("<svg") :].strip().replace("<svg", f"<svg {limits}", 1)
    element = _compact(re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", element))
    for color, variable in ((INK, "ink"), (MUTED, "muted"), (FAINT, "faint")):
        element = element.replace(color.lower(), f"var(--{variable})")
    return element


def _compact(element: str) -> str:
    """Take out what a page does not need: about two thirds of what matplotlib writes."""
    for useless in ("metadata", "style"):
        element = re.sub(rf"<{useless}.*?</{useless}>", "", element, count=1, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)", element))
    element = re.sub(r'\sid="([^"]*)"', lambda match: match[0] if match[1] in used else "", element)
    element = re.sub(r"\stransform=\"rotate\(-0 [^\"]*\"| font-family: '[^']*';", "", element)
    element = re.sub(
        r"<[^>]+>", lambda tag: _NUMBER.sub(_rounded, " ".join(tag[0].split())), element
    )
    return re.sub(r">\s+<", "><", element)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}"


def flow_drawing(statistics: Statistics) -> Drawing | None:
    """From read to kept."""
    if not statistics.get("flow"):
        return None
    steps = flow_steps(statistics["flow"])
    kept = splits_line(statistics.get("total", {}))
    return Drawing((WIDTH, flow_height(steps)), lambda figure: draw_flow(figure, steps, kept))


def splits_line(total: Mapping[str, Any]) -> str:
    """Return "train 1,234 · validation 56", of the splits that the statistics know."""
    counts = ((name, total.get(f"{name}_documents")) for name in SPLITS)
    return " · ".join(f"{name} {count:,}" for name, count in counts if count)


def _bars(bars: list[Bar], titles: tuple[str, str], second: str = "") -> Drawing | None:
    if not bars:
        return None
    size = (BARS_WIDTH, bars_height(bars))
    return Drawing(size, lambda figure: draw_bars(figure, bars, titles, second))


def languages_drawing(statistics: Statistics) -> Drawing | None:
    """Bytes kept by language, and the share of its documents that was dropped."""
    return _kept_drawing(statistics.get("languages", {}), "language")


def sources_drawing(statistics: Statistics) -> Drawing | None:
    """Bytes kept by source, and the share of its documents that was dropped."""
    return _kept_drawing(statistics.get("sources", {}), "source")


def _kept_drawing(rows: Mapping[str, Any], kind: str) -> Drawing | None:
    names, others = largest({name: row["utf8_bytes"] for name, row in rows.items()}, MAX_ROWS)
    bars = [_kept_bar(name, [rows[name]]) for name in names]
    if others:
        bars.append(_kept_bar(f"{len(others)} others", [rows[name] for name in others]))
    subtitle = "UTF-8 bytes of what is kept, largest first"
    return _bars(bars, (f"Text by {kind}", subtitle), "share of documents dropped")


def _kept_bar(name: str, rows: list[Mapping[str, Any]]) -> Bar:
    kept = sum(row["documents"] for row in rows)
    dropped = sum(sum(row.get("rejects", {}).values()) for row in rows)
    size = sum(row["utf8_bytes"] for row in rows)
    return Bar(name, size, format_bytes(size), dropped / max(kept + dropped, 1))


def duplicates_drawing(statistics: Statistics) -> Drawing | None:
    """Kept documents by the size of their cluster."""
    ordered = sorted(sizes_of_clusters(statistics).items(), key=lambda item: first_number(item[0]))
    bars = [Bar(_copies(size), count, f"{count:,}") for size, count in ordered]
    subtitle = "kept documents by how many equal or near documents stood for the same text"
    return _bars(bars, ("Sizes of duplicate clusters", subtitle))


def first_number(name: str) -> int:
    """Return 5 for "5-8"."""
    match = re.search(r"\d+", name)
    return int(match[0]) if match else 0


def _copies(size: str) -> str:
    return "alone" if size == "1" else f"{size} documents"


def privacy_drawing(statistics: Statistics) -> Drawing | None:
    """Personal data that were masked, by type."""
    counts = statistics.get("privacy", {}).get("counts", {})
    names, others = largest({name: n for name, n in counts.items() if n}, MAX_ROWS)
    bars = [Bar(name, counts[name], f"{counts[name]:,}") for name in names]
    if others:
        rest = sum(counts[name] for name in others)
        bars.append(Bar(f"{len(others)} others", rest, f"{rest:,}"))
    return _bars(bars, ("Personal data masked", "number of places by type"))


def contamination_drawing(statistics: Statistics) -> Drawing | None:
    """Items of each evaluation set that stand in the corpus."""
    sets = statistics.get("contamination", {}).get("sets", {})
    names, others = largest({name: row["found_share"] for name, row in sets.items()}, MAX_ROWS + 1)
    bars = [_set_bar(name, sets[name]) for name in names]
    left_out = f" · the {len(others)} with the smallest share are not drawn" if others else ""
    subtitle = "share of the items that can be looked for" + left_out
    return _bars(bars, ("Evaluation items found in the corpus", subtitle))


def _set_bar(name: str, row: Mapping[str, Any]) -> Bar:
    searched = row["whole"] + row["runs"]
    share = format_share(row["found_items"], searched)
    return Bar(name, row["found_share"], f"{share} · {row['found_items']:,} of {searched:,}")


def lengths_drawing(statistics: Statistics) -> Drawing | None:
    """Documents by characters, a panel for each language."""
    lengths = {
        tag: {int(place): count for place, count in histogram.items() if count}
        for tag, histogram in statistics.get("lengths", {}).items()
    }
    lengths = {tag: histogram for tag, histogram in lengths.items() if histogram}
    if not lengths:
        return None
    totals = {tag: sum(histogram.values()) for tag, histogram in lengths.items()}
    names, others = largest(totals, MAX_PANELS)
    panels: list[tuple[str, Histogram]] = [(tag, lengths[tag]) for tag in names]
    if others:
        rest: Counter[int] = Counter()
        for tag in others:
            rest.update(lengths[tag])
        panels.append((f"{len(others)} others", rest))
    return Drawing(panels_size(len(panels)), lambda figure: draw_lengths(figure, panels))


def identified_drawing(statistics: Statistics) -> Drawing | None:
    """What was identified in documents of each declared language."""
    found = {tag: row for tag, row in statistics.get("languages_found", {}).items() if row}
    if not found:
        return None
    rows, columns = matrix_of(found)
    size = matrix_size(len(rows), len(columns))
    return Drawing(size, lambda figure: draw_matrix(figure, rows, columns))


def matrix_of(found: Mapping[str, Mapping[str, int]]) -> tuple[Found, list[str]]:
    """Return rows and columns of the picture: the largest, what is left out in "other".

    Args:
        found: Documents by declared and identified language.

    Returns:
        The rows by falling size, and the columns: the declared ones first, in the same order.
    """
    names, _ = largest({tag: sum(row.values()) for tag, row in found.items()}, MAX_LANGUAGES + 1)
    names = names[:MAX_LANGUAGES]
    totals: Counter[str] = Counter()
    for name in names:
        totals.update(found[name])
    diagonal = [name for name in names if totals[name]]
    rest = sorted(set(totals) - set(diagonal), key=lambda tag: (-totals[tag], tag))
    columns = [*diagonal, *rest][: MAX_LANGUAGES + 1]
    left_out = set(totals) - set(columns)
    columns += ["other"] if left_out else []
    return [_row(name, found[name], columns) for name in names], columns


def _row(name: str, row: Mapping[str, int], columns: list[str]) -> tuple[str, int, list[float]]:
    total = sum(row.values())
    shown = [column for column in columns if column != "other"]
    shares = [row.get(column, 0) / max(total, 1) for column in shown]
    if len(shown) < len(columns):
        shares.append(max(0.0, 1 - sum(shares)) if set(row) - set(shown) else 0.0)
    return name, total, shares

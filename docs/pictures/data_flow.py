"""Draw the flow of data through the stages; run it as `python docs/pictures/data_flow.py`."""

from __future__ import annotations

from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[1] / "images" / "data-flow.svg"
WIDTH, HEIGHT = 136, 52
# Name, what it is made of, column, row.
BOXES = (
    ("raw text", "files, templates", 0, 1),
    ("documents", "Parquet", 1, 1),
    ("tokenizer", "tokenizer.json", 2, 0),
    ("tokens", "shards, mapped", 3, 1),
    ("model", "safetensors", 4, 1),
    ("report", "Markdown, JSON, plots", 5, 0),
    ("samples", "JSON lines", 5, 1),
    ("server", "OpenAI-compatible", 5, 2),
)
ARROWS = (
    *(("raw text", "documents"), ("documents", "tokenizer"), ("documents", "tokens")),
    *(("tokenizer", "tokens"), ("tokens", "model"), ("model", "report")),
    *(("model", "samples"), ("model", "server")),
)
STYLE = """
  rect { fill: #eef1fb; stroke: #3f51b5; stroke-width: 1.5 }
  path { fill: none; stroke: #8a90a8; stroke-width: 1.5; marker-end: url(#tip) }
  text { font-family: system-ui, sans-serif; text-anchor: middle; fill: #1c2340 }
  .name { font-size: 14px; font-weight: 600 } .form { font-size: 11px; fill: #4a5272 }
"""
MARKER = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" style="fill:#8a90a8;stroke:none"/></marker>'
)


def corner(column: int, row: int) -> tuple[int, int]:
    """Return the upper left corner of a box."""
    return 10 + column * (WIDTH + 28), 10 + row * (HEIGHT + 28)


def box(name: str, form: str, column: int, row: int) -> str:
    """Return one box with its two lines."""
    x, y = corner(column, row)
    middle = x + WIDTH // 2
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="name" x="{middle}" y="{y + 22}">{name}</text>'
        f'<text class="form" x="{middle}" y="{y + 39}">{form}</text>'
    )


def arrow(start: str, end: str) -> str:
    """Return a curve from the right side of one box to the left side of another."""
    places = {name: corner(column, row) for name, _, column, row in BOXES}
    x1, y1 = places[start][0] + WIDTH, places[start][1] + HEIGHT // 2
    x2, y2 = places[end][0] - 2, places[end][1] + HEIGHT // 2
    bend = 18
    return f'<path d="M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"/>'


def main() -> None:
    """Write the picture."""
    width, height = corner(6, 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>From raw text to a model that speaks</title>",
        f"<style>{STYLE}</style><defs>{MARKER}</defs>",
        *(arrow(*ends) for ends in ARROWS),
        *(box(*each) for each in BOXES),
        "</svg>\n",
    ]
    OUTPUT.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

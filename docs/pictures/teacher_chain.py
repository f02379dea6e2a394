"""Draw the chain from a teacher to a deployed student; `python docs/pictures/teacher_chain.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[1] / "images" / "teachers-and-students.svg"
WIDTH, GAP, MIDDLE = 128, 30, 190
TOP, BOTTOM = 30, 300


@dataclass(frozen=True)
class Model:
    """A model of the chain: its stage, what is said below, and how tall it is drawn."""

    stage: str
    lines: tuple[str, ...]
    height: int


MODELS = (
    Model("train", ("teacher", "objectives"), 124),
    Model("stage2", ("teacher", "goes on"), 124),
    Model("intermediate", ("student", "logits"), 88),
    Model("student", ("small student", "logits"), 60),
    Model("nlu", ("intents and slots", "heads"), 60),
    Model("export", ("int8, ONNX",), 46),
)
# What comes from above: name, form, the first and the last model that reads it.
SOURCES = (
    ("general text", "many languages, 7 of 10 as spoken", 0, 3),
    ("labels", "English alone", 4, 4),
)
# The same from below.
DOMAIN = ("text of the domain", "what people say to assistants, no labels", 1, 3)
TESTED = ("report", "every language", 4, 4)
STYLE = """
  rect { stroke-width: 1.5 } .model { fill: #eef1fb; stroke: #3f51b5 }
  .text { fill: #fff8e6; stroke: #b58a2a } .out { fill: #eaf6ee; stroke: #3b8a57 }
  path { fill: none; stroke: #8a90a8; stroke-width: 1.5; marker-end: url(#tip) }
  .taught { stroke: #3f51b5; stroke-width: 3; marker-end: url(#taught) }
  text { font-family: system-ui, sans-serif; text-anchor: middle; fill: #1c2340 }
  .name { font-size: 14px; font-weight: 600 } .form { font-size: 11px; fill: #4a5272 }
"""
TIPS = {"tip": ("#8a90a8", 8), "taught": ("#3f51b5", 12)}


def marker(name: str) -> str:
    """Return the tip of an arrow."""
    color, size = TIPS[name]
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="{size}" '
        f'markerHeight="{size}" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" style="fill:{color};stroke:none;marker-end:none"/>'
        "</marker>"
    )


def left(column: int) -> int:
    """Return the left side of a column."""
    return 10 + column * (WIDTH + GAP)


def box(style: str, x: int, y: int, width: int, height: int, lines: tuple[str, ...]) -> str:
    """Return a box with its lines in the middle, the first one in bold."""
    first = y + height / 2 - 8 * (len(lines) - 1) + 5
    texts = [
        f'<text class="{"form" if number else "name"}" x="{x + width / 2:g}" '
        f'y="{first + 16 * number:g}">{line}</text>'
        for number, line in enumerate(lines)
    ]
    rect = f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    return rect + "".join(texts)


def model(column: int) -> str:
    """Return the box of a model."""
    made = MODELS[column]
    y = MIDDLE - made.height // 2
    style = "out" if made.stage == "export" else "model"
    return box(style, left(column), y, WIDTH, made.height, (made.stage, *made.lines))


def step(column: int) -> str:
    """Return the arrow from a model to the next one; a teacher's is bold."""
    x = left(column) + WIDTH
    style = ' class="taught"' if column in (1, 2) else ""
    return f'<path{style} d="M{x},{MIDDLE} L{x + GAP - 2},{MIDDLE}"/>'


def source(row: tuple[str, str, int, int], y: int, style: str, *, is_read: bool = True) -> str:
    """Return a wide box above or below the models, with arrows between it and each of them."""
    name, form, first, last = row
    x, height = left(first), 44
    width = left(last) + WIDTH - x
    arrows = []
    for column in range(first, last + 1):
        place = left(column) + WIDTH // 2
        half = MODELS[column].height // 2
        near, far = (y + height, MIDDLE - half) if y < MIDDLE else (y, MIDDLE + half)
        ends = (near, far) if is_read else (far, near)
        arrows.append(f'<path d="M{place},{ends[0]} L{place},{ends[1]}"/>')
    return "".join(arrows) + box(style, x, y, width, height, (name, form))


def main() -> None:
    """Write the picture."""
    width, height = left(len(MODELS)) - GAP + 10, BOTTOM + 44 + 10
    tips = "".join(map(marker, TIPS))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>A teacher, its second stage, two students, intents and slots, an export</title>",
        f"<style>{STYLE}</style><defs>{tips}</defs>",
        *(source(row, TOP, "text") for row in SOURCES),
        source(DOMAIN, BOTTOM, "text"),
        source(TESTED, BOTTOM, "out", is_read=False),
        *(step(column) for column in range(len(MODELS) - 1)),
        *(model(column) for column in range(len(MODELS))),
        "</svg>\n",
    ]
    OUTPUT.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

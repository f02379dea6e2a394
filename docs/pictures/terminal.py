"""Draw the output of a command as a terminal window in SVG.

python docs/pictures/terminal.py LOG docs/images/quickstart.svg --command ./scripts/quickstart
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

# rich's template fetches its font from a server; a picture must not.
TEMPLATE = re.sub(r"@font-face\s*{{.*?}}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def clean(log: str) -> str:
    """Keep what a terminal would show at the end: the last state of lines drawn several times.

    Args:
        log: Output with or without colours.

    Returns:
        The lines that stay.
    """
    without_moves = re.sub(r"\x1b\[(?:\?\d+[hl]|\d*[ABCDGJK])", "", log)
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in without_moves.split("\n")]
    return "\n".join(lines).strip("\n")


def draw(log: str, *, title: str, command: str | None = None, columns: int = 100) -> str:
    """Draw a log.

    Args:
        log: Output with or without colours.
        title: Shown on top of the window.
        command: Shown as the first line behind a prompt; None for no such line.
        columns: Width in characters; longer lines are folded.

    Returns:
        An SVG that refers to nothing outside itself.
    """
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    if command is not None:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(clean(log)))
    return console.export_svg(title=title, code_format=TEMPLATE, unique_id="terminal")


def main() -> None:
    """Read a log, write a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, help="file with the output")
    parser.add_argument("picture", type=Path, help="SVG to write")
    parser.add_argument("--title", default="hunmin")
    parser.add_argument("--command", help="shown as the first line")
    parser.add_argument("--columns", type=int, default=100)
    options = parser.parse_args()
    # Read as bytes: reading as text would turn every carriage return into a new line.
    log = options.log.read_bytes().decode("utf-8", errors="replace")
    picture = draw(log, title=options.title, command=options.command, columns=options.columns)
    options.picture.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()

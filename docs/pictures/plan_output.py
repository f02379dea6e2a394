"""Write what `hunmin plan` prints into the page that shows it, and the picture beside it.

python docs/pictures/plan_output.py
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "how-to" / "plan.md"
PICTURES = {"weak.svg": "plan-weak.svg", "timeline.svg": "plan-timeline.svg"}
PICTURED = ["13B", "--cluster", "p4d:64", "--tokens", "300B"]
_LOSER_LINES = 8
_BLOCK = re.compile(r"^```console\n\$ hunmin (plan [^\n]+)\n.*?^```", re.DOTALL | re.MULTILINE)


def rewritten(page: str) -> str:
    """Return the page with what each command prints now."""

    def replace(match: re.Match[str]) -> str:
        return f"```console\n$ hunmin {match[1]}\n{printed(shlex.split(match[1]))}\n```"

    return _BLOCK.sub(replace, page)


def printed(arguments: list[str]) -> str:
    """Return what a command prints for people, an error included."""
    start = "from hunmin.cli.main import main; main()"
    command = [sys.executable, "-c", start, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    return "\n".join(_excerpt(lines) if "--explain" in arguments else lines)


def _excerpt(lines: list[str]) -> list[str]:
    """Keep the time line and the first of the choices that lose."""
    begin = next(place for place, line in enumerate(lines) if line.startswith("Time line"))
    losers = next(place for place, line in enumerate(lines) if line.startswith("Every other"))
    return ["…", *lines[begin : losers + 1 + _LOSER_LINES], "…"]


def main() -> None:
    """Rewrite page and picture."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        printed(["plan", *PICTURED, "--out", f"{folder}/plan"])
        for name, kept in PICTURES.items():
            shutil.copy(Path(folder) / "plan" / name, DOCS / "images" / kept)


if __name__ == "__main__":
    main()

"""What the page on objectives shows is what the code makes of the sentences."""

from __future__ import annotations

import importlib.util
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "docs" / "pictures" / "objectives.py"


def test_the_page_shows_what_the_objectives_do() -> None:
    spec = importlib.util.spec_from_file_location("objectives_page", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.PAGE.read_text(encoding="utf-8")
    assert page.count("```text\n# ") >= 8, "an example of each objective"
    assert script.rewritten(page) == page, f"run {SCRIPT.relative_to(REPOSITORY)}"

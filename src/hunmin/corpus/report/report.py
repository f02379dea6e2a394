"""Writing the report of a corpus: JSON, Markdown, one HTML page, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hunmin.core.errors import MissingExtraError
from hunmin.core.figures import check_plotting
from hunmin.core.logs import get_logger
from hunmin.corpus.report.html import to_html
from hunmin.corpus.report.markdown import to_markdown
from hunmin.corpus.report.plots import plot_all
from hunmin.corpus.report.sections import page_of

logger = get_logger(__name__)
REPORT_FORMAT = 1
PLOTS = "plots"


def write_report(
    folder: Path, statistics: Mapping[str, Any], samples: Mapping[str, Any], *, title: str
) -> list[Path]:
    """Write the report of a corpus.

    Args:
        folder: The artifact's draft; it must exist.
        statistics: statistics.json; sections whose keys are missing are left out, `total` is
            needed.
        samples: samples.json; may be empty.
        title: Of the pages.

    Returns:
        The files: report.json, report.md, report.html and plots/*.svg and *.png.

    Note:
        Without matplotlib the pages have no pictures and say so. The same input gives the same
        bytes.
    """
    missing = _missing_plotting()
    paths: list[Path] = []
    drawings: dict[str, str] = {}
    if not missing:
        paths, drawings = plot_all(statistics, folder / PLOTS)
    page = page_of(statistics, samples, title, missing)
    content = {"format": REPORT_FORMAT, "title": title}
    content |= {"statistics": statistics, "samples": samples}
    texts = {
        "report.json": json.dumps(content, ensure_ascii=False, indent=2) + "\n",
        "report.md": to_markdown(page, has_pictures=not missing),
        "report.html": to_html(page, drawings),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [*(folder / name for name in texts), *paths]


def _missing_plotting() -> str:
    """Return why no picture can be drawn, for the page and the log; empty if they can."""
    try:
        check_plotting()
    except MissingExtraError as error:
        logger.warning("the report has no pictures: %s; %s", error.problem, error.hint)
        return "There are no pictures here: matplotlib was not installed when this was written."
    return ""

"""Put the report of a corpus among the documents, as an example of what a build leaves.

    python docs/pictures/sample_report.py runs/corpus-korean/corpus docs/examples/corpus-korean

Samples of text are taken over only from sources with a licence.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hunmin.corpus.report.report import write_report

KEPT = ("report.md", "plots/*.svg")


def main() -> None:
    """Write the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    statistics = json.loads((options.corpus / "statistics.json").read_text("utf-8"))
    samples = json.loads((options.corpus / "samples.json").read_text("utf-8"))
    manifest = json.loads((options.corpus / "manifest.json").read_text("utf-8"))
    unknown = set(statistics["licenses"].get("unknown", {"sources": []})["sources"])
    with tempfile.TemporaryDirectory() as folder:
        title = f"Corpus {manifest['recipe'].get('name', options.output.name)}"
        write_report(Path(folder), statistics, without_sources(samples, unknown), title=title)
        shutil.rmtree(options.output, ignore_errors=True)
        for pattern in KEPT:
            for path in sorted(Path(folder).glob(pattern)):
                target = options.output / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def without_sources(samples: dict[str, Any], sources: set[str]) -> dict[str, Any]:
    """Return the samples without those of some sources."""
    rejected = {
        reason: [row for row in rows if row["source"] not in sources]
        for reason, rows in samples["rejected"].items()
    }
    changed = [row for row in samples["changed"] if row["source"] not in sources]
    return samples | {
        "rejected": {reason: rows for reason, rows in rejected.items() if rows},
        "changed": changed,
        "duplicates": [row for row in samples["duplicates"] if not sources & set(row["sources"])],
    }


if __name__ == "__main__":
    main()

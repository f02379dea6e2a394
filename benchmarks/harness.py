"""What every benchmark shares: interleaved repeats, medians, ratios, and a result that says where.

Contenders take turns (A B C A B C …), so that a slow minute of a shared machine hits all of them;
a ratio is the median of the ratios of each round.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hunmin.core.environment import describe_environment

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measurement:
    """Rounds of one contender.

    Args:
        name: The contender.
        values: One figure per round; higher is better.
    """

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.values)

    def ratio_to(self, other: Measurement) -> float:
        """The median of this contender's figure over the other's, round by round."""
        return statistics.median(
            mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)
        )


def interleave(
    contenders: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, Measurement]:
    """Let contenders take turns.

    Args:
        contenders: By name, a function that runs once and returns its figure (higher is better).
        rounds: Turns of each.

    Returns:
        Measurements by name.
    """
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            values[name].append(run())
            print(f"round {number + 1}/{rounds}  {name:<40} {values[name][-1]:,.1f}", flush=True)
    return {name: Measurement(name, tuple(figures)) for name, figures in values.items()}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def write_result(
    name: str, title: str, table: str, details: dict[str, Any], folder: Path = RESULTS
) -> Path:
    """Write a dated result as Markdown and JSON, with hardware, versions and commit.

    Args:
        name: File name without date.
        title: First line.
        table: The Markdown table.
        details: Everything that was measured.
        folder: Where results go.

    Returns:
        The Markdown file.
    """
    environment = describe_environment()
    date = datetime.now(UTC).date().isoformat()
    path = folder / f"{name}-{date}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{key} {value}" for key, value in environment["versions"].items())
    where = f"{environment['processor']}, {environment['cores']} cores"
    device = details.get("device", "cpu")
    lines = [
        f"# {title}",
        "",
        table,
        "",
        f"- Hardware: {where}; device: {device}",
        f"- Versions: {versions}",
        f"- Commit: {environment['commit']}; date: {date}",
        f"- Command: `{details.get('command', name)}`",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    record = {"title": title, "date": date, "environment": environment, **details}
    path.with_suffix(".json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    print("\n".join(lines))
    return path

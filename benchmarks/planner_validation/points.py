"""The published results that the planner is measured with, and how they are split.

    points = load_points(CSV)
    [point for point in points if part(point) == "calibrate"]     constants may be fitted to these
    [point for point in points if part(point) == "predict"]       and are judged on these

Every row of the table makes points, belongs to a point of another row, or is skipped for a reason
(`outcomes`). What a source leaves open is closed by rules for whole groups in assumptions.yaml;
nothing is chosen point by point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from planner_validation.point import Point
from planner_validation.rows import Row, find_reason, read_rows
from planner_validation.sources import build_points, unlisted_points

CSV = Path(__file__).resolve().parents[3] / "shared" / "reference" / "published_throughput.csv"

Part = Literal["calibrate", "predict"]
IN_THIRDS = ("ZeRO-3 against bandwidth", "llm-foundry A100", "llm-foundry H100")
GOALS = (
    "ZeRO-3 against bandwidth",
    "MiCS",
    "BloombergGPT",
    "SageMaker",
    "llm-foundry A100",
    "Megatron A100",
)


@dataclass(frozen=True)
class Outcome:
    """What became of a row.

    Args:
        row: The row.
        points: What it makes.
        part_of: Why it belongs to the point of another row.
        skipped: Why it is left out.
    """

    row: Row
    points: tuple[Point, ...] = ()
    part_of: str | None = None
    skipped: str | None = None


def outcomes(path: Path) -> list[Outcome]:
    """Decide about every row of a table of published results, in its order."""
    return [_decide(row) for row in read_rows(path)]


def _decide(row: Row) -> Outcome:
    skipped = find_reason(row, "skipped")
    part_of = None if skipped else find_reason(row, "parts")
    if skipped or part_of:
        return Outcome(row, part_of=part_of, skipped=skipped)
    return Outcome(row, points=tuple(build_points(row)))


def load_points(path: Path = CSV) -> list[Point]:
    """Load all points of a table, and those that are published elsewhere.

    Args:
        path: The CSV.

    Returns:
        Points, those of a group in the order of the table.

    Raises:
        InputError: A row from a source that nothing is known about.
    """
    points = [point for outcome in outcomes(path) for point in outcome.points]
    return _numbered([*points, *unlisted_points()])


def skipped(path: Path = CSV) -> list[tuple[Row, str]]:
    """Return the rows that are left out, each with the reason."""
    return [(entry.row, entry.skipped) for entry in outcomes(path) if entry.skipped]


def part(point: Point) -> Part:
    """Return whether constants may be fitted to a point.

    Every third point calibrates where a source has many: V100 and its network, A100 and H100 with
    FSDP. For the latency of p4d's network: ZeRO-3 on SageMaker. (BloombergGPT cannot calibrate it:
    its microbatch is not published, and decides how much of the network is seen.) All others are
    predicted, all MiCS points among them.
    """
    in_third = point.group in IN_THIRDS and point.place % 3 == 0
    of_network = point.group == "SageMaker" and point.software == "deepspeed"
    return "calibrate" if in_third or of_network else "predict"


def goal_group(point: Point) -> bool:
    """Return whether the planner's goals (errors at most 10 % and 25 %) are about a point."""
    return point.group in GOALS and point.verified


def _numbered(points: Iterable[Point]) -> list[Point]:
    places: Counter[str] = Counter()
    numbered = []
    for point in points:
        numbered.append(replace(point, place=places[point.group]))
        places[point.group] += 1
    return numbered

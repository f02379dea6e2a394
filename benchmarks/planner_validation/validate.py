"""Published training speeds beside what the planner predicts for them: tables, curves, plots.

python benchmarks/planner_validation/validate.py

Uses the catalogue as it is; calibrate.py says where its constants come from.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import markdown_table, write_result

from planner_validation.calibrate import CONSTANTS, catalogue_values
from planner_validation.curves import (
    bandwidths,
    constant_speed_error,
    group_ranking,
    headline_curves,
    parts_of_mics,
)
from planner_validation.draw import draw_all
from planner_validation.points import goal_group, load_points, part, skipped
from planner_validation.predict import Predicted, predict, resolved

COMMAND = "python benchmarks/planner_validation/validate.py"


@dataclass(frozen=True)
class Errors:
    """Absolute errors of predicted speeds.

    Args:
        count: Predictions.
        median: Half are at most this.
        nine_tenths: Nine tenths are at most this.
        largest: All are at most this.
    """

    count: int
    median: float
    nine_tenths: float
    largest: float

    @classmethod
    def of(cls, predictions: Iterable[Predicted]) -> Errors:
        """Summarise some predictions; there is at least one."""
        errors = sorted(abs(each.error) for each in predictions)
        place = -(-9 * len(errors) // 10) - 1
        return cls(len(errors), statistics.median(errors), errors[place], errors[-1])

    def cells(self) -> list[str]:
        """Return the cells of a table."""
        shares = (self.median, self.nine_tenths, self.largest)
        return [str(self.count), *(f"{share:.1%}" for share in shares)]


def all_predictions() -> list[Predicted]:
    """Predict every published point with the catalogue."""
    return [predict(resolved(point)) for point in load_points()]


def of_goal(predictions: Sequence[Predicted]) -> list[Predicted]:
    """Return the predictions that the goals are about: not calibrated, and of the named groups."""
    return [p for p in predictions if goal_group(p.point) and part(p.point) == "predict"]


def group_rows(predictions: Sequence[Predicted]) -> list[list[str]]:
    """Return a row of errors for each group and part."""
    kinds = dict.fromkeys((p.point.group, part(p.point)) for p in predictions)
    rows = []
    for group, which in kinds:
        own = [p for p in predictions if (p.point.group, part(p.point)) == (group, which)]
        counts = "goal" if goal_group(own[0].point) else "beside"
        rows.append([group, which, counts, *Errors.of(own).cells()])
    goal = Errors.of(of_goal(predictions))
    return [*rows, ["**all of the goal, predicted**", "predict", "goal", *goal.cells()]]


def point_rows(predictions: Sequence[Predicted]) -> list[list[str]]:
    """Return a row for each point."""
    return [
        [
            p.point.group,
            p.point.label,
            part(p.point),
            str(p.point.strategy.micro_batch) + ("*" if p.point.fits_rule else ""),
            p.point.metric,
            f"{p.point.value:.4g}",
            f"{p.value:.4g}",
            f"{p.error:+.1%}",
            f"{p.step.exposed_seconds / p.step.seconds:.0%}",
        ]
        for p in predictions
    ]


def report(predictions: Sequence[Predicted]) -> tuple[str, dict[str, Any]]:
    """Return the report's tables, and everything in it as JSON values."""
    points = [p.point for p in predictions]
    curves, ranking = headline_curves(points), group_ranking(points)
    mics, zero = curves["MiCS"], curves["ZeRO-3"]
    headline = [
        ["MiCS, weak scaling 128 to 512", "99.4%", f"{mics.efficiency(512):.1%}"],
        ["ZeRO-3, weak scaling 128 to 512", "72%", f"{zero.efficiency(512):.1%}"],
        ["MiCS, TFLOPS a GPU on 512", "170", f"{mics.values[2]:.0f}"],
        ["ZeRO-3, TFLOPS a GPU on 512", "62", f"{zero.values[2]:.0f}"],
    ]
    groups = [
        [
            row["group"],
            f"{row['tflops']:.0f}",
            f"{row['gigabytes']:.0f}",
            "yes" if row["fits"] else "no",
        ]
        for row in ranking
    ]
    recalled = _recalled_rows(points)
    tables = "\n\n".join(
        [
            "Absolute errors of predicted speeds:",
            markdown_table(
                ["group", "part", "counts for", "points", "median", "90 % within", "largest"],
                group_rows(predictions),
            ),
            "100B model on p4d:",
            markdown_table(["", "published", "predicted"], headline),
            "Speed of the 100B model on 512 GPUs by partition group (2 rows a GPU):",
            markdown_table(["group", "TFLOPS a GPU", "GB a GPU", "fits 40 GB"], groups),
            "Figures of the MiCS paper that are recalled, not confirmed; nothing depends on them:",
            markdown_table(["", "recalled", "predicted"], recalled),
            "Constants:",
            markdown_table(
                ["constant", "value"],
                [[c.name, f"{v:g}"] for c, v in zip(CONSTANTS, catalogue_values(), strict=True)],
            ),
            "Every point (* microbatch not published: the largest that fits):",
            markdown_table(
                ["group", "run", "part", "rows", "metric", "published", "predicted", "error",
                 "exposed"],
                point_rows(predictions),
            ),
            _assumptions(predictions),
        ]
    )  # fmt: skip
    details = {
        "goal": vars(Errors.of(of_goal(predictions))),
        "everything_predicted": vars(
            Errors.of(p for p in predictions if part(p.point) == "predict")
        ),
        "error_of_one_share_of_the_peak": constant_speed_error(points),
        "curves": {name: curve.as_dict() for name, curve in curves.items()},
        "groups": ranking,
        "points": [_as_dict(p) for p in predictions],
        "skipped_rows": len(skipped()),
    }
    return tables, details


def _recalled_rows(points: Sequence[Any]) -> list[list[str]]:
    parts, speeds = parts_of_mics(points), bandwidths()
    recalled = ("1.31 to 1.38", "1.11 to 1.25", "0.72", "about 1.6")
    rows = [[n, r, f"{v:.2f}"] for (n, v), r in zip(parts.items(), recalled, strict=True)]
    said = ("128 GB/s", "11 GB/s")
    return rows + [
        [f"effective bandwidth of gathering 1 GB, p3dn, {name}", text, f"{value / 1e9:.0f} GB/s"]
        for (name, value), text in zip(speeds.items(), said, strict=True)
    ]


def _assumptions(predictions: Sequence[Predicted]) -> str:
    texts: dict[str, set[str]] = {}
    for each in predictions:
        for text in each.point.assumptions:
            texts.setdefault(text, set()).add(each.point.group)
    lines = [f"- {text} ({', '.join(sorted(groups))})" for text, groups in texts.items()]
    return "What sources leave open, and what was taken:\n\n" + "\n".join(lines)


def _as_dict(predicted: Predicted) -> dict[str, Any]:
    point = predicted.point
    return {
        "group": point.group,
        "label": point.label,
        "part": part(point),
        "goal": goal_group(point),
        "cluster": point.cluster_name,
        "micro_batch": point.strategy.micro_batch,
        "metric": point.metric,
        "published": point.value,
        "predicted": round(predicted.value, 4),
        "error": round(predicted.error, 4),
        "convention": point.convention.name,
    }


def main() -> None:
    """Predict, write and draw."""
    predictions = all_predictions()
    tables, details = report(predictions)
    path = write_result(
        "planner-validation",
        "Published training speeds and what the planner predicts",
        tables,
        {**details, "command": COMMAND, "device": "calculated"},
    )
    draw_all(predictions, details, path.with_suffix(""))
    print(Errors.of(of_goal(predictions)))


if __name__ == "__main__":
    main()

"""The planner's simulator against emulated nodes: bytes and step times.

Two and four nodes of two ranks, each a network namespace with a shaped link, as in mics_scaling.py.
Collectives alone give the two links of the emulated cluster (latency of a hop and usable bandwidth,
by least squares over the planner's own formulas); a step of a group of one gives what a rank
computes besides waiting. Nothing that is fitted knows of a training step. Needs root, `ip`, `tc`.

    python benchmarks/planner_emulated.py
    python benchmarks/planner_emulated.py --rounds 1 --scaling-rounds 0

Predicted are the steps that were trained in the same minutes, and those of a committed result of
mics_scaling.py, which were measured at another time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from harness import RESULTS, markdown_table, write_result  # noqa: E402
from mics_ranks import Contender, Job  # noqa: E402
from mics_scaling import (  # noqa: E402
    AHEAD,
    CONTENDERS,
    DEEP,
    formula_bytes,
    measured_bytes,
    seconds_of,
    zero_seconds,
)
from planner_emulated_fit import (  # noqa: E402
    Calibration,
    Site,
    calibrate,
    from_record,
    messages_of,
    predict_step,
    simulated_bytes,
    to_record,
)
from planner_emulated_plot import draw_predictions  # noqa: E402
from planner_emulated_ranks import Plan, Session, measure  # noqa: E402
from tests.support.namespaces import cluster as emulate  # noqa: E402
from tests.support.namespaces import why_not  # noqa: E402

BLOCKS = 8
RANKS_PER_NODE = 2
COMMITTED = RESULTS / "mics-scaling-2026-11-21.json"
STAGED_AHEAD = "2 nodes, hierarchical, two-hop, ahead"
"""A contender of the committed result that is now the only one; both gathered ahead."""


@dataclass(frozen=True)
class Point:
    """A step, predicted and measured.

    Args:
        source: Where it was measured: now, or in which part of the committed result.
        site: The cluster.
        contender: The layout.
        pause: Seconds of waiting in a microstep.
        predicted: Seconds of the step.
        measured: The same, the median over rounds.
        rounds: Those of each round.
    """

    source: str
    site: str
    contender: str
    pause: float
    predicted: float
    measured: float
    rounds: tuple[float, ...]

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted / self.measured - 1


# -- what is measured ------------------------------------------------------------------------------


def contenders_on(nodes: int) -> tuple[Contender, ...]:
    """Return all layouts but DeepSpeed's, each once."""
    skipped = {DEEP} | ({AHEAD} if nodes == 2 else set())  # There it is what FLAT is.
    return tuple(each for each in CONTENDERS if each.name not in skipped)


def pauses_of(site: Site, balances: Sequence[float]) -> tuple[float, ...]:
    """Return the seconds of waiting in a microstep."""
    return tuple(balance * zero_seconds(site.job, site.mbit) for balance in balances)


def run_site(
    site: Site, pauses: Sequence[float], contenders: Sequence[Contender], rounds: int
) -> tuple[Calibration, list[Session]]:
    """Calibrate a site, and train on it in between."""
    job = site.job
    messages = messages_of(job)
    plan = Plan(job, messages, tuple(pauses), tuple(contenders), rounds)
    with emulate(job.nodes, job.ranks_per_node, mbit=site.mbit) as emulated:
        ranks = emulated.run(measure, plan, seconds=1500)
    return calibrate(site, messages, ranks), ranks


def train_here(
    site: Site, balances: Sequence[float], rounds: int
) -> tuple[Calibration, list[Point], list[dict[str, Any]]]:
    """Calibrate and train in the same minutes; predictions and volumes."""
    contenders, pauses = contenders_on(site.job.nodes), pauses_of(site, balances)
    known, ranks = run_site(site, pauses, contenders, rounds)
    turns = [list(turn) for turn in zip(*(rank.turns for rank in ranks), strict=True)]
    points = [
        compare("now", site, contender, pause, known, seconds_of(turns, contender.name, pause))
        for contender in contenders
        for pause in pauses
    ]
    volumes = [
        {
            "site": str(site),
            "contender": contender.name,
            "simulated": simulated_bytes(contender, site),
            "formula": formula_bytes(contender, site.job),
            "measured": measured_bytes(turns, contender.name),
        }
        for contender in contenders
    ]
    return known, points, volumes


def compare(
    source: str,
    site: Site,
    contender: Contender,
    pause: float,
    known: Calibration,
    seconds: Sequence[float],
) -> Point:
    """Put a prediction beside the median of what was measured."""
    predicted = predict_step(contender, site, pause, known)
    measured = statistics.median(seconds)
    return Point(source, str(site), contender.name, pause, predicted, measured, tuple(seconds))


def predict_again(record: dict[str, Any], point: dict[str, Any]) -> float:
    """Return the error of a recorded step with the simulator as it is now.

    Args:
        record: A result of this benchmark; its links are taken as they were found.
        point: One of its steps.

    Returns:
        Predicted over measured seconds, less 1.
    """
    site, known = from_record(record["calibrations"][point["site"]])
    contender = next(each for each in CONTENDERS if each.name == point["contender"])
    return predict_step(contender, site, point["pause"], known) / float(point["measured"]) - 1


# -- the committed result --------------------------------------------------------------------------


def committed_contenders(part: dict[str, Any]) -> Iterator[tuple[Contender, dict[str, Any]]]:
    """Yield the contenders of a part of the committed result that can be predicted."""
    by_name = {each.name: each for each in CONTENDERS}
    for name, figures in part["contenders"].items():
        contender = by_name[name.removesuffix(", ahead") if name == STAGED_AHEAD else name]
        if contender.name != DEEP:
            yield contender, figures


def committed_site(part: dict[str, Any], nodes: int, microsteps: int) -> Site:
    """Return the cluster and model of a part of the committed result."""
    numbers = part["parameter_bytes"] // 4 // BLOCKS
    return Site(Job(nodes, RANKS_PER_NODE, BLOCKS, numbers, microsteps, True), part["mbit"])


def committed_steps(part: dict[str, Any], site: Site, known: Calibration) -> list[Point]:
    """Predict the step times of the committed result."""
    return [
        compare("committed, step times", site, contender, pause, known, seconds)
        for contender, figures in committed_contenders(part)
        for balance, seconds in figures["seconds"].items()
        for pause in pauses_of(site, [float(balance)])
    ]


def committed_scaling(part: dict[str, Any], rounds: int) -> tuple[dict[str, Any], list[Point]]:
    """Calibrate clusters of each size, and predict the weak scaling of the committed result."""
    points, calibrations = [], {}
    pause = part["waiting_seconds"] / part["microsteps"]
    for nodes in part["nodes"]:
        site = committed_site(part, nodes, part["microsteps"])
        known, _ = run_site(site, [pause], (), rounds)
        calibrations[str(site)] = to_record(site, known)
        for contender, figures in committed_contenders(part):
            seconds = figures["seconds"][str(nodes)]
            name = "committed, weak scaling"
            points.append(compare(name, site, contender, pause, known, seconds))
    return calibrations, points


# -- tables ----------------------------------------------------------------------------------------


def summary_table(points: Sequence[Point]) -> str:
    """Return median and worst errors by where the steps were measured."""
    rows = []
    for source in dict.fromkeys((point.source, point.site) for point in points):
        errors = [point.error for point in points if (point.source, point.site) == source]
        rows.append([*source, len(errors), *_error_cells(errors)])
    rows.append(["all", "", len(points), *_error_cells([point.error for point in points])])
    header = ["measured", "cluster", "steps", "median error", "worst", "within 20 %"]
    return markdown_table(header, rows)


def _error_cells(errors: Sequence[float]) -> list[str]:
    sizes = [abs(error) for error in errors]
    within = sum(size <= 0.2 for size in sizes)
    worst = max(errors, key=abs)
    return [f"{statistics.median(sizes):.1%}", f"{worst:+.1%}", f"{within} of {len(sizes)}"]


def step_table(points: Sequence[Point]) -> str:
    """Return every step."""
    rows = [
        [
            point.source,
            point.site,
            point.contender,
            f"{point.pause:.3f}",
            f"{point.predicted:.2f}",
            f"{point.measured:.2f}",
            f"{point.error:+.1%}",
        ]
        for point in points
    ]
    header = [
        "measured",
        "cluster",
        "layout",
        "s of waiting a microstep",
        "predicted s",
        "measured s",
    ]
    return markdown_table([*header, "error"], rows)


def volume_table(volumes: Sequence[dict[str, Any]]) -> str:
    """Return bytes of a step on a node's link."""
    rows = [
        [
            row["site"],
            row["contender"],
            f"{row['simulated']:,.0f}",
            f"{row['measured']:,.0f}",
            f"{row['measured'] / row['simulated'] - 1:+.2%}",
        ]
        for row in volumes
    ]
    header = ["cluster", "layout", "bytes a step and link, simulated", "measured", "headers"]
    return markdown_table(header, rows)


def link_table(calibrations: dict[str, Any]) -> str:
    """Return the links of each cluster."""
    rows = [
        [
            site,
            kind,
            f"{1e3 * known[kind]['within']['latency']:.2f}",
            f"{known[kind]['within']['bandwidth'] / 1e6:.0f}",
            f"{1e3 * known[kind]['between']['latency']:.2f}",
            f"{known[kind]['between']['share']:.2f}",
        ]
        for site, known in calibrations.items()
        for kind in ("gathers", "reductions")
    ]
    header = ["cluster", "of", "ms a hop within", "MB/s within", "ms a hop between"]
    return markdown_table([*header, "share of the rate"], rows)


def rank_table(calibrations: dict[str, Any]) -> str:
    """Return what a rank computes, and how well the links fit their collectives."""
    rows = [
        [
            site,
            *(f"{1e3 * known['alone'][part]:.1f}" for part in ("forward", "backward", "optimizer")),
            f"{statistics.median(abs(error) for error in known['misfits']):.0%}",
        ]
        for site, known in calibrations.items()
    ]
    header = ["cluster", "ms forward a microstep", "ms backward", "ms update"]
    return markdown_table([*header, "median misfit of collectives"], rows)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--clusters", nargs="+", default=["2:200", "4:200", "4:400"], metavar="NODES:MBIT"
    )
    parser.add_argument("--balances", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--rounds", type=int, default=3, help="before and again after training")
    parser.add_argument("--scaling-rounds", type=int, default=4, help="0 to leave it out")
    parser.add_argument("--beside", type=Path, help="a JSON result whose steps are shown, too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Calibrate, train, predict, and write the result."""
    options = parse_arguments()
    if reason := why_not():
        sys.exit(f"no emulated nodes: {reason}")
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore"
    record = read_record(options.beside) if options.beside else empty_record()
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    for name in options.clusters:
        nodes, mbit = name.split(":")
        site = replace(committed_site(committed["step_times"], int(nodes), 4), mbit=float(mbit))
        before = os.getloadavg()[0]
        known, points, volumes = train_here(site, options.balances, options.rounds)
        if str(site) == str(committed_site(committed["step_times"], 4, 4)):
            points += committed_steps(committed["step_times"], site, known)
        add_to(record, {str(site): to_record(site, known)}, points, volumes)
        record["load"][str(site)] = [before, os.getloadavg()[0]]
    if options.scaling_rounds:
        calibrations, points = committed_scaling(committed["weak_scaling"], options.scaling_rounds)
        add_to(record, calibrations, points, [])
    report(options, record)


def empty_record() -> dict[str, Any]:
    """Return a result without anything measured."""
    return {"load": {}, "calibrations": {}, "points": [], "volumes": []}


def read_record(path: Path) -> dict[str, Any]:
    """Return what an earlier run of this benchmark measured."""
    record = json.loads(path.read_text(encoding="utf-8"))
    return {key: record[key] for key in empty_record()}


def add_to(
    record: dict[str, Any],
    calibrations: dict[str, Any],
    points: Sequence[Point],
    volumes: Sequence[dict[str, Any]],
) -> None:
    """Append what was found on a cluster."""
    record["calibrations"] |= calibrations
    record["points"] += [asdict(point) for point in points]
    record["volumes"] += volumes


def report(options: argparse.Namespace, record: dict[str, Any]) -> None:
    """Write tables, figures and the plot."""
    points = [Point(**point) for point in record["points"]]
    loads = "; ".join(f"{site}: {a:.1f}, {b:.1f}" for site, (a, b) in record["load"].items())
    tables = (
        summary_table(points),
        volume_table(record["volumes"]),
        link_table(record["calibrations"]),
        rank_table(record["calibrations"]),
        step_table(points),
        f"- Load of the machine, its 2 cores shared, before and after training ({loads}); the "
        f"ranks are part of the second.\n- Committed: {COMMITTED.name}, measured at another time "
        "than the links were.",
    )
    command = f"python {' '.join(sys.argv)}"
    details = {"command": command, "committed": COMMITTED.name, **record}
    title = "The planner's simulator against emulated nodes"
    path = write_result("planner-emulated", title, "\n\n".join(tables), details, options.results)
    draw_predictions(record["points"], path)


if __name__ == "__main__":
    main()

"""Random faults against a training run: it must end as the run without faults does.

Two emulated nodes of two ranks run `torchrun -m hunmin train`. Ranks are killed and stopped, links
cut, the disk filled, checkpoints damaged, whole nodes killed, each as often as the others, at
random steps. Reported: how long each fault took to be noticed and to be recovered from, and how
many steps were lost. Losses are compared with those of a run without faults, step by step.

    python benchmarks/chaos.py
    python benchmarks/chaos.py --faults 2 --steps 30 --kinds kill corrupt --nodes 1

Needs root, `ip` and `tc`; with --nodes 1 no namespaces (and no links to cut), and without `fill` no
root. Exits with 1 if losses differ, or if a step was lost whose checkpoint had been called safe.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from harness import RESULTS, markdown_table, write_result  # noqa: E402
from tests.support.faults import (  # noqa: E402
    CUT,
    FAULTS,
    FILL,
    Outcome,
    draw_faults,
    inject,
    small_disk,
)
from tests.support.launched import TrainingJob  # noqa: E402
from tests.support.namespaces import cluster, why_not  # noqa: E402
from tests.support.recipes import hunmin, tiny_recipe  # noqa: E402

from hunmin.training.goodput import read_goodput  # noqa: E402

DISK_MEGABYTES = 64


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--checkpoint-every", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--ranks-per-node", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=15, help="seconds, of collectives")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3000, help="after which to give up")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def prepare(folder: Path, options: argparse.Namespace) -> tuple[Path, Path]:
    """Make the recipe, and a run folder with everything that comes before training."""
    recipe = tiny_recipe(
        folder,
        duration=f"{options.steps} steps",
        checkpoint_every=options.checkpoint_every,
        evaluate_every=None,
        export="last",
    )
    run = folder / "prepared"
    result = hunmin("data", recipe, "--run-dir", run)
    if result.returncode != 0:
        sys.exit(result.stderr)
    return recipe, run


@contextlib.contextmanager
def started(
    recipe: Path, prepared: Path, name: str, options: argparse.Namespace
) -> Iterator[TrainingJob]:
    """Start the run in a folder of its own, on a disk of its own if one is to be filled."""
    run = prepared.with_name(name)
    shutil.copytree(prepared, run)
    with contextlib.ExitStack() as stack:
        if FILL in options.kinds:
            stack.enter_context(small_disk(run / "train", DISK_MEGABYTES))
        emulated = None
        if options.nodes > 1:
            emulated = stack.enter_context(cluster(options.nodes, options.ranks_per_node))
        job = TrainingJob(
            recipe,
            run,
            ranks_per_node=options.ranks_per_node,
            emulated=emulated,
            overrides=[f"parallel.timeout={options.timeout}"],
        )
        yield stack.enter_context(job.running())


def run_twice(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run without faults and with them, and compare."""
    recipe, prepared = prepare(folder, options)
    faults = draw_faults(
        options.seed,
        options.faults,
        options.steps,
        nodes=options.nodes,
        ranks_per_node=options.ranks_per_node,
        kinds=options.kinds,
        # Where the only checkpoint is damaged a run refuses to begin anew.
        first_step=2 * options.checkpoint_every + 2,
    )
    found: dict[str, Any] = {}
    for name, planned in (("without", []), ("with", faults)):
        with started(recipe, prepared, name, options) as job:
            begun = time.monotonic()
            outcomes = inject(job, planned, seconds=options.seconds)
            found[name] = {
                "outcomes": outcomes,
                "losses": job.losses(),
                "wall_seconds": time.monotonic() - begun,
                "launches": job.starts,
                "goodput": read_goodput(job.run / "train").as_dict(),
            }
    return found


def largest_difference(found: dict[str, Any]) -> float:
    """Return by how much the loss of any step differs; every step must be there."""
    losses, expected = found["with"]["losses"], found["without"]["losses"]
    if losses.keys() != expected.keys():
        sys.exit(f"steps are missing: {sorted(expected.keys() ^ losses.keys())}")
    return max(abs(losses[step] - expected[step]) for step in expected)


def summary_table(outcomes: Sequence[Outcome]) -> str:
    """Return times and losses by kind."""
    rows = []
    for kind, text in FAULTS.items():
        mine = [each for each in outcomes if each.fault.kind == kind]
        if mine:
            detection = [each.detection_seconds for each in mine]
            recovery = [each.recovery_seconds for each in mine]
            lost = [each.lost_steps for each in mine]
            rows.append([text, len(mine), *_three(detection), *_three(recovery), max(lost)])
    header = ["fault", "times", "noticed after s, median", "longest"]
    header += ["trains again after s, median", "longest", "most steps lost"]
    return markdown_table(header, rows)


def _three(values: list[float]) -> list[str]:
    return [f"{statistics.median(values):.1f}", f"{max(values):.1f}"]


def notes(found: dict[str, Any], options: argparse.Namespace, difference: float) -> list[str]:
    """Return what the table leaves unsaid."""
    losses = found["with"]["losses"]
    return [
        f"{options.nodes} nodes x {options.ranks_per_node} ranks, {options.steps} steps, a "
        f"checkpoint every {options.checkpoint_every}, collectives time out after "
        f"{options.timeout:g} s; {options.faults} faults, seed {options.seed}.",
        f"Last loss {losses[options.steps]:.6f}, without faults "
        f"{found['without']['losses'][options.steps]:.6f}; largest difference of any step "
        f"{difference:.2g}.",
        f"{found['with']['wall_seconds']:.0f} s with faults, "
        f"{found['without']['wall_seconds']:.0f} s without.",
    ]


def main() -> None:
    """Run, compare, write the result."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    if options.nodes > 1 and (reason := why_not()):
        sys.exit(f"no emulated nodes: {reason}; --nodes 1 does without")
    if options.nodes == 1:
        options.kinds = [kind for kind in options.kinds if kind != CUT]
    with tempfile.TemporaryDirectory() as folder:
        found = run_twice(options, Path(folder))
    outcomes: list[Outcome] = found["with"]["outcomes"]
    difference = largest_difference(found)
    lines = [f"- {line}" for line in notes(found, options, difference)]
    text = "\n\n".join((summary_table(outcomes), "\n".join(lines)))
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "largest_difference": difference,
        "without": found["without"] | {"outcomes": []},
        "with": found["with"]
        | {"outcomes": [asdict(each) | {"lost_steps": each.lost_steps} for each in outcomes]},
    }
    title = f"{options.faults} random faults in a run of {options.steps} steps"
    write_result("chaos", title, text, details, options.results)
    too_much = [each for each in outcomes if each.resumed_step < each.safe_step]
    if too_much or difference > 0:
        sys.exit(f"losses differ by {difference:.3g}; lost what was safe: {too_much}")


if __name__ == "__main__":
    main()

"""Partition groups against ZeRO-3 on emulated nodes: step time, bytes, weak scaling.

Four nodes of two ranks, each a network namespace with a shaped link; ranks of one node talk at
memory speed. The collectives are real, over gloo; arithmetic is replaced by waiting
(mics_ranks.py). Contenders take turns inside the same processes. Needs root, `ip` and `tc`.

    python benchmarks/mics_scaling.py
    python benchmarks/mics_scaling.py --deepspeed /tmp/deepspeed      beside DeepSpeed's ZeRO-3
    python benchmarks/mics_scaling.py --rounds 1 --blocks 2 --block-kib 64 --balances 0.5

--deepspeed names an environment that is made if it is not there.

How long a rank waits is given as its balance: seconds of computing in a microstep over the seconds
that ZeRO-3's 3 M (p-1)/p bytes take on the link. For a transformer of any size, with recomputed
activations, that is (8 N tokens / FLOPS) / (6 N bytes / bandwidth). With 2,048 tokens a GPU it is
about 0.9 on A100 nodes with 400 Gbit/s (156 TFLOP/s achieved) and 0.55 on V100 nodes with
100 Gbit/s (62 TFLOP/s) if the links reach line rate, a half or a quarter of that where they do not;
4,096 tokens double it.

"Ahead": parameters are gathered while others are computed with, as on a GPU and as DeepSpeed and
hunmin do here too. Gradients are reduced in the open by all of them. gloo's own reduce-scatter
sends twice what a ring sends; without --reduce-scatter gloo, all contenders send what a ring sends,
as with NCCL.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from harness import RESULTS, markdown_table, write_result  # noqa: E402
from mics_plot import draw_scaling, draw_step_times  # noqa: E402
from mics_ranks import Contender, Job, Turn, has_deepspeed, take_turns  # noqa: E402
from tests.support.namespaces import cluster, why_not  # noqa: E402

from hunmin.parallel.collectives.volume import step_volume  # noqa: E402

DEEPSPEED = "deepspeed==0.19.6"
ZERO, AHEAD, DEEP = "ZeRO-3, FSDP2", "ZeRO-3, FSDP2, ahead", "ZeRO-3, DeepSpeed"
NODE, NODE_ONE_HOP = "group = node, two-hop", "group = node, one hop"
FLAT, STAGED = "2 nodes, flat, two-hop", "2 nodes, hierarchical, two-hop"
CONTENDERS = (
    Contender(ZERO, "fsdp2"),
    Contender(AHEAD, "fsdp2", ahead=True),
    Contender(DEEP, "deepspeed"),
    Contender(FLAT, "hunmin", nodes_per_group=2),
    Contender(STAGED, "hunmin", nodes_per_group=2, hierarchical=True),
    Contender(NODE_ONE_HOP, "hunmin", nodes_per_group=1, two_hop=False),
    Contender(NODE, "hunmin", nodes_per_group=1),
)
SCALED = (ZERO, AHEAD, DEEP, STAGED, NODE)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--ranks-per-node", type=int, default=2)
    parser.add_argument("--mbit", type=float, default=400, help="rate of each node's link")
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--block-kib", type=int, default=1024, help="parameters of a block")
    parser.add_argument("--microsteps", type=int, default=4)
    parser.add_argument("--balances", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reduce-scatter", choices=("ring", "gloo"), default="ring")
    parser.add_argument("--scaling-mbit", type=float, default=100)
    parser.add_argument("--scaling-block-kib", type=int, default=256)
    parser.add_argument("--scaling-microsteps", type=int, default=16)
    parser.add_argument("--scaling-balance", type=float, default=1.5)
    parser.add_argument("--scaling-rounds", type=int, default=3, help="0 for step times only")
    parser.add_argument("--deepspeed", type=Path, help="environment with DeepSpeed")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


# -- an environment with DeepSpeed -----------------------------------------------------------------


def run_with_deepspeed(folder: Path) -> None:
    """Run this command again in an environment that has DeepSpeed besides what this one has."""
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.is_file():
        print(f"installing {DEEPSPEED} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        (packages,) = (folder / "lib").glob("python*/site-packages")
        ours = [path for path in sys.path if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in ours]
        (packages / "base.pth").write_text("\n".join(lines), encoding="utf-8")
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "wheel", "setuptools"], check=True)
        environment = os.environ | {"DS_BUILD_OPS": "0"}
        subprocess.run([*install, "--no-build-isolation", DEEPSPEED], check=True, env=environment)
        done.write_text(DEEPSPEED, encoding="utf-8")
    os.environ["DS_ACCELERATOR"] = "cpu"
    os.execv(python, [str(python), *sys.argv])


# -- measuring -------------------------------------------------------------------------------------


def contenders_here() -> list[Contender]:
    """Return the contenders that are installed."""
    return [each for each in CONTENDERS if each.engine != "deepspeed" or has_deepspeed()]


def zero_seconds(job: Job, mbit: float) -> float:
    """Return how long ZeRO-3's bytes of a microstep take on the link, as sent by a ring."""
    ranks = job.nodes * job.ranks_per_node
    return 3 * job.parameter_bytes * (ranks - 1) / ranks * 8 / (mbit * 1e6)


def formula_bytes(contender: Contender, job: Job) -> float:
    """Return the bytes of a step on a node's link, by the formula."""
    volume = step_volume(
        contender.layout(job.nodes, job.ranks_per_node),
        job.parameter_bytes,
        job.parameter_bytes,
        microsteps=job.microsteps,
        backend="nccl" if job.ring else "gloo",
    )
    return volume.total


def run_job(
    job: Job, contenders: list[Contender], mbit: float, pauses: list[float], rounds: int
) -> list[list[Turn]]:
    """Run turns on an emulated cluster; for each turn what every rank saw."""
    with cluster(job.nodes, job.ranks_per_node, mbit=mbit) as emulated:
        ranks = emulated.run(take_turns, job, contenders, pauses, rounds, seconds=3000)
    return [list(turn) for turn in zip(*ranks, strict=True)]


def seconds_of(turns: Iterable[list[Turn]], name: str, pause: float) -> list[float]:
    """Return the step times of a contender: those of the slowest rank, round by round."""
    return [
        max(rank.seconds for rank in turn)
        for turn in turns
        if turn[0].contender == name and turn[0].pause == pause
    ]


def measured_bytes(turns: Iterable[list[Turn]], name: str) -> float:
    """Return the bytes that the busiest node sent in a step, the median over the rounds."""
    return statistics.median(
        max(rank.traffic.sent for rank in turn) for turn in turns if turn[0].contender == name
    )


def median_ratio(theirs: list[float], ours: list[float]) -> float:
    """Return the median over the rounds of two contenders' ratios."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def measure_step_times(options: argparse.Namespace) -> dict[str, Any]:
    """Let all contenders take turns on the whole cluster."""
    job = Job(
        options.nodes,
        options.ranks_per_node,
        options.blocks,
        options.block_kib * 256,
        options.microsteps,
        options.reduce_scatter == "ring",
    )
    unit = zero_seconds(job, options.mbit)
    pauses = {balance: balance * unit for balance in options.balances}
    contenders = contenders_here()
    turns = run_job(job, contenders, options.mbit, list(pauses.values()), options.rounds)
    found = {}
    for contender in contenders:
        seconds = {b: seconds_of(turns, contender.name, pause) for b, pause in pauses.items()}
        found[contender.name] = {
            "measured_bytes": measured_bytes(turns, contender.name),
            "formula_bytes": formula_bytes(contender, job),
            "seconds": {str(balance): values for balance, values in seconds.items()},
        }
    for figures in found.values():
        for key, other in (("zero_over_this", ZERO), ("ahead_over_this", AHEAD)):
            figures[key] = {
                balance: median_ratio(found[other]["seconds"][balance], seconds)
                for balance, seconds in figures["seconds"].items()
            }
    return {"contenders": found, "parameter_bytes": job.parameter_bytes, "mbit": options.mbit}


def measure_scaling(options: argparse.Namespace) -> dict[str, Any]:
    """Give each rank the same work on 1, 2, 4 … nodes."""
    sizes = [2**power for power in range(options.nodes.bit_length())]
    largest = scaling_job(options, sizes[-1])
    pause = options.scaling_balance * zero_seconds(largest, options.scaling_mbit)
    contenders = [each for each in contenders_here() if each.name in SCALED]
    seconds: dict[str, dict[int, list[float]]] = {each.name: {} for each in contenders}
    sent: dict[str, dict[int, float]] = {each.name: {} for each in contenders}
    for _ in range(options.scaling_rounds):
        for nodes in sizes:
            job = scaling_job(options, nodes)
            turns = run_job(job, contenders, options.scaling_mbit, [pause], 1)
            for name in seconds:
                seconds[name].setdefault(nodes, []).extend(seconds_of(turns, name, pause))
                sent[name][nodes] = measured_bytes(turns, name)
    return {
        "nodes": sizes,
        "waiting_seconds": pause * options.scaling_microsteps,
        "mbit": options.scaling_mbit,
        "microsteps": options.scaling_microsteps,
        "parameter_bytes": largest.parameter_bytes,
        "balance": options.scaling_balance,
        "contenders": {
            name: {
                "seconds": {str(nodes): values for nodes, values in by_nodes.items()},
                "efficiency": {
                    str(nodes): median_ratio(by_nodes[1], values)
                    for nodes, values in by_nodes.items()
                },
                "measured_bytes": {str(nodes): value for nodes, value in sent[name].items()},
            }
            for name, by_nodes in seconds.items()
        },
    }


def scaling_job(options: argparse.Namespace, nodes: int) -> Job:
    """Return the job of the weak scaling on some nodes."""
    return Job(
        nodes,
        options.ranks_per_node,
        options.blocks,
        options.scaling_block_kib * 256,
        options.scaling_microsteps,
        options.reduce_scatter == "ring",
    )


# -- tables ----------------------------------------------------------------------------------------


def step_table(measured: dict[str, Any], balances: list[float]) -> str:
    """Return bytes, step times and ratios of each contender."""
    header = ["", "MB a step and link", "formula"]
    header += [f"s, balance {balance:g}" for balance in balances]
    for other in (ZERO, AHEAD):
        header += [f"faster than {other}, {balance:g}" for balance in balances]
    rows = [
        [
            name,
            f"{figures['measured_bytes'] / 1e6:.1f}",
            f"{figures['formula_bytes'] / 1e6:.1f}",
            *(f"{statistics.median(figures['seconds'][str(b)]):.2f}" for b in balances),
            *(f"{figures['zero_over_this'][str(b)]:.2f}x" for b in balances),
            *(f"{figures['ahead_over_this'][str(b)]:.2f}x" for b in balances),
        ]
        for name, figures in measured["contenders"].items()
    ]
    return markdown_table(header, rows)


def scaling_table(measured: dict[str, Any]) -> str:
    """Return step times and efficiencies by number of nodes."""
    sizes = measured["nodes"]
    header = ["weak scaling"]
    header += [f"s, {nodes} nodes" for nodes in sizes]
    header += [f"efficiency, {nodes}" for nodes in sizes[1:]]
    header += [f"MB a step and link, {nodes}" for nodes in sizes[1:]]
    rows = [
        [
            name,
            *(f"{statistics.median(figures['seconds'][str(n)]):.2f}" for n in sizes),
            *(f"{figures['efficiency'][str(n)]:.1%}" for n in sizes[1:]),
            *(f"{figures['measured_bytes'][str(n)] / 1e6:.1f}" for n in sizes[1:]),
        ]
        for name, figures in measured["contenders"].items()
    ]
    return markdown_table(header, rows)


def notes(
    options: argparse.Namespace, steps: dict[str, Any], scaling: dict[str, Any] | None
) -> str:
    """Return what the tables leave unsaid."""
    lines = [
        f"{options.nodes} emulated nodes x {options.ranks_per_node} ranks over gloo; "
        f"{steps['parameter_bytes'] / 1e6:.1f} MB of float32 parameters, {options.microsteps} "
        f"microsteps a step, links of {options.mbit:g} Mbit/s.",
        "Balance: seconds of computing over seconds of ZeRO-3's communication in a microstep.",
        f"Reduce-scatter: {options.reduce_scatter}.",
    ]
    if scaling:
        lines.append(
            f"Weak scaling: {scaling['parameter_bytes'] / 1e6:.1f} MB, {scaling['microsteps']} "
            f"microsteps, {scaling['mbit']:g} Mbit/s, balance {scaling['balance']:g} on the "
            f"largest cluster ({scaling['waiting_seconds']:.1f} s of waiting a step)."
        )
    if not has_deepspeed():
        lines.append("DeepSpeed is not installed here; --deepspeed FOLDER measures it too.")
    return "\n".join(f"- {line}" for line in lines)


def main() -> None:
    """Measure, print, plot and write the result."""
    options = parse_arguments()
    if reason := why_not():
        sys.exit(f"no emulated nodes: {reason}")
    if options.deepspeed and not has_deepspeed():
        run_with_deepspeed(options.deepspeed)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore"
    steps = measure_step_times(options)
    scaling = measure_scaling(options) if options.scaling_rounds else None
    tables = [step_table(steps, options.balances)]
    tables += [scaling_table(scaling)] if scaling else []
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "reduce_scatter": options.reduce_scatter,
        "step_times": steps,
        "weak_scaling": scaling,
        "deepspeed": metadata.version("deepspeed") if has_deepspeed() else None,
    }
    title = f"Partition groups and ZeRO-3 on {options.nodes} emulated nodes"
    name = "mics-scaling" if options.reduce_scatter == "ring" else "mics-scaling-gloo"
    text = "\n\n".join((*tables, notes(options, steps, scaling)))
    path = write_result(name, title, text, details, options.results)
    draw_step_times(steps, path.with_name(f"{path.stem}-steps"))
    if scaling:
        draw_scaling(scaling, path.with_name(f"{path.stem}-weak"))


if __name__ == "__main__":
    main()

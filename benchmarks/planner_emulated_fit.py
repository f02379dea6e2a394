"""What microbenchmarks say of an emulated cluster, and what the planner's simulator makes of it.

Seconds of collectives give two links, each with a latency of a hop and a usable bandwidth, by least
squares over the planner's own formulas; those of a step of a group of one, what a rank computes.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from mics_ranks import FORWARD_SHARE, Contender, Job
from planner_emulated_ranks import Alone, Kind, Message, Session

from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Cluster, Device, Link
from hunmin.planner.speed.costs import StepCosts, UnitCosts
from hunmin.planner.speed.network import Network
from hunmin.planner.speed.step import assemble_step
from hunmin.planner.strategy import Strategy

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
NUMBERS = tuple(1024 * kib // 4 for kib in (192, 384, 768, 1536))
"""Values of the collectives that are timed; none is a block that is trained."""
RANKS_PER_NODE = 2


@dataclass(frozen=True)
class Site:
    """An emulated cluster and what is trained on it.

    Args:
        job: The model and its steps.
        mbit: Rate of each node's link.
    """

    job: Job
    mbit: float

    @property
    def rate(self) -> float:
        """Bytes a second of a node's link."""
        return self.mbit * 1e6 / 8

    def __str__(self) -> str:
        return f"{self.job.nodes} x {self.job.ranks_per_node}, {self.mbit:g} Mbit/s"


@dataclass(frozen=True)
class Links:
    """Both links of an emulated cluster.

    Args:
        within: Of a rank inside a node.
        between: Of a node.
    """

    within: Link
    between: Link


@dataclass(frozen=True)
class Calibration:
    """What microbenchmarks say of a site.

    Args:
        gathers: Links as gathers find them.
        reductions: Links as reduce-scatters and all-reduces find them: each hop adds up, too, and
            the ring of the reduce-scatter is written in Python.
        alone: What a rank computes in a microstep besides waiting.
        misfits: Fitted over measured seconds of each collective, less 1.
    """

    gathers: Links
    reductions: Links
    alone: Alone
    misfits: tuple[float, ...]


def to_record(site: Site, known: Calibration) -> dict[str, Any]:
    """Return plain values for JSON."""
    return {**asdict(site), **asdict(known)}


def from_record(record: dict[str, Any]) -> tuple[Site, Calibration]:
    """Return what `to_record` was given."""
    gathers, reductions = (
        Links(Link(**record[kind]["within"]), Link(**record[kind]["between"]))
        for kind in ("gathers", "reductions")
    )
    site = Site(Job(**record["job"]), record["mbit"])
    alone = Alone(**record["alone"])
    return site, Calibration(gathers, reductions, alone, tuple(record["misfits"]))


# -- calibration -----------------------------------------------------------------------------------


def build_cluster(nodes: int, within: Link, between: Link) -> Cluster:
    """Return a cluster of devices that wait instead of computing."""
    waiting = Device("waiting", 2**30, math.inf, {"fp32": math.inf}, 1.0)
    return Cluster("emulated", "emulated", waiting, RANKS_PER_NODE, nodes, within, between)


def messages_of(job: Job) -> tuple[Message, ...]:
    """Return the collectives that are timed: within nodes, over all ranks, flat and in stages."""
    ranks, node = job.nodes * job.ranks_per_node, job.ranks_per_node
    layouts: list[tuple[Layout, tuple[Kind, ...]]] = [
        (Layout(ranks, node, node), ("gather", "scatter", "all_reduce"))
    ]
    if job.nodes > 1:
        for staged in (False, True):
            layout = Layout(ranks, node, ranks, hierarchical=staged)
            layouts.append((layout, ("gather", "scatter")))
    return tuple(
        Message(layout, kind, numbers)
        for layout, kinds in layouts
        for kind in kinds
        if kind != "all_reduce" or layout.replicas > 1
        for numbers in NUMBERS
    )


def network_seconds(message: Message, links: Cluster) -> float:
    """Return what the planner says of a collective."""
    network = Network(links, message.layout)
    call = {
        "gather": network.gather_seconds,
        "scatter": network.scatter_seconds,
        "all_reduce": network.all_reduce_seconds,
    }[message.kind]
    return call(message.bytes)


def unit_clusters(nodes: int) -> list[Cluster]:
    """Return clusters in which only one constant costs anything: 1 s a hop, or 1 s a byte."""
    free, hop, byte = Link(math.inf, 0.0), Link(math.inf, 1.0), Link(1.0, 0.0)
    pairs = ((hop, free), (byte, free), (free, hop), (free, byte))
    return [build_cluster(nodes, within, between) for within, between in pairs]


def fit_links(
    site: Site, messages: Sequence[Message], seconds: Sequence[float]
) -> tuple[Links, tuple[float, ...]]:
    """Fit both links so that relative errors are smallest; also return these.

    No constant is negative, and no link is faster than it is shaped.
    """
    units = unit_clusters(site.job.nodes)
    design = np.array([[network_seconds(message, unit) for unit in units] for message in messages])
    least = np.array([0.0, 0.0, 0.0, 1 / site.rate])
    found = weights = np.array(seconds)
    for _ in range(
        20
    ):  # Weighted by what is fitted: by what is measured, noise would pull it down.
        rest = (np.array(seconds) - design @ least) / weights
        found = least + _nonnegative(design / weights[:, None], rest)
        weights = design @ found
    hop_within, byte_within, hop_between, byte_between = (float(value) for value in found)
    within = Link(1 / byte_within if byte_within else math.inf, hop_within)
    between = Link(site.rate, hop_between, 1 / byte_between / site.rate)
    return Links(within, between), tuple((weights / seconds - 1).tolist())


def _nonnegative(design: Array, wanted: Array) -> Array:
    """Solve design @ x = wanted by least squares with x >= 0, by trying which of x are 0."""
    used = [column for column in range(design.shape[1]) if design[:, column].any()]
    best, least = np.zeros(design.shape[1]), float((wanted**2).sum())
    for count in range(1, len(used) + 1):
        for columns in map(list, itertools.combinations(used, count)):
            solution, *_ = np.linalg.lstsq(design[:, columns], wanted)
            miss = float(((design[:, columns] @ solution - wanted) ** 2).sum())
            if miss < least and (solution >= 0).all():
                least, best = miss, np.zeros(design.shape[1])
                best[columns] = solution
    return best


def calibrate(site: Site, messages: Sequence[Message], ranks: Sequence[Session]) -> Calibration:
    """Derive links and computing from what the ranks measured alone."""
    seconds = [
        statistics.median(max(values) for values in zip(*rounds, strict=True))
        for rounds in zip(*(rank.messages for rank in ranks), strict=True)
    ]
    fits = {}
    for is_gather in (True, False):
        chosen = [
            (message, value)
            for message, value in zip(messages, seconds, strict=True)
            if (message.kind == "gather") == is_gather
        ]
        fits[is_gather] = fit_links(site, *zip(*chosen, strict=True))
    steps = [step for rank in ranks for step in rank.alone]
    alone = Alone(
        statistics.median(step.forward for step in steps),
        statistics.median(step.backward for step in steps),
        statistics.median(step.optimizer for step in steps),
    )
    return Calibration(fits[True][0], fits[False][0], alone, fits[True][1] + fits[False][1])


# -- prediction ------------------------------------------------------------------------------------


def predict_step(contender: Contender, site: Site, pause: float, known: Calibration) -> float:
    """Return the seconds of a step, by the simulator."""
    job = site.job
    layout = contender.layout(job.nodes, job.ranks_per_node)
    strategy = Strategy(
        layout,
        micro_batch=1,
        microsteps=job.microsteps,
        precision="fp32",
        prefetch=0 if contender.engine == "fsdp2" and not contender.ahead else 1,
    )
    gathers, reductions = (
        Network(build_cluster(job.nodes, links.within, links.between), layout)
        for links in (known.gathers, known.reductions)
    )
    costs = step_costs(job, pause, gathers, reductions, known.alone)
    return assemble_step(costs, strategy).seconds


def step_costs(
    job: Job, pause: float, gathers: Network, reductions: Network, alone: Alone
) -> StepCosts:
    """Return what a block of waiting costs; gradients are reduced in the open."""
    message = job.block_numbers * 4
    block = UnitCosts(
        forward=(FORWARD_SHARE * pause + alone.forward) / job.blocks,
        backward=((1 - FORWARD_SHARE) * pause + alone.backward) / job.blocks,
        tensor_forward=0.0,
        tensor_backward=0.0,
        gather=gathers.gather_seconds(message),
        scatter=reductions.scatter_seconds(message),
        all_reduce=reductions.all_reduce_seconds(message),
    )
    nothing = UnitCosts(*[0.0] * 7)
    return StepCosts(job.blocks, block, nothing, alone.optimizer, 1.0, reduction_overlap=0.0)


def simulated_bytes(contender: Contender, site: Site) -> float:
    """Return the bytes on a node's link in the simulated step: its seconds at a byte a second."""
    job = site.job
    layout = contender.layout(job.nodes, job.ranks_per_node)
    strategy = Strategy(layout, micro_batch=1, microsteps=job.microsteps, precision="fp32")
    only_bytes = Network(unit_clusters(job.nodes)[3], layout)
    step = assemble_step(
        step_costs(job, 0.0, only_bytes, only_bytes, Alone(0.0, 0.0, 0.0)), strategy
    )
    return sum(step.sending.values())

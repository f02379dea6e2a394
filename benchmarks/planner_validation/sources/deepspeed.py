"""DeepSpeed's ZeRO-3, MiCS and the products made of it."""

from __future__ import annotations

import re

from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy
from planner_validation.conventions import EIGHT_N, MEGATRON_HARDWARE, PEAKS
from planner_validation.point import Point
from planner_validation.rows import Row, assumptions
from planner_validation.shapes import known_shape, shape_of_size
from planner_validation.sources.common import mics_layout, texts, zero_layout

STATE_BYTES, STATE_SHARE = 16, 0.55
"""Of a parameter with mixed precision and Adam; share of the memory that they may take (rule
`mics_group`)."""
OPEN_MICROSTEPS = 4
ON_512 = {"mics": 170.0, "deepspeed": 62.0}
"""TFLOPS of the 100B model on 512 GPUs, from which those on 128 follow."""
SPEEDUP_OF = 141.0
"""TFLOPS of the 30B model with MiCS, from which those with ZeRO-3 follow."""


def smallest_group(shape: ModelShape, memory: int, per_node: int) -> int:
    """Return MiCS's partition group by the rule `mics_group` of assumptions.yaml."""
    group = per_node
    while STATE_BYTES * shape.parameters / group > STATE_SHARE * memory:
        group *= 2
    return group


def zero_against_bandwidth(row: Row) -> list[Point]:
    """Build the point of a bar of the ZeRO++ figures."""
    kilo_tokens, gigabits = int(row["micro_batch"][0]), re.findall(r"(\d+)Gbps", row["cluster"])[0]
    is_published = row["model"] in assumptions()["shapes"]
    shape = (
        known_shape(row["model"], 512)
        if is_published
        else shape_of_size(row["model"], float(row["params_b"]) * 1e9, 512)
    )
    strategy = Strategy(
        layout=zero_layout(row.gpus, 16),
        micro_batch=2 * kilo_tokens,
        microsteps=1,
        precision="fp16",
        attention="plain",
        reduce_bytes=2,
    )
    names = ["rows_512", "plain_attention", "hardware_flops", "one_microstep", "dgx2_bandwidth"]
    names += ["reduce_half"]
    return [
        Point(
            group="ZeRO-3 against bandwidth",
            label=f"{row['model'].removeprefix('GPT ')}, {gigabits} Gbps, {kilo_tokens}K tokens",
            row=row.number,
            shape=shape,
            cluster_name=f"dgx-2:{row.gpus // 16}@{gigabits}Gbps",
            strategy=strategy,
            software="deepspeed",
            metric="tflops_per_gpu",
            value=row.value,
            convention=MEGATRON_HARDWARE,
            peak=PEAKS["V100"],
            assumptions=texts(*names, *(() if is_published else ("shape_rule",))),
        )
    ]


def _amazon_point(
    row: Row,
    group: str,
    run: tuple[str, int, str],
    value: float,
    *,
    is_derived: bool = False,
    because: tuple[str, ...] = (),
) -> Point:
    """Return a point of MiCS or ZeRO-3 of which only size, GPUs and throughput are published.

    `run` has the cluster, the number of GPUs and the software.
    """
    cluster, gpus, software = run
    node = find_cluster(cluster)
    shape = shape_of_size(row["model"], float(row["params_b"]) * 1e9, int(row["seq_len"] or 2048))
    is_mics, per_node = software == "mics", node.devices_per_node
    group_size = smallest_group(shape, node.device.memory, per_node)
    sharing, zero = mics_layout(gpus, per_node, group_size), zero_layout(gpus, per_node)
    strategy = Strategy(
        layout=sharing if is_mics else zero,
        micro_batch=1,
        microsteps=OPEN_MICROSTEPS,
        precision="fp16",
        attention="plain",
        reduce_bytes=2,
    )
    names = ["shape_rule", "fit", "four_microsteps", "hardware_flops", "plain_attention"]
    names += ["reduce_half"]
    names += ["mics_group", "staged"] if is_mics else []
    names += [] if row["seq_len"] else ["context_2048"]
    return Point(
        group=group,
        label=f"{row['params_b']}B {'MiCS' if is_mics else 'ZeRO-3'}, {gpus} {cluster} GPUs",
        row=row.number,
        shape=shape,
        cluster_name=f"{cluster}:{gpus // per_node}",
        strategy=strategy,
        software=software,
        metric="tflops_per_gpu",
        value=value,
        convention=MEGATRON_HARDWARE,
        peak=PEAKS["A100"],
        is_derived=is_derived,
        fits_rule=True,
        fits_layout=sharing,
        assumptions=texts(*names, *because),
    )


def mics(row: Row) -> list[Point]:
    """Build the point of a row of the MiCS blog; scaling rows give the run on 128 GPUs."""
    cluster = row["cluster"].split(".")[0]
    software = "mics" if row["system"] == "MiCS" else "deepspeed"
    if row["metric"] == "weak_scaling_efficiency_pct":
        value, run = ON_512[software] / (row.value / 100), (cluster, 128, software)
        names = ("derived_scaling",)
        return [_amazon_point(row, "MiCS", run, value, is_derived=True, because=names)]
    because = ("minimum",) if row["metric"].endswith("_min") else ()
    run = (cluster, row.gpus, software)
    return [_amazon_point(row, "MiCS", run, row.value, because=because)]


def sagemaker(row: Row) -> list[Point]:
    """Build the point of a 30B run; the speed-up gives the run with ZeRO-3."""
    if row["metric"] != "speedup_pct":
        return [_amazon_point(row, "SageMaker", ("p4d", row.gpus, "mics"), row.value)]
    value, because = SPEEDUP_OF / (1 + row.value / 100), ("derived_speedup",)
    run = ("p4d", row.gpus, "deepspeed")
    return [_amazon_point(row, "SageMaker", run, value, is_derived=True, because=because)]


def bloomberg(row: Row) -> list[Point]:
    """Build the point of BloombergGPT's step."""
    strategy = Strategy(
        layout=mics_layout(row.gpus, 8, int(row["partition_group"])),
        micro_batch=1,
        microsteps=4,
        attention="plain",
        reduce_bytes=2,
    )
    return [
        Point(
            group="BloombergGPT",
            label="50.6B MiCS, 512 p4d GPUs",
            row=row.number,
            shape=known_shape("BloombergGPT", int(row["seq_len"])),
            cluster_name=f"p4d:{row.gpus // 8}",
            strategy=strategy,
            software="mics",
            metric="step_seconds",
            value=row.value,
            convention=EIGHT_N,
            peak=PEAKS["A100"],
            fits_rule=True,
            rows_per_rank=int(row["global_batch"]) // row.gpus,
            assumptions=texts(
                "bloomberg_batch", "fit", "bloomberg_staged", "plain_attention", "reduce_half"
            ),
        )
    ]

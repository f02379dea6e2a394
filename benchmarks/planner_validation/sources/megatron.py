"""Megatron-LM: tensor and pipeline parallel."""

from __future__ import annotations

import re
from dataclasses import replace

from hunmin.parallel.layout import Layout
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.strategy import Strategy
from planner_validation.conventions import MEGATRON_HARDWARE, MEGATRON_MODEL, PEAKS
from planner_validation.point import Point
from planner_validation.rows import Row, assumptions
from planner_validation.shapes import HEAD, known_shape
from planner_validation.sources.common import texts


def megatron_a100(row: Row) -> list[Point]:
    """Build the point of a run of Korthikanti et al."""
    entry = assumptions()["megatron_a100"][f"{row['model']} {row.gpus}"]
    rows = entry["batch"] // entry["data"]
    strategy = Strategy(
        layout=Layout(8 * entry["data"], 8, 1, tensor=8),
        micro_batch=entry["micro_batch"],
        microsteps=rows // entry["micro_batch"],
        recompute="attention",
        precision="fp16",
        attention="plain",
        reduce_bytes=2,
        pipeline=entry["pipeline"],
        interleaved=entry["interleaved"],
    )
    return [
        Point(
            group="Megatron A100",
            label=f"{row['model'].removeprefix('GPT ')}, {row.gpus} A100-80GB",
            row=row.number,
            shape=known_shape(entry["shape"], 2048),
            cluster_name=f"dgx-a100:{row.gpus // 8}",
            strategy=strategy,
            software="megatron",
            metric="mfu_pct",
            value=row.value,
            convention=MEGATRON_MODEL,
            peak=PEAKS["A100"],
            rows_per_rank=rows,
            assumptions=texts("recalled_layout", "selene", "megatron_partition"),
        )
    ]


_DEGREES = re.compile(r"Megatron TP(\d+) PP(\d+) DP(\d+)")


def megatron_h100(row: Row) -> list[Point]:
    """Build the point of a row of Megatron-Core's weak scaling table."""
    tensor, pipeline, data = map(int, _DEGREES.findall(row["system"])[0])
    shape = _listed_shape(row)
    rows = int(row["global_batch"]) // data
    micro_batch = rows if pipeline == 1 else 1
    strategy = Strategy(
        layout=Layout(data * tensor, 8, 1, tensor),
        micro_batch=micro_batch,
        microsteps=rows // micro_batch,
        recompute="none",
        pipeline=pipeline,
        interleaved=1 if pipeline == 1 else shape.layers // pipeline,
    )
    names = ["eos", "h100_rows", "h100_recompute", "megatron_partition"]
    return [
        Point(
            group="Megatron H100",
            label=f"{row['model'].removeprefix('GPT ')}, {row.gpus} H100-80GB",
            row=row.number,
            shape=shape,
            cluster_name=f"dgx-h100:{row.gpus // 8}",
            strategy=strategy,
            software="megatron",
            metric="tflops_per_gpu",
            value=row.value,
            convention=MEGATRON_MODEL,
            peak=PEAKS["H100"],
            rows_per_rank=rows,
            assumptions=texts(*names, *(("h100_interleaved",) if pipeline > 1 else ())),
        )
    ]


def _listed_shape(row: Row) -> ModelShape:
    """Return the shape that the columns give; heads of 128, an output matrix of its own."""
    width = int(row["hidden"])
    shape = gpt2_shape(
        row["model"],
        layers=int(row["layers"]),
        width=width,
        heads=width // HEAD,
        vocab_size=int(row["vocab"]),
        context=int(row["seq_len"]),
    )
    return replace(shape, is_tied=False)


def hyperclova() -> Point:
    """Build the point of HyperCLOVA 82B, which is recalled and in no table."""
    gpus, days, tokens, data = 1024, 13.4, 150e9, 16
    strategy = Strategy(
        layout=Layout(8 * data, 8, 1, tensor=8),
        micro_batch=1,
        microsteps=gpus // data,
        precision="fp16",
        attention="plain",
        reduce_bytes=2,
        pipeline=8,
    )
    return Point(
        group="HyperCLOVA",
        label="82B, 1024 A100, 13.4 days for 150B tokens",
        row=0,
        shape=known_shape("HyperCLOVA 82B", 2048),
        cluster_name="dgx-a100:128",
        strategy=strategy,
        software="megatron",
        metric="tokens_per_s_per_gpu",
        value=tokens / (days * 86_400) / gpus,
        convention=MEGATRON_HARDWARE,
        peak=PEAKS["A100"],
        verified=False,
        is_derived=True,
        rows_per_rank=gpus // data,
        assumptions=texts("hyperclova", "plain_attention", "megatron_partition"),
    )

"""PyTorch FSDP and programs like it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout
from hunmin.planner.strategy import Recompute, Strategy
from planner_validation.conventions import MEGATRON_HARDWARE, PALM, PEAKS, SIX_N
from planner_validation.point import Point
from planner_validation.rows import Row
from planner_validation.shapes import known_shape
from planner_validation.sources.common import texts, zero_layout

_FOUNDRY = re.compile(r"Composer FSDP (?P<sharding>\w+) AC=(?P<again>\w+) GA=(?P<steps>\d+)")
_FOUNDRY_CLUSTERS = {
    "8xA100-40GB 1600Gbps/node RoCE": "a100-40gb-roce",
    "8xA100-80GB 1600Gbps/node RoCE": "a100-80gb-roce",
    "8xH100-80GB": "h100-roce",
}


def foundry(row: Row) -> list[Point]:
    """Build the point of a row of the benchmark table."""
    found = _FOUNDRY.fullmatch(row["system"])
    if found is None:
        raise InputError("unknown settings", where=f"line {row.number}", given=row["system"])
    cluster = _FOUNDRY_CLUSTERS[row["cluster"]]
    kind = row["cluster"].split()[0].removeprefix("8x")
    device = "H100" if cluster == "h100-roce" else "A100"
    is_pure = cluster == "a100-40gb-roce" or (device == "A100" and row["model"] == "MPT-70b")
    strategy = Strategy(
        layout=Layout(row.gpus, 8, int(row["partition_group"])),
        micro_batch=int(row["micro_batch"]),
        microsteps=int(found["steps"]),
        recompute="blocks" if found["again"] == "True" else "none",
        reshard_after_forward=found["sharding"] == "FULL_SHARD",
        reduce_bytes=2 if is_pure else 4,
    )
    names = ["foundry_pure" if is_pure else "foundry_default"]
    names += ["foundry_h100_network"] if device == "H100" else []
    return [
        Point(
            group=f"llm-foundry {device}",
            label=f"{row['model']}, {row.gpus} {kind}, {row['micro_batch']} rows",
            row=row.number,
            shape=known_shape(row["model"], int(row["seq_len"])),
            cluster_name=f"{cluster}:{row.gpus // 8}",
            strategy=strategy,
            software="fsdp",
            metric="mfu_pct",
            value=row.value,
            convention=PALM,
            peak=PEAKS[device],
            assumptions=texts(*names),
        )
    ]


_AGAIN: Mapping[str, Recompute] = {"none": "none", "selective": "none", "full": "blocks"}


def ibm(row: Row) -> list[Point]:
    """Build the point of a run by its tokens a second."""
    again, device = row["system"].removeprefix("FSDP AC="), row["cluster"][:4]
    group = 8 if row["model"] == "Llama2-7B" else row.gpus
    strategy = Strategy(
        layout=Layout(row.gpus, 8, group),
        micro_batch=int(row["micro_batch"]),
        microsteps=1,
        recompute=_AGAIN[again],
        reduce_bytes=2,
    )
    names = ["one_microstep", "ibm_reduce"]
    names += ["ibm_hsdp"] if group == 8 else []
    names += ["ibm_selective"] if again == "selective" else []
    cluster = f"ibm-{device.lower()}:{row.gpus // 8}"
    return [
        _tokens_point(
            row, "IBM/Meta FSDP", f"{row.gpus} {device}", cluster, device, strategy, names
        )
    ]


def _tokens_point(
    row: Row,
    group: str,
    run: str,
    cluster: str,
    device: str,
    strategy: Strategy,
    names: Sequence[str],
) -> Point:
    return Point(
        group=group,
        label=f"{row['model']}, {run}",
        row=row.number,
        shape=known_shape(row["model"].replace("3.1", "3"), int(row["seq_len"] or 8192)),
        cluster_name=cluster,
        strategy=strategy,
        software="fsdp",
        metric="tokens_per_s_per_gpu",
        value=row.value,
        convention=SIX_N,
        peak=PEAKS[device],
        assumptions=texts(*names),
    )


def fsdp_paper(row: Row) -> list[Point]:
    """Build the points at both ends of the published range of GPUs."""
    return [_fsdp_paper_point(row, gpus) for gpus in map(int, row["n_gpus"].split(".."))]


def _fsdp_paper_point(row: Row, gpus: int) -> Point:
    strategy = Strategy(
        layout=zero_layout(gpus, 8),
        micro_batch=int(row["micro_batch"]),
        microsteps=1,
        attention="plain",
        reduce_bytes=2,
    )
    names = ("fsdp_paper_range", "fsdp_paper_reduce", "hardware_flops", "plain_attention")
    return Point(
        group="FSDP paper",
        label=f"175B, {gpus} A100-80GB, {row['micro_batch']} rows",
        row=row.number,
        shape=known_shape(row["model"], int(row["seq_len"])),
        cluster_name=f"a100-80gb-roce:{gpus // 8}@2000Gbps",
        strategy=strategy,
        software="fsdp",
        metric="tflops_per_gpu",
        value=row.value,
        convention=MEGATRON_HARDWARE,
        peak=PEAKS["A100"],
        assumptions=texts(*names, "one_microstep"),
    )


def torchtitan(row: Row) -> list[Point]:
    """Build the point of a bf16 run."""
    tensor = 8 if "TP8" in row["system"] else 1
    is_large = "70B" in row["model"]
    strategy = Strategy(
        layout=Layout(row.gpus, 8, row.gpus // tensor, tensor),
        micro_batch=int(row["micro_batch"]),
        microsteps=1,
        recompute="blocks" if is_large else "none",
    )
    is_compiled = tensor > 1 or "compile" in row["system"]
    names = ["titan_hardware", "titan_full" if is_large else "titan_selective", "one_microstep"]
    names += ["titan_compiled"] if is_compiled else []
    run = f"{row.gpus} H100" + (", tensor 8" if tensor > 1 else "")
    run += ", compiled" if is_compiled else ""
    cluster = f"p5:{row.gpus // 8}"
    return [_tokens_point(row, "torchtitan", run, cluster, "H100", strategy, names)]


def internlm(row: Row) -> list[Point]:
    """Build the point of a run of InternEvo."""
    shape = known_shape("InternLM-7B", 4096)
    rows = 4 * 2**20 // shape.context // row.gpus
    strategy = Strategy(Layout(row.gpus, 8, 8), 1, rows, recompute="none")
    return [
        Point(
            group="InternLM",
            label=f"7B InternEvo, {row.gpus} A100",
            row=row.number,
            shape=shape,
            cluster_name=f"dgx-a100:{row.gpus // 8}",
            strategy=strategy,
            software="fsdp",
            metric="mfu_pct",
            value=row.value,
            convention=PALM,
            peak=PEAKS["A100"],
            fits_rule=True,
            rows_per_rank=rows,
            assumptions=texts("internlm", "fit"),
        )
    ]

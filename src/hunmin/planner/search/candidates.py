"""What a plan may choose: every strategy that a model, a cluster and a global batch allow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout, possible_groups
from hunmin.planner.cluster import Cluster, Precision
from hunmin.planner.shape import Attention, ModelShape
from hunmin.planner.software import Software
from hunmin.planner.strategy import Optimizer, Recompute, Strategy

TENSOR_DEGREES = (1, 2, 4, 8)
"""Ranks that may split a matrix: those that share a node."""
RECOMPUTES: tuple[Recompute, ...] = ("none", "attention", "blocks")
_PRECISIONS: tuple[Precision, ...] = ("bf16", "fp16", "fp32")
_GPT3_BATCHES = (
    (125e6, 0.5e6),
    (350e6, 0.5e6),
    (760e6, 0.5e6),
    (1.3e9, 1e6),
    (2.7e9, 1e6),
    (6.7e9, 2e6),
    (13e9, 2e6),
    (175e9, 3.2e6),
)
"""Parameters and tokens of a global batch: Brown et al. 2020 (arXiv:2005.14165), table 2.1."""


@dataclass(frozen=True)
class Fixed:
    """What is decided already; None leaves it to the search.

    Args:
        partition_group: Data-parallel ranks that share one copy of the model; world for all.
        tensor: Ranks that split each matrix.
        micro_batch: Rows of a microbatch.
        recompute: What the backward pass computes again.
        hierarchical: Whether collectives of groups that span nodes go in two stages.
        two_hop: Whether copies are synchronised once a step.
        reshard_after_forward: Whether gathered parameters are freed after the forward pass.
        pipeline: Stages of a pipeline, to explain runs of others: with several each stage's
            parameters are whole on its ranks, unless a partition group is given.
    """

    partition_group: int | Literal["world"] | None = None
    tensor: int | None = None
    micro_batch: int | None = None
    recompute: Recompute | None = None
    hierarchical: bool | None = None
    two_hop: bool | None = None
    reshard_after_forward: bool | None = None
    pipeline: int = 1


@dataclass(frozen=True)
class Request:
    """What is to be planned.

    Args:
        shape: The model; its context is the length of a row.
        cluster: Devices and links.
        software: Constants of the program.
        global_batch_tokens: Tokens of an optimizer step over all devices; None for what GPT-3
            used for its size nearest to the model, rounded to a power of two of rows for every
            device.
        precision: Of matrix products; None for the first of bf16, fp16 and fp32 that the device
            has.
        attention: Whether the score matrix is stored; None for what the software does.
        optimizer: Decides the states that are kept.
        loss_chunk: Tokens whose logits exist at a time; None for all of a microbatch.
        fixed: What is decided already.

    Raises:
        InputError: A batch smaller than a row, a precision that the device does not have, or
            pipeline stages that do not share out blocks and nodes.
    """

    shape: ModelShape
    cluster: Cluster
    software: Software
    global_batch_tokens: int | None = None
    precision: Precision | None = None
    attention: Attention | None = None
    optimizer: Optimizer = "adamw"
    loss_chunk: int | None = 2_048
    fixed: Fixed = field(default_factory=Fixed)

    def __post_init__(self) -> None:
        _check_batch(self)
        _check_precision(self)
        _check_pipeline(self)

    @property
    def stage_devices(self) -> int:
        """Devices of one pipeline stage; all of them without a pipeline."""
        return self.cluster.devices // self.fixed.pipeline

    @property
    def rows(self) -> int:
        """Rows of the global batch that is wished for."""
        if self.global_batch_tokens is not None:
            return self.global_batch_tokens // self.shape.context
        wished = default_batch_tokens(self.shape.parameters) / self.shape.context
        each = max(1.0, wished / self.cluster.devices)
        return (1 << round(math.log2(each))) * self.cluster.devices

    @property
    def used_precision(self) -> Precision:
        """The precision asked for, or the device's best for training."""
        if self.precision is not None:
            return self.precision
        return next(name for name in _PRECISIONS if name in self.cluster.device.peak)


def default_batch_tokens(parameters: float) -> float:
    """Return the tokens of the global batch of that GPT-3 model which is nearest in size.

    Args:
        parameters: Of the model.

    Returns:
        0.5 million tokens at 125 million parameters, 3.2 million at 175 billion and above.

    Source:
        Brown et al. 2020 (arXiv:2005.14165), table 2.1.
    """
    return min(_GPT3_BATCHES, key=lambda row: abs(math.log(row[0] / parameters)))[1]


def list_strategies(request: Request) -> Iterator[Strategy]:
    """Yield every strategy of a request, whether it fits the memory or not.

    Args:
        request: Model, cluster, batch, and what is fixed.

    Yields:
        Strategies whose global batch is as near to the wished one as their layout allows.

    Raises:
        InputError: What is fixed suits neither model nor cluster.
    """
    layouts = list(_layouts(request))
    if not layouts:
        raise _refuse_group(request)
    for layout in layouts:
        for micro_batch in _micro_batches(request, layout):
            yield from _variants(request, layout, micro_batch)


def possible_tensors(shape: ModelShape, cluster: Cluster) -> list[int]:
    """Return the degrees by which a model's matrices can be split within a node."""
    divided = (shape.heads, shape.kv_heads, cluster.devices_per_node)
    return [t for t in TENSOR_DEGREES if all(size % t == 0 for size in divided)]


def _layouts(request: Request) -> Iterator[Layout]:
    cluster, fixed = request.cluster, request.fixed
    for tensor in _tensors(request):
        per_node = cluster.devices_per_node // tensor
        for group in _groups(request, tensor):
            staged = [False, True] if group > per_node > 1 else [False]
            hops = [True, False] if group < request.stage_devices // tensor else [True]
            for hierarchical, two_hop in itertools.product(
                _chosen(staged, fixed.hierarchical), _chosen(hops, fixed.two_hop)
            ):
                yield Layout(
                    request.stage_devices,
                    cluster.devices_per_node,
                    group,
                    tensor,
                    hierarchical,
                    two_hop,
                )


def _chosen(values: list[bool], fixed: bool | None) -> list[bool]:
    """Keep what is fixed; where there is no choice, what is fixed has no meaning."""
    return [fixed] if fixed in values else values


def _tensors(request: Request) -> list[int]:
    possible = possible_tensors(request.shape, request.cluster)
    wished = request.fixed.tensor
    if wished is None:
        return possible
    if wished not in possible:
        raise InputError(
            "the model's heads cannot be split so within a node",
            where="tensor",
            given=wished,
            allowed=", ".join(map(str, possible)),
        )
    return [wished]


def _groups(request: Request, tensor: int) -> list[int]:
    data_ranks = request.stage_devices // tensor
    wished = request.fixed.partition_group
    if wished is None and request.fixed.pipeline > 1:
        return [1]
    if wished == "world":
        return [data_ranks]
    possible = possible_groups(data_ranks, request.cluster.devices_per_node // tensor)
    return possible if wished is None else [size for size in possible if size == wished]


def _refuse_group(request: Request) -> InputError:
    per_node = request.cluster.devices_per_node
    allowed = sorted(
        {
            size
            for tensor in _tensors(request)
            for size in possible_groups(request.stage_devices // tensor, per_node // tensor)
        }
    )
    return InputError(
        "partition groups must share out the ranks evenly and lie on whole nodes",
        where="partition_group",
        given=f"{request.fixed.partition_group} of {request.stage_devices} devices",
        allowed=", ".join(map(str, allowed)),
    )


def _micro_batches(request: Request, layout: Layout) -> list[int]:
    """Return powers of two, and three times these, up to the rows of a data-parallel rank.

    Between 2 and 4 rows lies a factor of two in what is sent for a row: too much to pass over.
    """
    if request.fixed.micro_batch is not None:
        return [request.fixed.micro_batch]
    rows = max(1, round(request.rows / layout.data_ranks))
    powers = [2**power for power in range(rows.bit_length())]
    return sorted(size for size in {*powers, *(3 * power for power in powers)} if size <= rows)


def _variants(request: Request, layout: Layout, micro_batch: int) -> Iterator[Strategy]:
    fixed = request.fixed
    microsteps = max(1, round(request.rows / layout.data_ranks / micro_batch))
    if microsteps == 1 and not layout.two_hop and fixed.two_hop is None:
        return  # the same as with two hops
    recomputes = RECOMPUTES if fixed.recompute is None else (fixed.recompute,)
    freed = [True, False] if layout.partition_group > 1 else [True]
    if fixed.reshard_after_forward is not None:
        freed = [fixed.reshard_after_forward]
    for recompute, reshards in itertools.product(recomputes, freed):
        yield Strategy(
            layout,
            micro_batch,
            microsteps,
            recompute=recompute,
            precision=request.used_precision,
            attention=request.attention or request.software.attention,
            reduce_bytes=request.software.reduce_bytes,
            optimizer=request.optimizer,
            reshard_after_forward=reshards,
            loss_chunk=request.loss_chunk,
            pipeline=fixed.pipeline,
        )


def _check_batch(request: Request) -> None:
    tokens, context = request.global_batch_tokens, request.shape.context
    if request.fixed.micro_batch is not None and request.fixed.micro_batch < 1:
        raise InputError(
            "a microbatch has at least one row",
            where="micro_batch",
            given=request.fixed.micro_batch,
            allowed="1 or more",
        )
    if tokens is not None and tokens < context:
        raise InputError(
            "the global batch is smaller than one row",
            where="global batch",
            given=f"{tokens} tokens",
            allowed=f"{context} tokens or more",
            hint="give the tokens of all devices together, or a shorter context",
        )


def _check_pipeline(request: Request) -> None:
    stages, cluster = request.fixed.pipeline, request.cluster
    possible = [
        count
        for count in range(1, min(request.shape.layers, cluster.nodes) + 1)
        if request.shape.layers % count == 0 and cluster.nodes % count == 0
    ]
    if stages not in possible:
        raise InputError(
            "pipeline stages share out the blocks evenly and lie on whole nodes",
            where="pipeline",
            given=f"{stages} stages, {request.shape.layers} blocks, {cluster.nodes} nodes",
            allowed=", ".join(map(str, possible)),
        )


def _check_precision(request: Request) -> None:
    peak = request.cluster.device.peak
    wished = (request.precision,) if request.precision else _PRECISIONS
    if not any(name in peak for name in wished):
        raise InputError(
            "the device has no matrix products in this precision",
            where=request.cluster.device.name,
            given=" or ".join(wished),
            allowed=", ".join(peak) or "nothing",
        )

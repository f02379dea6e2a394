"""Seconds of everything that happens to a block, before it is put on a time line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hunmin.planner.cluster import Cluster
from hunmin.planner.shape import ModelShape
from hunmin.planner.software import Software
from hunmin.planner.speed.compute import Compute
from hunmin.planner.speed.network import Network
from hunmin.planner.strategy import Strategy


@dataclass(frozen=True)
class UnitCosts:
    """Seconds of one unit that is gathered and scattered together: a block, or what is around.

    Args:
        forward: Computing.
        backward: Computing, with what is computed again.
        tensor_forward: Between the ranks that split matrices; nothing hides it.
        tensor_backward: The same in the backward pass.
        gather: Collecting the parameters.
        scatter: Adding the gradients up within the partition group.
        all_reduce: Adding them up between the copies of the model.
    """

    forward: float
    backward: float
    tensor_forward: float
    tensor_backward: float
    gather: float
    scatter: float
    all_reduce: float


@dataclass(frozen=True)
class StepCosts:
    """Seconds of the parts of a step.

    Args:
        blocks: Blocks of this pipeline stage.
        block: One of them.
        outside: Embeddings, output matrix and loss; its forward is the loss, there and back.
        optimizer: The update of this rank's part.
        overlap: Share of a collective that runs beside the computation.
        interference: How much longer a computation takes beside a collective.
        reduction_overlap: Share of a reduction of gradients that does; None is `overlap`.
    """

    blocks: int
    block: UnitCosts
    outside: UnitCosts
    optimizer: float
    overlap: float
    interference: float = 0.0
    reduction_overlap: float | None = None


def derive_costs(
    shape: ModelShape, strategy: Strategy, cluster: Cluster, software: Software
) -> StepCosts:
    """Work out what each part of a step costs.

    Args:
        shape: The model.
        strategy: Layout, microbatches, recomputation.
        cluster: Devices and links.
        software: Constants of the program.

    Returns:
        Seconds.
    """
    compute = Compute(cluster.device, shape, strategy, software)
    network = Network(cluster, strategy.layout, software.backend)
    layout = strategy.layout
    blocks = -(-shape.layers // strategy.pipeline)
    kept = blocks * shape.block_parameters + shape.outside_parameters
    return StepCosts(
        blocks=blocks,
        block=_block(compute, network),
        outside=_outside(compute, network),
        optimizer=compute.optimizer_seconds(kept / layout.tensor / layout.partition_group),
        overlap=software.overlap,
        interference=software.cores,
        reduction_overlap=software.reduction_overlap,
    )


def _block(compute: Compute, network: Network) -> UnitCosts:
    shape, strategy = compute.shape, compute.strategy
    hidden = compute.tokens * shape.width * strategy.precision_bytes
    # Two all-reduces of hidden states forward, two backward, and those that are done again.
    tensor = 2 * network.tensor_seconds(hidden)
    again = tensor if strategy.recompute == "blocks" else 0.0
    messages = _messages(shape, compute.software)
    gathers = strategy.precision_bytes * strategy.reshard_after_forward
    return UnitCosts(
        forward=compute.forward_seconds() + compute.copy_seconds(strategy.precision_bytes),
        backward=compute.backward_seconds() + compute.copy_seconds(gathers + strategy.reduce_bytes),
        tensor_forward=tensor,
        tensor_backward=tensor + again,
        gather=_total(network.gather_seconds, messages, strategy.precision_bytes),
        scatter=_total(network.scatter_seconds, messages, strategy.reduce_bytes),
        all_reduce=_total(network.all_reduce_seconds, messages, strategy.reduce_bytes),
    )


def _outside(compute: Compute, network: Network) -> UnitCosts:
    strategy = compute.strategy
    parameters = [compute.shape.outside_parameters]
    return UnitCosts(
        forward=compute.loss_seconds(),
        backward=0.0,
        tensor_forward=0.0,
        tensor_backward=0.0,
        gather=_total(network.gather_seconds, parameters, strategy.precision_bytes),
        scatter=_total(network.scatter_seconds, parameters, strategy.reduce_bytes),
        all_reduce=_total(network.all_reduce_seconds, parameters, strategy.reduce_bytes),
    )


def _messages(shape: ModelShape, software: Software) -> list[int]:
    """Return the parameters that each collective of a block carries."""
    if software.gather_unit == "block":
        return [shape.block_parameters]
    return [inputs * outputs for inputs, outputs in shape.block_matrices]


def _total(seconds: Callable[[float], float], messages: list[int], width: int) -> float:
    return sum(seconds(parameters * width) for parameters in messages)

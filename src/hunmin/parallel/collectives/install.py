"""Sets measured, and where the layout says so hierarchical, collectives on a sharded model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.utils._pytree import tree_leaves

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.flat import (
    FlatAllGather,
    FlatReduceScatter,
    MeteredAllGather,
    MeteredReduceScatter,
)
from hunmin.parallel.collectives.groups import NodeGroups, build_node_groups
from hunmin.parallel.collectives.hierarchical import (
    HierarchicalAllGather,
    HierarchicalReduceScatter,
)
from hunmin.parallel.collectives.meter import CommunicationMeter
from hunmin.parallel.collectives.timing import Demand
from hunmin.parallel.collectives.volume import REPLICATE, SHARD
from hunmin.parallel.layout import Layout

Gather: TypeAlias = HierarchicalAllGather | MeteredAllGather
Scatter: TypeAlias = HierarchicalReduceScatter | MeteredReduceScatter


def install_collectives(
    root: nn.Module,
    layout: Layout,
    mesh: DeviceMesh,
    meter: CommunicationMeter,
    *,
    timeout: timedelta | None = None,
) -> NodeGroups | None:
    """Set the collectives of a model's every sharded module; every rank must call this.

    Args:
        root: The model after `fully_shard` on its blocks and on itself.
        layout: Which rank lies where, and whether collectives go in two stages.
        mesh: With the dimensions `replicate` and `shard`.
        meter: Told of every collective; take what it counted each step.
        timeout: After which a collective of the new groups is an error; None is the backend's
            default.

    Returns:
        The groups within and across nodes; None if the layout needs none.

    Raises:
        InputError: A root that is not sharded, or a mesh that is not the layout's.

    Note:
        Collectives: creates groups if the layout is hierarchical. FSDP2's hook after the
        all-reduce is taken, to count it. On a GPU, hooks on both sides of FSDP2's own take the
        time at which gathers are needed.
    """
    if not isinstance(root, FSDPModule):
        raise InputError(
            "collectives are set on a sharded model",
            given=type(root).__name__,
            hint="call fully_shard on its blocks and on the model first",
        )
    groups = None
    if layout.hierarchical:
        groups = build_node_groups(layout, mesh.get_group(SHARD), timeout=timeout)
    replicas = mesh.get_group(REPLICATE) if layout.replicas > 1 else None
    for module in root.modules():
        if isinstance(module, FSDPModule):
            gather, scatter = _collectives(groups, meter, is_last=module is root)
            _set(module, gather, scatter, replicas)
            if not meter.blocks:
                watch_demand(module, gather.demand)
    return groups


def _collectives(
    groups: NodeGroups | None, meter: CommunicationMeter, *, is_last: bool
) -> tuple[Gather, Scatter]:
    if groups is None:
        return (
            MeteredAllGather(FlatAllGather(), meter),
            MeteredReduceScatter(FlatReduceScatter(), meter, is_last=is_last),
        )
    return (
        HierarchicalAllGather(groups, meter),
        HierarchicalReduceScatter(groups, meter, is_last=is_last),
    )


def _set(
    module: FSDPModule, gather: Gather, scatter: Scatter, replicas: ProcessGroup | None
) -> None:
    module.set_custom_all_gather(gather)
    module.set_custom_reduce_scatter(scatter)
    if replicas is not None:
        module.set_all_reduce_hook(partial(scatter.reduction.all_reduced, group=replicas))


def watch_demand(module: nn.Module, demand: Demand) -> None:
    """Tell when a sharded module's computation comes for its parameters, and when it has them.

    Args:
        module: After `fully_shard`, whose hooks are to lie between these.
        demand: Told.
    """
    before, after = _without_compiler(demand.arrived), _without_compiler(demand.departed)
    module.register_forward_pre_hook(lambda *_: before(), prepend=True)
    module.register_forward_pre_hook(lambda *_: after())
    module.register_forward_hook(lambda *passed: _on_backward(passed[-1], before), prepend=True)
    module.register_forward_hook(lambda *passed: _on_backward(passed[-1], after))


def _on_backward(output: Any, notify: Callable[[], None]) -> None:
    for tensor in tree_leaves(output):
        if isinstance(tensor, Tensor) and tensor.requires_grad:
            tensor.register_hook(lambda _: notify())


def _without_compiler(notify: Callable[[], None]) -> Callable[[], None]:
    disabled: Callable[[], None] = torch.compiler.disable(notify)
    return disabled

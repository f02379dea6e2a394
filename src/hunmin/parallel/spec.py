"""What a recipe says about training on several devices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hunmin.core.spec import Spec


class ParallelSpec(Spec):
    """How a run is spread over devices; `torchrun -m hunmin train RECIPE` starts one on several."""

    partition_group: Literal["auto", "world"] | int = "auto"
    """Data-parallel ranks that share one copy of parameters, gradients and optimizer states: a
    number that divides them all, world for all of them (ZeRO-3), 1 for a copy on each device, or
    auto for the smallest group that fits the devices' memory."""
    hierarchical: bool | Literal["auto"] = "auto"
    """Gather parameters and scatter gradients across nodes first and within nodes then; auto does
    it when a partition group spans nodes."""
    two_hop: bool = True
    """Add gradients up within the partition group and synchronise the copies once a step; false
    does it for every microbatch."""
    ranks_per_node: int | Literal["auto"] = "auto"
    """Ranks that share a fast connection; auto is what torchrun started on each node."""
    tensor: int = Field(1, ge=1)
    """Devices that split each matrix between them, a divisor of the ranks of a node."""
    reshard_after_forward: bool = True
    """Free gathered parameters after the forward pass and gather them again in the backward pass;
    false needs more memory and saves a gather (ZeRO-2)."""
    prefetch: int = Field(1, ge=0)
    """Blocks whose parameters are gathered ahead of their use."""
    gather_precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Type in which parameters travel; auto is that of the matrix products. Gradients are always
    added up in fp32."""
    timeout: float = Field(600.0, gt=0)
    """Seconds after which a collective that does not end is an error."""

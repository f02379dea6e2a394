"""A model spread over partition groups, on the public API of FSDP2.

    microstep 1 .. s-1   gather parameters in the group ─ compute ─ reduce-scatter in the group ─┐
    microstep s          the same, and then one all-reduce between the copies of the model    <──┘

ZeRO-3 is the layout with one group of all ranks, plain data parallelism the one with a group for
each rank; there is no other code for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.install import install_collectives
from hunmin.parallel.collectives.meter import CommunicationMeter
from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import data_mesh

_TAKES_UNUSED_PARAMETERS = hasattr(FSDPModule, "set_reduce_scatter_unused_params")


@dataclass(frozen=True)
class ShardingOptions:
    """How parameters are gathered.

    Args:
        gather_dtype: Type in which the blocks' parameters travel and compute; None for their own.
        reshard_after_forward: Whether gathered parameters are freed after the forward pass.
        prefetch: Blocks gathered ahead.
        timeout: After which a collective is an error; None for the backend's default.
    """

    gather_dtype: torch.dtype | None = None
    reshard_after_forward: bool = True
    prefetch: int = 1
    timeout: timedelta | None = None


class GradientSynchronizer:
    """Decides which microstep synchronises what.

    Args:
        root: The sharded module; None for a model in one process, where nothing is to be done.
        two_hop: Whether the copies of the model are synchronised at the last microstep only.
        meter: Counts what the collectives send; None in one process.
    """

    def __init__(
        self,
        root: FSDPModule | None = None,
        *,
        two_hop: bool = True,
        meter: CommunicationMeter | None = None,
    ) -> None:
        self.root = root
        self.meter = meter
        self._two_hop = two_hop

    def begin_microstep(self, *, is_last: bool) -> None:
        """Say that the next forward and backward pass is the last of the step, or is not.

        Note:
            Every rank must say the same. Gradients exist only after the last microstep.
        """
        if self.root is not None:
            self.root.set_requires_all_reduce(is_last or not self._two_hop)

    def free_gathered(self) -> None:
        """Free what a forward pass without a backward pass has left gathered.

        Until then the root's parameters are copies: what is loaded into them is lost.
        """
        if self.root is not None:
            self.root.reshard()

    def abandon(self) -> None:
        """Forget the gradients of a step that was not finished.

        `zero_grad` does not know of the sums of earlier microsteps, which would make the next
        gradient too large without a word.
        """
        if self.root is None:
            return
        if hasattr(self.root, "reset_iter_state"):
            self.root.reset_iter_state()
            return
        for module in self.root.modules():  # type: ignore[attr-defined]  # before torch 2.13
            if isinstance(module, FSDPModule):
                group = module._get_fsdp_state()._fsdp_param_group
                if group is not None:
                    group._partial_reduce_output = None


@contextlib.contextmanager
def explain_unused_parameters() -> Iterator[None]:
    """Say what is wrong where torch adds up gradients of other parameters than the last time.

    Yields:
        Nothing.

    Raises:
        InputError: A parameter was used in one microstep and not in another.
    """
    try:
        yield
    except RuntimeError as error:
        if _TAKES_UNUSED_PARAMETERS or "must match the size of tensor" not in str(error):
            raise
        raise InputError(
            "a parameter is used in one microbatch and not in another",
            given=f"torch {torch.__version__}",
            allowed="torch 2.13 or newer for such models",
            hint="upgrade torch, or set parallel.two_hop: false",
        ) from error


def shard_module(
    root: nn.Module,
    blocks: Sequence[nn.Module],
    layout: Layout,
    mesh: DeviceMesh,
    options: ShardingOptions | None = None,
) -> GradientSynchronizer:
    """Spread a module over the partition groups of a layout, in place.

    Args:
        root: The module whose forward pass returns the loss.
        blocks: Its repeated parts, in the order they run; each is gathered as a whole.
        layout: Which rank holds what.
        mesh: Of the same layout.
        options: How parameters are gathered.

    Returns:
        What decides about the synchronisation of gradients.

    Note:
        Collective. Gradients are reduced and summed over microsteps in float32. What lies outside
        of the blocks (embeddings, the last norm) is gathered once a microstep, in its own type.
    """
    options = options or ShardingOptions()
    in_blocks = MixedPrecisionPolicy(
        param_dtype=options.gather_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    outside = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks:
        fully_shard(
            block,
            mesh=data_mesh(mesh),
            mp_policy=in_blocks,
            reshard_after_forward=options.reshard_after_forward,
        )
    sharded = fully_shard(root, mesh=data_mesh(mesh), mp_policy=outside)
    _set_prefetch([b for b in blocks if isinstance(b, FSDPModule)], options.prefetch)
    if mesh.device_type == "cpu" and options.prefetch > 0:
        # A GPU gathers in a stream of its own; a CPU has to be told to do so in the background.
        sharded._set_unshard_async_op(True)
    _give_zeros_to_unused_parameters(sharded)
    meter = CommunicationMeter(torch.device(mesh.device_type))
    install_collectives(root, layout, mesh, meter, timeout=options.timeout)
    return GradientSynchronizer(sharded, two_hop=layout.two_hop, meter=meter)


def _set_prefetch(blocks: Sequence[FSDPModule], count: int) -> None:
    for index, block in enumerate(blocks):
        ahead = list(blocks[index + 1 : index + 1 + count])
        behind = list(reversed(blocks[max(0, index - count) : index]))
        block.set_modules_to_forward_prefetch(ahead)
        block.set_modules_to_backward_prefetch(behind)


def _give_zeros_to_unused_parameters(root: FSDPModule) -> None:
    """A parameter that one microstep uses and another does not must have a place in the sums.

    torch can do that from 2.13 on; before, `explain_unused_parameters` says what is wrong.
    """
    if _TAKES_UNUSED_PARAMETERS:
        root.set_reduce_scatter_unused_params(True)

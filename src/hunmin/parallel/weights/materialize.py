"""From shapes to weights: each rank gets memory for its own part of a model, and no more.

build_meta_model(config)      shapes, no memory
apply_tensor_parallel(...)    shapes of this rank's slices
shard_module(...)             shapes of this rank's shards
materialize(...)              memory for the shards, filled by a seed or from a folder
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from hunmin.core.errors import StageFailedError
from hunmin.models.devices import explain_out_of_memory


def materialize(
    module: nn.Module, device: torch.device | str, *, initialize: Callable[[], None]
) -> None:
    """Give a module that was built on the meta device memory and values, in place.

    Args:
        module: Sharded or not; parameters that lie on a device already stay as they are.
        device: Where they shall lie; of the mesh's type if the module is sharded.
        initialize: Fills every parameter, each process its own part: `initialize_parameters` or
            `load_folder` of the same model.

    Raises:
        StageFailedError: A buffer lies on the meta device: nobody knows its value.
        OutOfMemoryError: This rank's part does not fit.

    Note:
        Collectives: none but those of `initialize`. Parameters that are tied stay tied.
    """
    hint = "use more devices or a larger parallel.partition_group, or a smaller model"
    with explain_out_of_memory(hint):
        _move_buffers(module, torch.device(device))
        _allocate_parameters(module, torch.device(device))
        initialize()


def _move_buffers(module: nn.Module, device: torch.device) -> None:
    for owner_name, owner in module.named_modules():
        for name, buffer in owner.named_buffers(recurse=False):
            if buffer.is_meta:
                raise StageFailedError(
                    "the value of a buffer is unknown: it was built on the meta device",
                    where=f"{owner_name}.{name}".lstrip("."),
                    allowed="buffers on a real device",
                    hint="build the model with hunmin.models.meta.build_meta_model",
                )
            owner._buffers[name] = buffer.to(device)


def _allocate_parameters(module: nn.Module, device: torch.device) -> None:
    allocated: dict[int, nn.Parameter] = {}
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.is_meta:
                if id(parameter) not in allocated:
                    allocated[id(parameter)] = _allocate(parameter, device)
                owner._parameters[name] = allocated[id(parameter)]


def _allocate(parameter: nn.Parameter, device: torch.device) -> nn.Parameter:
    """For a DTensor this is memory for the part of this rank."""
    memory = torch.empty_like(parameter, device=device)
    return nn.Parameter(memory, requires_grad=parameter.requires_grad)

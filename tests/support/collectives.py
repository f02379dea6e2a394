"""A record of the collectives that this rank takes part in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CollectiveLog(TorchDispatchMode):
    """Name of each collective, and bytes that go to, or for a gather come from, other ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if DTensor in types:
            return NotImplemented  # let it take itself apart; what it sends comes back here
        namespace, name = func._schema.name.split("::")
        if "c10d" in namespace and name not in ("wait_tensor", "_wrap_tensor_autograd"):
            self.calls.append((name, _bytes_over_links(name, args)))
        return func(*args, **(kwargs or {}))


def _bytes_over_links(name: str, args: tuple[Any, ...]) -> int:
    tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
    if name == "alltoall_base_":
        group = torch._C._distributed_c10d.ProcessGroup.unbox(args[2])
        own = args[4][group.rank()] if args[4] else tensors[1].shape[0] // group.size()
        return (tensors[1].numel() - own) * tensors[1].element_size()
    if name == "_allgather_base_":
        return tensors[0].nbytes - tensors[1].nbytes
    return sum(tensor.nbytes for tensor in tensors[:1])

"""Tensor parallelism: the ranks of one mesh axis split each matrix between them.

    x ─┬─> columns of rank 0 ─> its heads ─> rows of rank 0 ─┐
       └─> columns of rank 1 ─> its heads ─> rows of rank 1 ─┴─> sum ─> y

In the forward pass one all-reduce ends each pair of matrices, in the backward pass one begins it;
between them each rank works alone. Everything else (embeddings, norms, the output matrix) is whole
on each rank. Parameters become DTensors on the axis, which FSDP2 shards further, but the arithmetic
is done on plain local tensors: a module's class is replaced by a subclass whose parameters *read*
as this rank's part. That costs no dispatch through DTensor, and layers that read the weights of
others (a fused norm, the chunked loss) need not know of it.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import Placement
from transformers import PreTrainedModel

from hunmin.models.slices import Cut, SlicePlan, slice_plan


def apply_tensor_parallel(model: PreTrainedModel, mesh: DeviceMesh) -> None:
    """Split the matrices of a model over the ranks of a mesh axis, in place.

    Args:
        model: On the meta device, or with the same weights on every rank. Apply it after
            `optimize_model` and before anything is sharded.
        mesh: One axis, `build_mesh(...)["tensor"]`.

    Raises:
        InputError: The model cannot be split, or not into so many parts; it is unchanged then.

    Note:
        Collectives: none. Later, of hidden states of N bytes: an all-reduce at each of the two
        sums of a block in forward, and two in backward. GPT-2 keeps queries, keys and values in
        one matrix of M bytes (its rank's part): an all-to-all of M in forward and in backward.
        Dropout of hidden states must draw the same numbers on all ranks of the axis.
    """
    plan = slice_plan(model, mesh.size())
    if mesh.size() == 1:
        return
    axis = _Axis(mesh)
    placed: dict[int, nn.Parameter] = {}
    for cut in plan.cuts:
        module = model.get_submodule(cut.module)
        _place(module, axis, placed, cut)
        _become(module, _Columns if cut.by == "columns" else _Rows, axis, cut)
    _share_inputs(model, plan, axis)
    cut_names = {cut.module for cut in plan.cuts}
    for name, module in model.named_modules():
        if name not in cut_names and module._parameters:
            _place(module, axis, placed)
            _become(module, _Summed if name in plan.summed else _Whole, axis)
    for name, attribute in plan.divided:
        module = model.get_submodule(name)
        setattr(module, attribute, getattr(module, attribute) // mesh.size())


def _share_inputs(model: nn.Module, plan: SlicePlan, axis: _Axis) -> None:
    """Matrices of one module that are cut by columns read the same input, most of the time."""
    siblings: dict[str, list[Any]] = {}
    for cut in plan.cuts:
        if cut.by == "columns":
            module = model.get_submodule(cut.module)
            siblings.setdefault(cut.module.rpartition(".")[0], []).append(module)
    for modules in siblings.values():
        shared = _SharedInput(axis, len(modules))
        for module in modules:
            module._shared_input = shared


@dataclass(frozen=True)
class _Axis:
    mesh: DeviceMesh

    @property
    def group(self) -> ProcessGroup:
        return self.mesh.get_group()

    @property
    def size(self) -> int:
        return self.mesh.size()

    @property
    def rank(self) -> int:
        return self.mesh.get_local_rank()


# -- parameters ----------------------------------------------------------------------------------


def _place(
    module: nn.Module, axis: _Axis, placed: dict[int, nn.Parameter], cut: Cut | None = None
) -> None:
    """Replace a module's parameters by DTensors; those that are tied stay tied."""
    for name, parameter in module.named_parameters(recurse=False):
        if id(parameter) not in placed:
            tensor = distribute_tensor(
                parameter.detach(), axis.mesh, [_placement(name, cut)], src_data_rank=None
            )
            placed[id(parameter)] = nn.Parameter(tensor, requires_grad=parameter.requires_grad)
        module._parameters[name] = placed[id(parameter)]


def _placement(name: str, cut: Cut | None) -> Placement:
    if cut is None or (name == "bias" and cut.by == "rows"):
        return Replicate()
    return Shard(0 if name == "bias" else cut.weight_dim)


def _become(module: nn.Module, kind: type[_Part], axis: _Axis, cut: Cut | None = None) -> None:
    base: Any = type(module)
    module.__class__ = _subclass(base, cast("Any", kind), tuple(module._parameters))
    part: Any = module
    part._axis = axis
    if cut is not None:
        part._cut = cut
    if cut is not None and cut.sections > 1:
        stored = part._parameters["weight"].shape[cut.weight_dim] // axis.size
        part._exchange = _plan_exchange(stored, cut.sections, axis.size, axis.rank)


@functools.cache
def _subclass(base: Any, kind: Any, names: tuple[str, ...]) -> type[nn.Module]:
    """The name stays: blocks and norms are found by it."""
    return type(base.__name__, (kind, base), {name: _reader(name) for name in names})


def _reader(name: str) -> property:
    def read(module: _Part) -> Tensor | None:
        parameter: Any = module._parameters[name]
        # On a mesh of more axes it is a shard of FSDP, with which nothing is computed.
        if not isinstance(parameter, DTensor) or parameter.device_mesh.ndim > 1:
            return cast("Tensor | None", parameter)
        return module._read(name, parameter.to_local())

    return property(read)


# -- modules -------------------------------------------------------------------------------------


class _Part(nn.Module):
    """A module of which this rank has a part."""

    _axis: _Axis
    _cut: Cut
    weight: Tensor
    bias: Tensor | None

    def _read(self, name: str, local: Tensor) -> Tensor:
        return local


class _Whole(_Part):
    """Every rank computes the same."""


class _Summed(_Part):
    """Parameters are the same on every rank, but each uses them for its own heads."""

    def _read(self, name: str, local: Tensor) -> Tensor:
        summed: Tensor = _SumGradients.apply(local, self._axis)  # type: ignore[no-untyped-call]
        return summed


class _Columns(_Part):
    """A linear layer that computes some of the outputs."""

    _shared_input: _SharedInput
    _exchange: _Exchange | None = None

    def _read(self, name: str, local: Tensor) -> Tensor:
        if self._exchange is None:
            return local
        dim = 0 if name == "bias" else self._cut.weight_dim
        return _share_out_sections(local, dim, self._exchange, self._axis)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(self._shared_input.enter(hidden), _as_linear(self), self.bias)


class _Rows(_Part):
    """A linear layer that reads some of the inputs, and adds up what the ranks computed."""

    def forward(self, hidden: Tensor) -> Tensor:
        partial = F.linear(hidden, _as_linear(self))
        total: Tensor = _Sum.apply(partial, self._axis)  # type: ignore[no-untyped-call]
        return total if self.bias is None else total + self.bias.to(total.dtype)


def _as_linear(module: _Part) -> Tensor:
    """Return the weight as (outputs, inputs)."""
    return module.weight.t() if module._cut.is_transposed else module.weight


class _SharedInput:
    """The input of several matrices: its gradient is summed over ranks once, not once a matrix.

    Args:
        axis: The ranks.
        readers: Matrices that are expected to read the same tensor.
    """

    def __init__(self, axis: _Axis, readers: int) -> None:
        self._axis = axis
        self._readers = readers
        self._waiting = 0
        self._source: Tensor | None = None
        self._entered: Tensor | None = None

    def enter(self, hidden: Tensor) -> Tensor:
        """Return the input with a gradient that is summed."""
        if self._entered is None or self._source is not hidden:
            self._source, self._waiting = hidden, self._readers
            self._entered = _SumGradients.apply(hidden, self._axis)  # type: ignore[no-untyped-call]
        entered: Tensor = self._entered
        self._waiting -= 1
        if self._waiting == 0:
            self._source = self._entered = None
        return entered


# -- collectives with gradients ------------------------------------------------------------------


class _SumGradients(torch.autograd.Function):
    """The same forward, a sum over ranks backward."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, axis: _Axis) -> Tensor:
        ctx.axis = axis
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        # A copy: the gradient from above may be shared with another branch.
        total = upstream[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.axis.group)
        return total, None


class _Sum(torch.autograd.Function):
    """A sum over ranks forward, the same backward."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, axis: _Axis) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=axis.group)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        return upstream[0], None


@dataclass(frozen=True)
class _Exchange:
    """Which rows of this rank go where: from stretches as they are stored to sections by heads.

        stored   rank 0  q q q q k k      used   rank 0  q q - - k k - - v v - -
                 rank 1  k k v v v v             rank 1  - - q q - - k k - - v v

    The parameter is stored in one stretch, so that checkpoints, optimizers and folders see it as
    they see any other.

    Args:
        stretches: This rank's rows in the order in which they are sent, start and stop.
        sent: Rows for each rank.
        received: Rows from each rank.
    """

    stretches: tuple[tuple[int, int], ...]
    sent: list[int]
    received: list[int]


def _plan_exchange(stored: int, sections: int, ranks: int, rank: int) -> _Exchange:
    """Plan it for `stored` rows on each of `ranks` ranks."""
    users = np.tile(np.repeat(np.arange(ranks), stored // sections), sections)
    own = users[rank * stored : (rank + 1) * stored]
    ends = [0, *(np.flatnonzero(np.diff(own)) + 1).tolist(), stored]
    stretches = sorted(itertools.pairwise(ends), key=lambda stretch: int(own[stretch[0]]))
    sent = np.bincount(own, minlength=ranks).tolist()
    received = (users.reshape(ranks, stored) == rank).sum(1).tolist()
    return _Exchange(tuple(stretches), sent, received)


def _share_out_sections(local: Tensor, dim: int, exchange: _Exchange, axis: _Axis) -> Tensor:
    """Return this rank's share of each section along a dimension, the sections side by side."""
    rows = local.movedim(dim, 0)
    used: Tensor = _Exchanged.apply(rows, exchange, axis)  # type: ignore[no-untyped-call]
    return used.movedim(0, dim)


class _Exchanged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, exchange: _Exchange, axis: _Axis) -> Tensor:
        ctx.exchange, ctx.axis = exchange, axis
        ordered = torch.cat([rows[start:stop] for start, stop in exchange.stretches])
        used = rows.new_empty(sum(exchange.received), *rows.shape[1:])
        dist.all_to_all_single(used, ordered, exchange.received, exchange.sent, group=axis.group)
        return used

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        exchange, above = ctx.exchange, upstream[0].contiguous()
        ordered = above.new_empty(sum(exchange.sent), *above.shape[1:])
        dist.all_to_all_single(
            ordered, above, exchange.sent, exchange.received, group=ctx.axis.group
        )
        gradient = torch.empty_like(ordered)
        lengths = [stop - start for start, stop in exchange.stretches]
        for (start, stop), part in zip(exchange.stretches, ordered.split(lengths), strict=True):
            gradient[start:stop] = part
        return gradient, None, None

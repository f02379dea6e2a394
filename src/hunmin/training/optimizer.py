"""Optimizers and which parameter belongs to which.

embeddings, output heads ─ AdamW          matrices of the blocks ── Muon, or AdamW with decay
norms, biases ──────────── AdamW without decay

Parameters may be whole or DTensors, of which each rank holds a part: so are their states then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from hunmin.core.errors import ArtifactMismatchError
from hunmin.parallel.parts.sharing import local_part, shard_like
from hunmin.training.muon import Muon
from hunmin.training.spec import AdamWSpec, MuonSpec


def split_parameters(
    model: PreTrainedModel, beside: Mapping[str, nn.Parameter] = MappingProxyType({})
) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """Sort trainable parameters into "embedding", "matrix" and "vector".

    Args:
        model: The model; its input and output embeddings are found through its own methods.
        beside: What is learned beside it. A matrix there leads out of the model, as its output
            matrix does, and is treated alike.

    Returns:
        Named parameters by group; a tied one appears once.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    embeddings = {id(p) for end in ends if end is not None for p in end.parameters()}
    embeddings |= {
        id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()
    }
    groups: dict[str, list[tuple[str, nn.Parameter]]] = {
        "embedding": [],
        "matrix": [],
        "vector": [],
    }
    embeddings |= {id(p) for p in beside.values() if p.ndim == 2}
    for name, parameter in (*model.named_parameters(), *beside.items()):
        if parameter.requires_grad:
            kind = "matrix" if parameter.ndim == 2 else "vector"
            group = "embedding" if id(parameter) in embeddings else kind
            groups[group].append((name, parameter))
    return groups


class AdamW(torch.optim.AdamW):
    """AdamW, in one kernel over what this rank holds of all parameters.

    Note:
        Collectives: none. On DTensors the dispatcher of torch would cost as much again as the
        update, and would refuse parameters of several meshes in one group. Results on plain
        tensors are those of torch.optim.AdamW to the last bit.
    """

    def empty_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the state of a parameter before its first step, in parts as the parameter is."""
        return {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        """Fill lists of parameters, gradients and states; here with their local parts."""
        has_complex = bool(super()._init_group(group, *lists))  # type: ignore[no-untyped-call]
        for tensors in lists:
            tensors[:] = [local_part(tensor) for tensor in tensors]
        return has_complex


class OptimizerSet:
    """One or two optimizers that step together, with a state of plain named tensors.

    Args:
        spec: Which optimizer and its constants.
        model: The model to train; sharded already, if it is going to be.
        beside: Parameters that are learned beside it, by name; see `training.trained`.

    Note:
        `state_tensors` names every tensor by parameter, so that it can be saved as safetensors.
        With Muon, building and stepping are collective where parameters are DTensors.
    """

    def __init__(
        self,
        spec: AdamWSpec | MuonSpec,
        model: PreTrainedModel,
        beside: Mapping[str, nn.Parameter] = MappingProxyType({}),
    ) -> None:
        groups = split_parameters(model, beside)
        self._names: dict[Tensor, str] = {p: n for group in groups.values() for n, p in group}
        self._optimizers: list[AdamW | Muon]
        if isinstance(spec, MuonSpec):
            self._optimizers = [_muon(spec, groups["matrix"])] if groups["matrix"] else []
            self._optimizers.append(_adamw(spec.adamw, groups["embedding"], groups["vector"]))
        else:
            decayed = groups["embedding"] + groups["matrix"]
            self._optimizers = [_adamw(spec, decayed, groups["vector"])]
        self._peaks = [g["lr"] for g in self._groups()]

    def _groups(self) -> Iterator[dict[str, Any]]:
        for optimizer in self._optimizers:
            yield from optimizer.param_groups

    def set_factor(self, factor: float) -> float:
        """Set every learning rate to its peak times `factor`; return the first one."""
        for group, peak in zip(self._groups(), self._peaks, strict=True):
            group["lr"] = peak * factor
        return float(self._peaks[0] * factor)

    def step(self) -> None:
        """Update the parameters and forget their gradients."""
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def prepare_state(self) -> None:
        """Make the states that the first step would make, if they are not there yet.

        Parameters are not changed, nor is what a step does. A checkpoint can then be read into
        the tensors of `state_tensors`.
        """
        for optimizer in self._optimizers:
            for parameter in _parameters_of(optimizer):
                if not optimizer.state[parameter]:
                    optimizer.state[parameter] = optimizer.empty_state(parameter)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the state as tensors named "parameter|entry".

        Returns:
            The tensors that the next step uses, not copies: DTensors placed as their parameter
            where that is one, and plain scalars. Without `prepare_state`, only those of
            parameters that had a gradient.
        """
        return {
            f"{self._names[parameter]}|{entry}": value
            for optimizer in self._optimizers
            for parameter, state in optimizer.state.items()
            for entry, value in state.items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state_tensors` returned, to the last bit.

        Args:
            tensors: DTensors placed as their parameter, or whole tensors, of which each rank
                takes its part. What is not in it starts anew.

        Raises:
            ArtifactMismatchError: A tensor belongs to no parameter, or has another shape or
                placement than its own.
        """
        states: dict[str, dict[str, Tensor]] = {name: {} for name in self._names.values()}
        parameters = {name: parameter for parameter, name in self._names.items()}
        for key, value in tensors.items():
            name, entry = key.rsplit("|", 1)
            if name not in states:
                raise ArtifactMismatchError(
                    "this state belongs to no parameter that is trained",
                    where=key,
                    hint="load it into the model and the optimizer that it was saved from",
                )
            states[name][entry] = _placed_as(parameters[name], value, key)
        for optimizer in self._optimizers:
            for parameter in _parameters_of(optimizer):
                optimizer.state[parameter] = states[self._names[parameter]]


def _parameters_of(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _placed_as(parameter: Tensor, value: Tensor, key: str) -> Tensor:
    """Return a state where the parameter lies: on its device, in parts if it is."""
    if value.ndim == 0:
        return value.to(parameter.device)
    fits = value.shape == parameter.shape
    if isinstance(value, DTensor):
        fits = fits and isinstance(parameter, DTensor) and value.placements == parameter.placements
    if not fits:
        raise ArtifactMismatchError(
            "this state does not fit its parameter",
            where=key,
            given=f"shape {tuple(value.shape)}, {getattr(value, 'placements', 'whole')}",
            allowed=f"shape {tuple(parameter.shape)}, {getattr(parameter, 'placements', 'whole')}",
            hint="load it into the model that it was saved from",
        )
    if isinstance(parameter, DTensor) and not isinstance(value, DTensor):
        return shard_like(value, parameter)
    return value.to(parameter.device)


def _parameters(named: Iterable[tuple[str, nn.Parameter]]) -> list[nn.Parameter]:
    return [parameter for _, parameter in named]


def _muon(spec: MuonSpec, matrices: list[tuple[str, nn.Parameter]]) -> Muon:
    return Muon(
        _parameters(matrices),
        learning_rate=spec.learning_rate,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
    )


def _adamw(
    spec: AdamWSpec,
    decayed: list[tuple[str, nn.Parameter]],
    undecayed: list[tuple[str, nn.Parameter]],
) -> AdamW:
    groups = [
        {"params": _parameters(decayed), "weight_decay": spec.weight_decay},
        {"params": _parameters(undecayed), "weight_decay": 0.0},
    ]
    return AdamW(
        [group for group in groups if group["params"]],
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        fused=True,
    )

"""Optimizers and which parameter belongs to which.

embeddings, output head ── AdamW          matrices of the blocks ── Muon, or AdamW with decay
norms, biases ──────────── AdamW without decay
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.training.spec import AdamWSpec, MuonSpec


def split_parameters(model: PreTrainedModel) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """Sort trainable parameters into "embedding", "matrix" and "vector".

    Args:
        model: The model; its input and output embeddings are found through its own methods.

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
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = "matrix" if parameter.ndim == 2 else "vector"
            group = "embedding" if id(parameter) in embeddings else kind
            groups[group].append((name, parameter))
    return groups


class OptimizerSet:
    """One or two optimizers that step together, with a state of plain named tensors.

    Args:
        spec: Which optimizer and its constants.
        model: The model to train.

    Note:
        `state_tensors` names every tensor by parameter, so that it can be saved as safetensors.
    """

    def __init__(self, spec: AdamWSpec | MuonSpec, model: PreTrainedModel) -> None:
        groups = split_parameters(model)
        self._names: dict[Tensor, str] = {p: n for group in groups.values() for n, p in group}
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

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the state as tensors named "parameter|entry"."""
        return {
            f"{self._names[parameter]}|{entry}": value
            for optimizer in self._optimizers
            for parameter, state in optimizer.state.items()
            for entry, value in state.items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state_tensors` returned, to the last bit."""
        by_parameter: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, entry = key.rsplit("|", 1)
            by_parameter.setdefault(name, {})[entry] = value
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    state = by_parameter.get(self._names[parameter], {})
                    optimizer.state[parameter] = {
                        entry: value.to(parameter.device) for entry, value in state.items()
                    }


def _parameters(named: Iterable[tuple[str, nn.Parameter]]) -> list[nn.Parameter]:
    return [parameter for _, parameter in named]


def _muon(spec: MuonSpec, matrices: list[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
    return torch.optim.Muon(
        _parameters(matrices),
        lr=spec.learning_rate,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )


def _adamw(
    spec: AdamWSpec,
    decayed: list[tuple[str, nn.Parameter]],
    undecayed: list[tuple[str, nn.Parameter]],
) -> torch.optim.Optimizer:
    groups = [
        {"params": _parameters(decayed), "weight_decay": spec.weight_decay},
        {"params": _parameters(undecayed), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        fused=True,
    )

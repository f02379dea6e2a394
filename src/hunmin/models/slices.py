"""How the matrices of a model can be split over devices, read from the model itself.

A pair of matrices is cut so that only one sum is needed: the first by outputs (each device computes
its heads, or its share of the feed-forward layer), the second by inputs (each device adds its part
of the result). What lies between them, softmax or activation, works on one device's share alone.

    x ──> [ columns ] ──> heads of this device ──> [ rows ] ──> sum over devices ──> y
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention
from transformers.pytorch_utils import Conv1D

from hunmin.core.errors import InputError

_CUT: Mapping[str, Literal["columns", "rows"]] = {"colwise": "columns", "rowwise": "rows"}
_SUMMED = "replicated_with_grad_allreduce"
_KEPT_WHOLE = frozenset(
    {
        "colwise_gather_output",
        "colwise_rep",
        "rowwise_rep",
        "rowwise_split_input",
        "embedding_rowwise",
        "embedding_colwise",
        "replicate",
    }
)
"""Styles of transformers whose input and output are whole: a whole copy computes the same."""


@dataclass(frozen=True)
class Cut:
    """One linear layer that is split.

    Args:
        module: Its name in the model.
        by: "columns" gives each device some of the outputs, "rows" some of the inputs.
        is_transposed: Whether the weight is stored as (inputs, outputs).
        sections: Matrices that lie side by side in the outputs and are each split, such as
            queries, keys and values in one.
    """

    module: str
    by: Literal["columns", "rows"]
    is_transposed: bool = False
    sections: int = 1

    @property
    def weight_dim(self) -> int:
        """Dimension along which the weight is cut."""
        return int((self.by == "rows") != self.is_transposed)


@dataclass(frozen=True)
class SlicePlan:
    """How a model is split; modules that it does not name are whole on each device.

    Args:
        cuts: Linear layers.
        summed: Modules whose parameters are whole, but meet the heads of one device only.
        divided: Numbers that count heads or features of one device: module and attribute.
    """

    cuts: tuple[Cut, ...]
    summed: tuple[str, ...] = ()
    divided: tuple[tuple[str, str], ...] = ()


def slice_plan(model: PreTrainedModel, count: int) -> SlicePlan:
    """Tell how a model is split.

    Args:
        model: A model for which transformers has a tensor parallel plan, or GPT-2.
        count: Devices.

    Returns:
        The plan.

    Raises:
        InputError: Nobody knows how to split this model, or not into so many parts.
    """
    _check_heads(model, count)
    is_gpt2 = any(isinstance(module, GPT2Attention) for module in model.modules())
    plan = _gpt2_plan(model) if is_gpt2 else _published_plan(model)
    for cut in plan.cuts:
        _check_cut(model, cut, count)
    return plan


def _check_heads(model: PreTrainedModel, count: int) -> None:
    config: Any = model.config.get_text_config()
    for name in ("num_attention_heads", "num_key_value_heads"):
        heads = getattr(config, name, None)
        if isinstance(heads, int) and heads % count:
            raise InputError(
                "the heads of this model cannot be shared out evenly",
                where="parallel.tensor",
                given=f"{count} devices, {name} {heads}",
                allowed=f"a divisor of {heads}",
                hint="lower parallel.tensor, or build the model with other model.heads",
            )


def _gpt2_plan(model: PreTrainedModel) -> SlicePlan:
    """There is none in transformers: queries, keys and values lie in one matrix."""
    cuts: list[Cut] = []
    divided: list[tuple[str, str]] = []
    for name, module in model.named_modules():
        if isinstance(module, GPT2Attention):
            if module.is_cross_attention:
                raise _unknown(model, "a GPT-2 with cross-attention")
            cuts.append(Cut(f"{name}.c_attn", "columns", is_transposed=True, sections=3))
            cuts.append(Cut(f"{name}.c_proj", "rows", is_transposed=True))
            divided += [(name, "split_size"), (name, "num_heads")]
        elif isinstance(module, GPT2MLP):
            cuts.append(Cut(f"{name}.c_fc", "columns", is_transposed=True))
            cuts.append(Cut(f"{name}.c_proj", "rows", is_transposed=True))
    return SlicePlan(tuple(cuts), divided=tuple(divided))


def _published_plan(model: PreTrainedModel) -> SlicePlan:
    """The plan of transformers, in which `layers.*.q_proj` stands for that of every layer."""
    styles: Mapping[str, str] = getattr(model, "_tp_plan", None) or {}
    if not set(styles.values()) & set(_CUT):
        raise _unknown(model, "no plan in transformers")
    found = dict(_named_styles(model, styles))
    unknown = {s for s in found.values() if s not in {*_CUT, _SUMMED, *_KEPT_WHOLE}}
    not_modules = {key for key in styles if key not in {_pattern(name) for name in found}}
    cuts = tuple(Cut(name, _CUT[style]) for name, style in found.items() if style in _CUT)
    unnamed = {_pattern(name) for name in _among(model, cuts) if name not in found}
    if unknown or not_modules or unnamed:
        raise _unknown(model, ", ".join(map(str, sorted(unknown | not_modules | unnamed))))
    summed = tuple(name for name, style in found.items() if style == _SUMMED)
    return SlicePlan(cuts, summed)


def _named_styles(model: PreTrainedModel, styles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, _ in model.named_modules():
        style = styles.get(_pattern(name))
        if style is not None:
            yield name, style


def _among(model: PreTrainedModel, cuts: Sequence[Cut]) -> Iterator[str]:
    """Modules with parameters beside or below split ones: do they see all features, or some?"""
    homes = {cut.module.rpartition(".")[0] for cut in cuts}
    for name, module in model.named_modules():
        is_inside = any(name == home or name.startswith(f"{home}.") for home in homes)
        if is_inside and any(True for _ in module.parameters(recurse=False)):
            yield name


def _pattern(name: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".*", name)


def _check_cut(model: PreTrainedModel, cut: Cut, count: int) -> None:
    module = model.get_submodule(cut.module)
    kind = Conv1D if cut.is_transposed else nn.Linear
    if not isinstance(module, kind):
        raise _unknown(model, f"{cut.module}, a {type(module).__name__}")
    size = module.weight.shape[cut.weight_dim]
    if size % (count * cut.sections):
        raise InputError(
            "a matrix of this model cannot be split evenly",
            where="parallel.tensor",
            given=f"{count} devices, {cut.module}.weight with {size // cut.sections} {cut.by}",
            allowed=f"a divisor of {size // cut.sections}",
            hint="lower parallel.tensor, or build the model with another model.feedforward",
        )


def _unknown(model: PreTrainedModel, given: str) -> InputError:
    return InputError(
        "hunmin does not know how to split the matrices of this model over devices",
        where="parallel.tensor",
        given=f"{type(model).__name__}: {given}",
        allowed="GPT-2, and dense models with a plan in transformers, such as Qwen3 and Llama",
        hint="set parallel.tensor to 1 and raise parallel.partition_group instead",
    )

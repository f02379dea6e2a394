"""The layers of any transformers model, which of two models belong together, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.core.errors import InputError

LayerChoice = Literal["uniform", "first", "last"]
_SEPARATE = (
    ("query", "key", "value"),  # BERT, RoBERTa, XLM-R, ELECTRA
    ("q_proj", "k_proj", "v_proj"),  # Qwen3, Llama, BART, mBART
    ("q_lin", "k_lin", "v_lin"),  # DistilBERT
    ("q", "k", "v"),  # T5
    ("query_proj", "key_proj", "value_proj"),  # DeBERTa
)
_FUSED = ("Wqkv", "c_attn")  # ModernBERT, GPT-2: queries, keys and values side by side
_CROSS = re.compile("encoder_attn|cross_?attention|EncDecAttention", re.IGNORECASE)
_BLOCK = re.compile(r"(.*?\.\d+)\.")


@dataclass(frozen=True)
class Layer:
    """A repeated block and what makes its queries, keys and values.

    Args:
        name: Path of the block in the model.
        block: The block.
        projections: Three modules, or one whose output is all three side by side.
    """

    name: str
    block: nn.Module
    projections: tuple[nn.Module, ...]

    def split(self, outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return queries, keys and values from what the projections said."""
        return tuple(outputs if len(outputs) > 1 else outputs[0].chunk(3, dim=-1))


def attention_layers(model: PreTrainedModel) -> list[Layer]:
    """Return the layers with self-attention, those of the encoder where there is one.

    Args:
        model: Any model of transformers, with or without a head.

    Returns:
        Layers in the order of the model.

    Raises:
        InputError: Nobody knows how this architecture names its projections.
    """
    layers = []
    for name, module in model.named_modules():
        projections = _projections_of(module)
        block = _BLOCK.match(f"{name}.")
        if not projections or block is None or _CROSS.search(name):
            continue
        if model.config.is_encoder_decoder and "decoder" in name:
            continue
        layers.append(Layer(block[1], model.get_submodule(block[1]), projections))
    if not layers:
        raise InputError(
            "the projections to queries, keys and values cannot be found in this model",
            given=type(model).__name__,
            allowed="BERT, RoBERTa, XLM-R, ModernBERT, DistilBERT, Qwen3, Llama, GPT-2, BART, T5 "
            "and those that name them alike",
            hint="distil by logits alone: leave hidden states and relations out",
        )
    return layers


def _projections_of(module: nn.Module) -> tuple[nn.Module, ...]:
    children = dict(module.named_children())
    for names in _SEPARATE:
        if all(name in children for name in names):
            return tuple(children[name] for name in names)
    for name in _FUSED:
        if name in children:
            return (children[name],)
    return ()


def layer_map(num_student: int, num_teacher: int, choice: LayerChoice = "uniform") -> list[int]:
    """Choose a layer of the teacher for each of the student's.

    Args:
        num_student: Layers of the student.
        num_teacher: Layers of the teacher, as many at least.
        choice: "uniform" spreads them evenly and ends with the last one, "first" and "last" take
            neighbours from one end.

    Returns:
        Indices from 0, ascending.

    Raises:
        InputError: The student has more layers than its teacher.
    """
    if num_student > num_teacher:
        raise InputError(
            "the student has more layers than its teacher, so they cannot be matched",
            given=f"{num_student} layers, teacher {num_teacher}",
            allowed=f"up to {num_teacher} layers",
            hint="make the student shallower, or set student.initialization: scratch and leave "
            "hidden states out",
        )
    if choice == "first":
        return list(range(num_student))
    if choice == "last":
        return list(range(num_teacher - num_student, num_teacher))
    return [round((index + 1) * num_teacher / num_student) - 1 for index in range(num_student)]


class Recorder:
    """Keeps what some modules return in a forward pass.

    Args:
        modules: The modules, in the order of `outputs`.

    Note:
        Records only within its `with` block: recomputed activations are not taken for new ones.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._is_active = False
        self._outputs: dict[int, Tensor] = {}
        self._size = len(modules)
        for index, module in enumerate(modules):
            module.register_forward_hook(partial(self._keep, index))

    def _keep(self, index: int, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._is_active:
            self._outputs[index] = output[0] if isinstance(output, tuple) else output

    def __enter__(self) -> Recorder:
        """Begin to record."""
        self._outputs, self._is_active = {}, True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop recording; what was kept stays until `take`."""
        self._is_active = False

    def take(self) -> list[Tensor]:
        """Return what was kept, one tensor for each module, and let go of it."""
        outputs = [self._outputs[index] for index in range(self._size)]
        self._outputs = {}
        return outputs

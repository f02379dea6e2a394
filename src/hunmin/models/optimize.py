"""Faster layers for a transformers model, put in from outside.

A layer's class is replaced by a subclass with the same parameters and names, so the state dict,
`save_pretrained`, hooks and wrapping stay as they are. What a subclass cannot do faster (a key
value cache, attention weights) it leaves to its parent.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention, Qwen3RMSNorm

from hunmin.models.attention import PACKED_ATTENTION, PLAN_ARGUMENT, packed_attention
from hunmin.models.fused import normalized_rotation, rms_norm


def optimize_model(
    model: PreTrainedModel, *, device: torch.device | None = None
) -> PreTrainedModel:
    """Make training and scoring on a CPU faster, in place.

    Args:
        model: A model of transformers.
        device: The device it will run on; the one it lies on if None. For other devices than CPUs
            nothing is changed: there torch.compile and the device's own kernels do better.

    Returns:
        The same model, with the same state dict.

    Note:
        In float32 results agree to rounding; under bf16 autocast attention scores are rounded to
        bf16 before the softmax, as in the "eager" attention of transformers.
    """
    if (device or model.device).type != "cpu":
        return model
    if model._supports_attention_backend or "sdpa" in str(model.config._attn_implementation):
        model.set_attn_implementation(PACKED_ATTENTION)
    for module in model.modules():
        faster = _FASTER.get(type(module))
        if faster is not None:
            module.__class__ = faster
        if isinstance(module, GPT2MLP) and model.config.activation_function == "gelu_new":
            module.act = ACT2FN["gelu_pytorch_tanh"]
    return model


class _FasterLlamaNorm(LlamaRMSNorm):  # type: ignore[misc]
    def forward(self, hidden_states: Tensor) -> Tensor:
        return rms_norm(hidden_states, self.weight, self.variance_epsilon)


class _FasterQwen2Norm(Qwen2RMSNorm):  # type: ignore[misc]
    def forward(self, hidden_states: Tensor) -> Tensor:
        return rms_norm(hidden_states, self.weight, self.variance_epsilon)


class _FasterQwen3Norm(Qwen3RMSNorm):  # type: ignore[misc]
    def forward(self, hidden_states: Tensor) -> Tensor:
        return rms_norm(hidden_states, self.weight, self.variance_epsilon)


class _SteadyLayerNorm(nn.LayerNorm):
    """Gathered parameters are bf16; the CPU kernel takes none with a float32 input."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.elementwise_affine or self.weight.dtype in (torch.float32, input.dtype):
            return super().forward(input)
        bias: Tensor | None = self.bias
        bias = None if bias is None else bias.float()
        return F.layer_norm(
            input.float(), self.normalized_shape, self.weight.float(), bias, self.eps
        )


class _FasterQwen3Attention(Qwen3Attention):  # type: ignore[misc]
    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if PLAN_ARGUMENT not in kwargs or past_key_values is not None:
            return cast(
                "tuple[Tensor, Tensor | None]",
                super().forward(
                    hidden_states, position_embeddings, attention_mask, past_key_values, **kwargs
                ),
            )
        shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        cos, sin = (_first_half(table) for table in position_embeddings)
        query, key = (
            normalized_rotation(
                project(hidden_states).view(shape), norm.weight, norm.variance_epsilon, cos, sin
            )
            for project, norm in ((self.q_proj, self.q_norm), (self.k_proj, self.k_norm))
        )
        value = self.v_proj(hidden_states).view(shape).transpose(1, 2)
        mixed, _ = packed_attention(
            self, query, key, value, attention_mask, scaling=self.scaling, **kwargs
        )
        return self.o_proj(mixed.flatten(2)), None


def _first_half(table: Tensor) -> Tensor:
    """Both halves of the rotary tables are equal."""
    return table[..., : table.shape[-1] // 2].unsqueeze(2)


_FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.LayerNorm: _SteadyLayerNorm,
    LlamaRMSNorm: _FasterLlamaNorm,
    Qwen2RMSNorm: _FasterQwen2Norm,
    Qwen3RMSNorm: _FasterQwen3Norm,
    Qwen3Attention: _FasterQwen3Attention,
}

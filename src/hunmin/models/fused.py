"""Fused element-wise steps with hand-written gradients, for CPUs.

Eager mode runs each step of a norm or a rotation as its own pass over memory, most of them in
float32. These do the same arithmetic in fewer passes and hand bf16 on under autocast, where the
products that follow would round to it anyway.

Shapes: B rows, T tokens, H heads, E the size of a head, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hunmin.models.precision import compute_dtype


def rms_norm(x: Tensor, gain_D: Tensor, epsilon: float) -> Tensor:
    """Normalize by the root mean square of the last dimension, then scale.

    Args:
        x: Any shape that ends in D.
        gain_D: Scale of each component.
        epsilon: Added to the mean square.

    Returns:
        Shape of x; autocast's type where autocast is on, else the type of x. Computed in float32.

    Source:
        Zhang & Sennrich 2019 (arXiv:1910.07467), eq. 4.
    """
    output: Tensor = _RmsNorm.apply(x, gain_D, epsilon, compute_dtype(x))  # type: ignore[no-untyped-call]
    return output


def normalized_rotation(
    heads: Tensor, gain_E: Tensor, epsilon: float, cos: Tensor, sin: Tensor
) -> Tensor:
    """Normalize each head (see `rms_norm`), then turn it by its position.

    Args:
        heads: Queries or keys, shape (B, T, H, E).
        gain_E: Scale of each component.
        epsilon: Added to the mean square.
        cos: Cosines of the first half of the components, shape (B, T, 1, E / 2), float32.
        sin: Sines likewise.

    Returns:
        Shape (B, H, T, E), contiguous, autocast's type where it is on. Computed in float32.

    Source:
        Su et al. 2021 (arXiv:2104.09864); halves instead of neighbours, as Llama and Qwen do.
    """
    output: Tensor = _NormalizedRotation.apply(  # type: ignore[no-untyped-call]
        heads, gain_E, epsilon, cos, sin, compute_dtype(heads)
    )
    return output


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain_D: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        ctx.input_dtype = x.dtype
        x = x.float()
        inverse = _inverse_root_mean_square(x, epsilon)
        ctx.save_for_backward(x, gain_D, inverse)
        return (x * inverse).mul_(gain_D).to(dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, gain_D, inverse = ctx.saved_tensors
        # A copy: the gradient from above may be shared with another branch, and is overwritten.
        above = upstream[0].to(torch.float32, copy=True)
        grad_x, grad_gain = _norm_backward(above, x * inverse, gain_D, inverse)
        return grad_x.to(ctx.input_dtype), grad_gain, None, None


class _NormalizedRotation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        heads: Tensor,
        gain_E: Tensor,
        epsilon: float,
        cos: Tensor,
        sin: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        normal = heads.float()
        inverse = _inverse_root_mean_square(normal, epsilon)
        normal = normal * inverse
        ctx.save_for_backward(normal, gain_E, inverse, cos, sin)
        ctx.input_dtype = heads.dtype
        turned = _turn(normal * gain_E, cos, sin, forward=True)
        return turned.transpose(1, 2).to(dtype, memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        normal, gain_E, inverse, cos, sin = ctx.saved_tensors
        above = _turn(upstream[0].transpose(1, 2).float(), cos, sin, forward=False)
        grad_heads, grad_gain = _norm_backward(above, normal, gain_E, inverse)
        return grad_heads.to(ctx.input_dtype), grad_gain, None, None, None, None


def _inverse_root_mean_square(x: Tensor, epsilon: float) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_()


def _turn(x: Tensor, cos: Tensor, sin: Tensor, *, forward: bool) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    sign = 1 if forward else -1
    return torch.cat(
        (
            torch.addcmul(first * cos, second, sin, value=-sign),
            torch.addcmul(second * cos, first, sin, value=sign),
        ),
        dim=-1,
    )


def _norm_backward(
    above: Tensor, normal: Tensor, gain: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gradients of input and gain; overwrites `above`."""
    grad_gain = (above * normal).flatten(0, -2).sum(0)
    above.mul_(gain)
    mean = torch.linalg.vecdot(above, normal).mul_(1 / normal.shape[-1]).unsqueeze(-1)
    return above.addcmul_(normal, mean, value=-1).mul_(inverse), grad_gain.to(gain.dtype)

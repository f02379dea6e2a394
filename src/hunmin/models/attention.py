"""Attention over packed rows for CPUs, registered with transformers as one of its kinds.

Shapes: B rows, T tokens, S keys (T but where a decoder reads an encoder), H query heads, G query
heads that share one of the J key-value heads, E the size of a head, W queries of a block, K keys
that a block sees.

PyTorch's CPU kernel reads a whole (T, T) mask in every layer and has a slow backward pass. Here
each block of queries meets only the keys its documents hold, as plain batched products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from hunmin.models.packing import PackingPlan
from hunmin.models.precision import compute_dtype

PACKED_ATTENTION = "hunmin_packed"
PLAN_ARGUMENT = "packing_plan"
"""Keyword through which a PackingPlan travels from `hidden_states` to every layer."""


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within documents if a plan is given, else do what "sdpa" does.

    Args:
        module: The attention layer.
        query: Shape (B, H, T, E).
        key: Shape (B, J, S, E).
        value: Shape (B, J, S, E).
        attention_mask: For "sdpa"; a plan replaces it.
        dropout: Only 0 with a plan.
        scaling: Factor of the scores; 1 / sqrt(E) if None.
        **kwargs: May hold the plan.

    Returns:
        Shape (B, T, H, E), and None for the weights, which are not kept.
    """
    plan: PackingPlan | None = kwargs.pop(PLAN_ARGUMENT, None)
    if plan is None:
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return output
    plan = _plan_of(plan, module, kwargs)
    dtype = compute_dtype(query)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend_in_blocks(query.to(dtype), key.to(dtype), value.to(dtype), plan, scale), None


def _plan_of(plan: PackingPlan, module: nn.Module, arguments: dict[str, Any]) -> PackingPlan:
    """Return what of a plan is meant for a layer."""
    if plan.near is not None and arguments.get("sliding_window") is not None:
        return plan.near
    if plan.cross is not None and not module.is_causal:
        return plan.cross
    return plan


@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend_in_blocks(
    query: Tensor, key: Tensor, value: Tensor, plan: PackingPlan, scale: float
) -> Tensor:
    """Attend within documents.

    Args:
        query: Shape (B, H, T, E).
        key: Shape (B, J, S, E), the type of `query`.
        value: Shape (B, J, S, E), the type of `query`.
        plan: Blocks of this batch, in the type of `query`.
        scale: Factor of the scores.

    Returns:
        Shape (B, T, H, E), the type of `query`.

    Note:
        Keeps the attention weights of all blocks for backward: in a decoder at most
        B * H * T * T / 2 numbers, in an encoder twice as many.
    """
    output: Tensor = _BlockAttention.apply(  # type: ignore[no-untyped-call]
        query, key, value, plan, scale
    )
    return output


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: PackingPlan, scale: float
    ) -> Tensor:
        rows, kv_heads, num_keys, size = key.shape
        length = query.shape[2]
        queries = (query * scale).reshape(rows * kv_heads, -1, length, size)
        keys = key.reshape(-1, num_keys, size)
        values = value.reshape(-1, num_keys, size)
        output = queries.new_empty(rows, length, kv_heads, queries.shape[1], size)
        weights = []
        for block in plan.blocks:
            visible = slice(block.first_key, block.stop_key)
            scores = torch.bmm(_block_of(queries, block), keys[:, visible].transpose(1, 2))
            _grouped(scores, rows, kv_heads, block).add_(block.bias)
            weights.append(torch.softmax(scores, -1))
            mixed = torch.bmm(weights[-1], values[:, visible])
            output[:, block.start : block.stop] = _grouped(mixed, rows, kv_heads, block).permute(
                0, 3, 1, 2, 4
            )
        ctx.save_for_backward(queries, keys, values, *weights)
        ctx.plan, ctx.scale, ctx.rows = plan, scale, rows
        return output.flatten(2, 3)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, *weights = ctx.saved_tensors
        rows, kv_heads = ctx.rows, len(keys) // ctx.rows
        length, size = queries.shape[2:]
        above = upstream[0].view(rows, length, kv_heads, -1, size).permute(0, 2, 3, 1, 4)
        above = above.reshape(queries.shape)
        grad_queries = torch.empty_like(queries)
        grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
        for block, weight in zip(ctx.plan.blocks, weights, strict=True):
            visible = slice(block.first_key, block.stop_key)
            above_block = _block_of(above, block)
            grad_values[:, visible] += torch.bmm(weight.transpose(1, 2), above_block)
            grad_weight = torch.bmm(above_block, values[:, visible].transpose(1, 2))
            grad_scores = torch._softmax_backward_data(grad_weight, weight, -1, weight.dtype)
            grad_query = torch.bmm(grad_scores, keys[:, visible])
            grad_queries[:, :, block.start : block.stop] = grad_query.view(
                len(keys), -1, block.stop - block.start, size
            )
            grad_keys[:, visible] += torch.bmm(
                grad_scores.transpose(1, 2), _block_of(queries, block)
            )
        grad_queries = grad_queries.mul_(ctx.scale).view(rows, -1, length, size)
        shape = (rows, kv_heads, -1, size)
        return grad_queries, grad_keys.view(shape), grad_values.view(shape), None, None


def _block_of(heads: Tensor, block: Any) -> Tensor:
    """Return the block's queries, shape (B * J, G * W, E): all that share keys in one product."""
    return heads[:, :, block.start : block.stop].flatten(1, 2)


def _grouped(scores: Tensor, rows: int, kv_heads: int, block: Any) -> Tensor:
    """View (B * J, G * W, ...) as (B, J, G, W, ...)."""
    return scores.view(rows, kv_heads, -1, block.stop - block.start, scores.shape[-1])


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)

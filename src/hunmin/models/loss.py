"""Cross-entropy of a language model without ever holding all logits.

Shapes: B rows, T tokens, N = B * T (or a chunk of it), D width of what the output matrix is
multiplied with, V vocabulary.

The output projection, the softmax and their gradients are computed for one chunk of tokens at a
time, in one visit: while a chunk's probabilities are there, its part of both gradients is taken,
so nothing is computed twice. Memory is chunk * V instead of N * V.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.data.batch import IGNORED_LABEL, PairBatch, TokenBatch
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of
from hunmin.models.forward import hidden_states
from hunmin.models.outputs import output_features, output_projection
from hunmin.models.precision import compute_dtype

DEFAULT_CHUNK_TOKENS = 1024


def language_model_loss(
    model: PreTrainedModel,
    batch: TokenBatch | PairBatch,
    *,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Return the cross-entropy of each label, in nats.

    Args:
        model: A language model of any layout.
        batch: Packed rows for it; labels stand where they are predicted, -100 where nothing is
            scored.
        chunk_tokens: Tokens projected to the vocabulary at once. Fewer need less memory; below
            512 the gradient of the output matrix is summed so often that speed suffers.
        reduction: "mean" over scored tokens, "sum", or "none" for the shape of the labels with 0
            where nothing is scored. "none" computes the probabilities once more in backward.

    Returns:
        float32, a scalar or the shape of the labels.

    Raises:
        InputError: The model computes its logits in a way that is not known here, or the batch is
            made for models of another kind.
        ContextLengthError: A row is longer than the model has positions.
    """
    places, hidden, labels = _scored_states(model, batch)
    weight, bias = output_projection(model)
    loss = chunked_cross_entropy(
        output_features(model, hidden),
        weight,
        labels,
        bias_V=bias,
        chunk_tokens=chunk_tokens,
        reduction=reduction,
    )
    return _spread(loss, places, batch.labels.shape) if reduction == "none" else loss


@torch.no_grad()
def token_nll(
    model: PreTrainedModel,
    batch: TokenBatch | PairBatch,
    *,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
) -> Tensor:
    """Return the negative log-likelihood of each label for evaluation, in nats.

    Args:
        model: A language model; put it in evaluation mode first.
        batch: Packed rows for it.
        chunk_tokens: Tokens projected to the vocabulary at once.

    Returns:
        float32, the shape of the labels; 0 where the label is -100. The softmax is computed in
        float32 from the logits also under autocast.
    """
    places, hidden, labels = _scored_states(model, batch)
    features = output_features(model, hidden)
    weight, bias = output_projection(model)
    dtype = compute_dtype(features)
    nll = _chunked_nll(features, weight.to(dtype), _cast(bias, dtype), labels, chunk_tokens)
    return _spread(nll, places, batch.labels.shape)


def _scored_states(
    model: PreTrainedModel, batch: TokenBatch | PairBatch
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return places (None: all), hidden states and labels of what goes through the head.

    An encoder scores few places, and its head costs as much as a layer for each.
    """
    hidden_ND, labels_N = hidden_states(model, batch).flatten(0, 1), batch.labels.flatten()
    if layout_of(model.config) is not Layout.ALIGNED:
        return None, hidden_ND, labels_N
    places = (labels_N != IGNORED_LABEL).nonzero().squeeze(1)
    return places, hidden_ND[places], labels_N[places]


def _spread(values: Tensor, places: Tensor | None, shape: torch.Size) -> Tensor:
    """Return values at their places, 0 elsewhere."""
    if places is None:
        return values.view(shape)
    return values.new_zeros(shape.numel()).index_put((places,), values).view(shape)


def _cast(bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if bias is None else bias.to(dtype)


def chunked_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    *,
    bias_V: Tensor | None = None,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Return the cross-entropy of hidden @ weight.T + bias against labels.

    Args:
        hidden_ND: Last hidden states, or what the head makes of them, shape (N, D).
        weight_VD: Output matrix, shape (V, D).
        labels_N: Tokens, int64, shape (N); -100 is not scored.
        bias_V: Added to the logits, shape (V).
        chunk_tokens: Tokens projected at once.
        reduction: "mean" over scored tokens, "sum" or "none".

    Returns:
        float32, a scalar or shape (N).

    Note:
        Under bf16 autocast the products are bf16 and the softmax works in float32 inside; the
        probabilities it hands on are bf16, which rounds each token's loss by up to 0.004 nats to
        either side and caps it at 87. `token_nll` and "none" do not round.
    """
    dtype = compute_dtype(hidden_ND)
    if reduction == "none":
        token_losses: Tensor = _TokenLosses.apply(  # type: ignore[no-untyped-call]
            hidden_ND, weight_VD, bias_V, labels_N, chunk_tokens, dtype
        )
        return token_losses
    total: Tensor = _SummedLoss.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, bias_V, labels_N, chunk_tokens, dtype, reduction == "mean"
    )
    return total


class _SummedLoss(torch.autograd.Function):
    """Sum or mean; both gradients are ready when forward returns."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        labels_N: Tensor,
        chunk_tokens: int,
        dtype: torch.dtype,
        is_mean: bool,
    ) -> Tensor:
        num_scored = (labels_N != IGNORED_LABEL).sum().clamp(min=1)
        scale = (
            num_scored.float().reciprocal() if is_mean else torch.ones((), device=hidden_ND.device)
        )
        with torch.autocast(hidden_ND.device.type, enabled=False):
            weight, bias = weight_VD.to(dtype), _cast(bias_V, dtype)
            if not any(ctx.needs_input_grad):
                return _chunked_nll(hidden_ND, weight, bias, labels_N, chunk_tokens).sum() * scale
            nll_N, *gradients = _losses_and_gradients(
                hidden_ND, weight, bias, labels_N, chunk_tokens
            )
        ctx.save_for_backward(*gradients, scale)
        ctx.weight_dtype = weight_VD.dtype
        return nll_N.sum() * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad_ND, grad_VD, grad_V, scale = ctx.saved_tensors
        factor = upstream[0] * scale
        grad_hidden = (grad_ND * factor).to(grad_ND.dtype)
        grad_weight = (grad_VD * factor).to(ctx.weight_dtype)
        grad_bias = None if grad_V is None else (grad_V * factor).to(ctx.weight_dtype)
        return grad_hidden, grad_weight, grad_bias, None, None, None, None


class _TokenLosses(torch.autograd.Function):
    """One loss a token; its gradient depends on what comes from above, so it is taken later."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        labels_N: Tensor,
        chunk_tokens: int,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, labels_N)
        ctx.chunk_tokens, ctx.dtype = chunk_tokens, dtype
        with torch.autocast(hidden_ND.device.type, enabled=False):
            weight, bias = weight_VD.to(dtype), _cast(bias_V, dtype)
            return _chunked_nll(hidden_ND, weight, bias, labels_N, chunk_tokens)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, bias_V, labels_N = ctx.saved_tensors
        with torch.autocast(hidden_ND.device.type, enabled=False):
            weight, bias = weight_VD.to(ctx.dtype), _cast(bias_V, ctx.dtype)
            _, grad_ND, grad_VD, grad_V = _losses_and_gradients(
                hidden_ND, weight, bias, labels_N, ctx.chunk_tokens, upstream[0]
            )
        grad_weight, grad_bias = grad_VD.to(weight_VD.dtype), _cast(grad_V, weight_VD.dtype)
        return grad_ND, grad_weight, grad_bias, None, None, None


def _chunked_nll(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    chunk_tokens: int,
) -> Tensor:
    parts = []
    with torch.autocast(hidden_ND.device.type, enabled=False):
        for hidden, labels in zip(
            hidden_ND.split(chunk_tokens), labels_N.split(chunk_tokens), strict=True
        ):
            logits = F.linear(hidden.to(weight_VD.dtype), weight_VD, bias_V)
            parts.append(
                F.cross_entropy(
                    logits.float(), labels, ignore_index=IGNORED_LABEL, reduction="none"
                )
            )
    return torch.cat(parts)


def _losses_and_gradients(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    labels_N: Tensor,
    chunk_tokens: int,
    upstream_N: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return losses (N), and their sum's gradients for hidden states, matrix and bias (float32)."""
    nll_N = torch.empty_like(labels_N, dtype=torch.float32)
    grad_ND = torch.empty_like(hidden_ND)
    grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
    grad_V = None if bias_V is None else torch.zeros_like(bias_V, dtype=torch.float32)
    for start in range(0, len(labels_N), chunk_tokens):
        part = slice(start, start + chunk_tokens)
        hidden = hidden_ND[part].to(weight_VD.dtype)
        is_scored = labels_N[part] != IGNORED_LABEL
        labels = labels_N[part].where(is_scored, 0)
        slopes, nll = _softmax_and_nll(F.linear(hidden, weight_VD, bias_V), labels)
        slopes[torch.arange(len(labels), device=labels.device), labels] -= 1
        share = is_scored if upstream_N is None else is_scored * upstream_N[part]
        nll_N[part] = nll * is_scored
        grad_ND[part] = (slopes @ weight_VD) * share.unsqueeze(1)
        _add_product(grad_VD, slopes.t(), (hidden * share.unsqueeze(1)).to(hidden.dtype))
        if grad_V is not None:
            grad_V += share.to(slopes.dtype) @ slopes
    return nll_N, grad_ND, grad_VD, grad_V


def _softmax_and_nll(logits_NV: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities in the logits' type and -log of each label's, float32."""
    index = labels_N.unsqueeze(1)
    if logits_NV.dtype == torch.float32:
        log_probabilities = torch.log_softmax(logits_NV, -1)
        nll_N = -log_probabilities.gather(1, index).squeeze(1)
        return log_probabilities.exp_(), nll_N
    # The kernel reads bf16 and sums in float32; a float32 copy of the logits would cost a fifth of
    # the whole loss. Rounding to bf16 moves -log p by 0.002 at most, either way.
    probabilities = torch.softmax(logits_NV, -1)
    own = probabilities.gather(1, index).squeeze(1).float()
    return probabilities, -own.clamp(min=torch.finfo(torch.float32).tiny).log()


def _add_product(total_VD: Tensor, left_VN: Tensor, right_ND: Tensor) -> None:
    """Add left @ right to a float32 total."""
    if right_ND.dtype == torch.float32:
        total_VD.addmm_(left_VN, right_ND)
    else:
        total_VD.add_(left_VN @ right_ND)

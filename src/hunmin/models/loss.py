"""Cross-entropy of a language model without ever holding all logits.

Shapes: B rows, T tokens, N = B * T (or a chunk of it), D width, V vocabulary.

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

from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL, TokenBatch
from hunmin.models.forward import hidden_states
from hunmin.models.precision import compute_dtype

DEFAULT_CHUNK_TOKENS = 1024


def causal_lm_loss(
    model: PreTrainedModel,
    batch: TokenBatch,
    *,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Return the cross-entropy of each next token, in nats.

    Args:
        model: A causal language model whose output projection has no bias.
        batch: Packed rows; labels are the next tokens already, -100 where nothing is scored.
        chunk_tokens: Tokens projected to the vocabulary at once. Fewer need less memory; below
            512 the gradient of the output matrix is summed so often that speed suffers.
        reduction: "mean" over scored tokens, "sum", or "none" for shape (B, T) with 0 where
            nothing is scored. "none" computes the probabilities once more in backward.

    Returns:
        float32, a scalar or shape (B, T).

    Raises:
        InputError: The model's output projection is of another kind.
        ContextLengthError: A row is longer than the model has positions.
    """
    hidden_ND = hidden_states(model, batch).flatten(0, 1)
    loss = chunked_cross_entropy(
        hidden_ND,
        output_matrix(model),
        batch.labels.flatten(),
        chunk_tokens=chunk_tokens,
        reduction=reduction,
    )
    return loss.view(batch.labels.shape) if reduction == "none" else loss


@torch.no_grad()
def token_nll(
    model: PreTrainedModel, batch: TokenBatch, *, chunk_tokens: int = DEFAULT_CHUNK_TOKENS
) -> Tensor:
    """Return the negative log-likelihood of each next token for evaluation, in nats.

    Args:
        model: A causal language model; put it in evaluation mode first.
        batch: Packed rows.
        chunk_tokens: Tokens projected to the vocabulary at once.

    Returns:
        float32, shape (B, T); 0 where the label is -100. The softmax is computed in float32
        from the logits also under autocast.
    """
    hidden_ND = hidden_states(model, batch).flatten(0, 1)
    weight_VD = output_matrix(model)
    labels_N = batch.labels.flatten()
    dtype = compute_dtype(hidden_ND)
    nll_N = _chunked_nll(hidden_ND, weight_VD.to(dtype), labels_N, chunk_tokens)
    return nll_N.view(batch.labels.shape)


def chunked_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    *,
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Return the cross-entropy of hidden @ weight.T against labels.

    Args:
        hidden_ND: Last hidden states, shape (N, D).
        weight_VD: Output matrix, shape (V, D).
        labels_N: Next tokens, int64, shape (N); -100 is not scored.
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
            hidden_ND, weight_VD, labels_N, chunk_tokens, dtype
        )
        return token_losses
    total: Tensor = _SummedLoss.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, labels_N, chunk_tokens, dtype, reduction == "mean"
    )
    return total


def output_matrix(model: PreTrainedModel) -> Tensor:
    """Return the matrix that maps hidden states to logits, shape (V, D)."""
    projection = model.get_output_embeddings()
    soft_cap = getattr(model.config, "final_logit_softcapping", None)
    if soft_cap is not None or getattr(projection, "bias", None) is not None:
        raise InputError(
            "the chunked loss needs plain logits: a product with a matrix, no bias, no soft cap",
            where=type(model).__name__,
            given=f"{projection}, final_logit_softcapping {soft_cap}",
            allowed="a causal language model such as GPT-2, Llama or Qwen3",
        )
    weight: Tensor = projection.weight
    return weight


class _SummedLoss(torch.autograd.Function):
    """Sum or mean; both gradients are ready when forward returns."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
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
            weight = weight_VD.to(dtype)
            if not any(ctx.needs_input_grad):
                return _chunked_nll(hidden_ND, weight, labels_N, chunk_tokens).sum() * scale
            nll_N, grad_ND, grad_VD = _losses_and_gradients(
                hidden_ND, weight, labels_N, chunk_tokens
            )
        ctx.save_for_backward(grad_ND, grad_VD, scale)
        ctx.weight_dtype = weight_VD.dtype
        return nll_N.sum() * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad_ND, grad_VD, scale = ctx.saved_tensors
        factor = upstream[0] * scale
        grad_hidden = (grad_ND * factor).to(grad_ND.dtype)
        return grad_hidden, (grad_VD * factor).to(ctx.weight_dtype), None, None, None, None


class _TokenLosses(torch.autograd.Function):
    """One loss a token; its gradient depends on what comes from above, so it is taken later."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        labels_N: Tensor,
        chunk_tokens: int,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(hidden_ND, weight_VD, labels_N)
        ctx.chunk_tokens, ctx.dtype = chunk_tokens, dtype
        with torch.autocast(hidden_ND.device.type, enabled=False):
            return _chunked_nll(hidden_ND, weight_VD.to(dtype), labels_N, chunk_tokens)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, labels_N = ctx.saved_tensors
        with torch.autocast(hidden_ND.device.type, enabled=False):
            _, grad_ND, grad_VD = _losses_and_gradients(
                hidden_ND, weight_VD.to(ctx.dtype), labels_N, ctx.chunk_tokens, upstream[0]
            )
        return grad_ND, grad_VD.to(weight_VD.dtype), None, None, None


def _chunked_nll(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, chunk_tokens: int
) -> Tensor:
    parts = []
    with torch.autocast(hidden_ND.device.type, enabled=False):
        for hidden, labels in zip(
            hidden_ND.split(chunk_tokens), labels_N.split(chunk_tokens), strict=True
        ):
            logits = hidden.to(weight_VD.dtype) @ weight_VD.t()
            parts.append(
                F.cross_entropy(
                    logits.float(), labels, ignore_index=IGNORED_LABEL, reduction="none"
                )
            )
    return torch.cat(parts)


def _losses_and_gradients(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    chunk_tokens: int,
    upstream_N: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses (N), and their sum's gradients for hidden states and matrix (float32)."""
    nll_N = torch.empty_like(labels_N, dtype=torch.float32)
    grad_ND = torch.empty_like(hidden_ND)
    grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
    for start in range(0, len(labels_N), chunk_tokens):
        part = slice(start, start + chunk_tokens)
        hidden = hidden_ND[part].to(weight_VD.dtype)
        is_scored = labels_N[part] != IGNORED_LABEL
        labels = labels_N[part].where(is_scored, 0)
        slopes, nll = _softmax_and_nll(hidden @ weight_VD.t(), labels)
        slopes[torch.arange(len(labels), device=labels.device), labels] -= 1
        share = is_scored if upstream_N is None else is_scored * upstream_N[part]
        nll_N[part] = nll * is_scored
        grad_ND[part] = (slopes @ weight_VD) * share.unsqueeze(1)
        _add_product(grad_VD, slopes.t(), (hidden * share.unsqueeze(1)).to(hidden.dtype))
    return nll_N, grad_ND, grad_VD


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

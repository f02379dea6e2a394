"""A model and its loss as one module, so that whoever wraps it sees one forward pass."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.data.batch import TokenBatch
from hunmin.models.loss import DEFAULT_CHUNK_TOKENS, causal_lm_loss, token_nll


class LanguageModelObjective(nn.Module):
    """Next-token prediction.

    The loss reads the output matrix itself, not through the model's forward pass. As part of this
    module the matrix is gathered when the loss needs it.

    Args:
        model: A causal language model.
        chunk_tokens: Tokens whose logits exist at one time.
    """

    def __init__(self, model: PreTrainedModel, *, chunk_tokens: int = DEFAULT_CHUNK_TOKENS) -> None:
        super().__init__()
        self.model = model
        self.chunk_tokens = chunk_tokens

    def forward(self, batch: TokenBatch, returns: Literal["sum", "tokens"] = "sum") -> Tensor:
        """Return the loss of a batch.

        Args:
            batch: Packed rows.
            returns: "sum" of all tokens, with a gradient; "tokens" without one, shape (B, T).

        Returns:
            Nats, float32.
        """
        if returns == "tokens":
            return token_nll(self.model, batch)
        return causal_lm_loss(self.model, batch, chunk_tokens=self.chunk_tokens, reduction="sum")

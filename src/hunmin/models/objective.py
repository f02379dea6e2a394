"""A model and its loss as one module, so that whoever wraps it sees one forward pass."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.data.batch import PairBatch, TokenBatch
from hunmin.models.loss import DEFAULT_CHUNK_TOKENS, language_model_loss, token_nll


class LanguageModelObjective(nn.Module):
    """The model's own task: masked tokens, next tokens or the written sequence.

    The loss reads the output matrix itself, not through the model's forward pass. As part of this
    module the matrix is gathered when the loss needs it.

    Args:
        model: A language model of any layout.
        chunk_tokens: Tokens whose logits exist at one time.
    """

    def __init__(self, model: PreTrainedModel, *, chunk_tokens: int = DEFAULT_CHUNK_TOKENS) -> None:
        super().__init__()
        self.model = model
        self.chunk_tokens = chunk_tokens

    def forward(
        self, batch: TokenBatch | PairBatch, returns: Literal["sum", "tokens"] = "sum"
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            batch: Packed rows for a model of this layout.
            returns: "sum" of all scored tokens, with a gradient; "tokens" without one, the shape of
                the labels.

        Returns:
            Nats, float32.
        """
        if returns == "tokens":
            return token_nll(self.model, batch)
        return language_model_loss(
            self.model, batch, chunk_tokens=self.chunk_tokens, reduction="sum"
        )

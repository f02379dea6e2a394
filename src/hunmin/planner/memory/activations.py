"""What a forward pass keeps for the backward pass, from the shape of a block.

Of a token with hidden states of h values, q query and k key (or value) components and a
feed-forward layer of f, on one of t ranks, a block keeps (R bytes in the residual stream, P in the
precision of matrix products)

    residual stream   2 R h                    the inputs of both norms
    products          2 P h                    inputs of the first product of each half
    attention         P (q + 2 k + q) / t      queries, keys, values, and what becomes of them
                      4 heads / t              fused: a sum for each query
                      score bytes * heads * keys / t     plain: the scores
    feed-forward      2 P f / t                before and after the activation function
                      4 P f / t                gated: gate, activated gate, up, their product

Source: counted on the allocations of hunmin's own training step; Korthikanti et al. 2022
(arXiv:2205.05198, section 4.1) count the same with dropout and a residual stream of 2 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hunmin.planner.memory.habits import Habits
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy

_FLOAT32 = 4
_QUERIES_PER_BLOCK = 64
"""Of `models.packing`: a block of queries meets the keys up to its own end."""


@dataclass(frozen=True)
class Activations:
    """Bytes of one microbatch.

    Args:
        kept: What a block leaves for the backward pass.
        again: What of a block exists only while its own backward pass runs: computed again.
        working: Gradients of intermediate results in a block's backward pass.
        once: Kept once, whatever the number of blocks.
        stream: Hidden states between two blocks.
        loss: What exists while the loss is computed, besides the gradient of the output matrix.
    """

    kept: float
    again: float
    working: float
    once: float
    stream: float
    loss: float


def activations_of(shape: ModelShape, strategy: Strategy, habits: Habits) -> Activations:
    """Return the activations of a microbatch on one rank."""
    counted = _Counted(shape, strategy, habits)
    every = counted.stream + counted.scores + counted.rest
    kept = {
        "none": every,
        "attention": counted.stream + counted.rest,
        "blocks": counted.stream,
    }[strategy.recompute]
    return Activations(
        kept=kept,
        again=every - kept,
        working=counted.working,
        once=counted.stream + counted.mask,
        stream=counted.stream,
        loss=counted.loss,
    )


@dataclass(frozen=True)
class _Counted:
    shape: ModelShape
    strategy: Strategy
    habits: Habits

    @property
    def tokens(self) -> int:
        return self.strategy.micro_batch * self.shape.context

    @property
    def tensor(self) -> int:
        return self.strategy.layout.tensor

    @property
    def stream(self) -> float:
        """Hidden states between blocks: the input of one."""
        split = self.tensor if self.habits.splits_sequence else 1
        return self.tokens * self.shape.width * self.habits.residual_bytes / split

    @property
    def mask(self) -> float:
        """Who may attend to whom, one byte each."""
        return self.tokens * self.shape.context if self._has_mask else 0.0

    @property
    def scores(self) -> float:
        """What only plain attention keeps."""
        if self.strategy.attention == "fused":
            return 0.0
        a_score = self.habits.score_bytes or self.strategy.precision_bytes
        keys = float(self.shape.context)
        if self.shape.is_causal and self.habits.skips_masked_scores:
            keys = (keys + min(keys, _QUERIES_PER_BLOCK)) / 2
        return self.tokens * self.shape.heads * keys * a_score / self.tensor

    @property
    def rest(self) -> float:
        """What a block keeps besides its input and its scores."""
        precision, width = self.strategy.precision_bytes, self.shape.width
        split = self.tensor if self.habits.splits_sequence else 1
        products = 2 * precision * width / split + self.habits.residual_bytes * width / split
        a_token = products + self._attention + self._feedforward
        return self.tokens * a_token + self._joint_projection

    @property
    def _attention(self) -> float:
        """Bytes of a token that the attention of a block keeps."""
        shape, precision = self.shape, self.strategy.precision_bytes
        repeats = self._has_mask and shape.kv_heads < shape.heads  # the kernel takes no groups then
        keys = shape.query_width if repeats else shape.kv_width
        values = precision * 2 * (shape.query_width + keys)
        if shape.is_gated:
            values += self.habits.head_norm_bytes * (shape.query_width + shape.kv_width)
        if self.strategy.attention == "fused":
            values += _FLOAT32 * shape.heads
        mask = precision * shape.context if self._has_mask else 0.0
        return values / self.tensor + mask

    @property
    def _feedforward(self) -> float:
        matrices = 4 if self.shape.is_gated else 2
        return matrices * self.strategy.precision_bytes * self.shape.feedforward / self.tensor

    @property
    def _joint_projection(self) -> float:
        """A rank's columns of queries, keys and values, put together from those of others."""
        is_exchanged = self.tensor > 1 and self.habits.has_joint_projection
        if self.shape.is_gated or not is_exchanged:
            return 0.0
        inputs, outputs = self.shape.block_matrices[0]
        return inputs * outputs * self.strategy.precision_bytes / self.tensor

    @property
    def working(self) -> float:
        """Gradients in the feed-forward layer, or of plain attention's scores if they are more."""
        shape, precision = self.shape, self.strategy.precision_bytes
        hidden = precision * shape.feedforward / self.tensor
        cast = precision * shape.width if precision < _FLOAT32 else 0
        a_token = cast + hidden
        if shape.is_gated:
            a_token = max(a_token, 2 * hidden)
        in_feedforward = self.tokens * a_token
        if self.habits.skips_masked_scores or self.strategy.attention == "fused":
            return self.stream + in_feedforward
        scores = 2 * precision * self.tokens * shape.heads * shape.context / self.tensor
        return self.stream + max(in_feedforward, scores - self.tokens * self._feedforward)

    @property
    def loss(self) -> float:
        """Logits of a chunk, or all logits with a float32 copy and its gradient."""
        shape, precision = self.shape, self.strategy.precision_bytes
        if not self.habits.chunks_loss:
            split = self.tensor if self.habits.splits_vocabulary else 1
            return self.tokens * shape.vocab_size * (precision + 2 * _FLOAT32) / split
        chunk = self.strategy.loss_chunk or self.tokens
        return chunked_loss(self.tokens, chunk, shape.vocab_size, shape.width, precision)

    @property
    def _has_mask(self) -> bool:
        return self.habits.masks_documents and self.strategy.attention == "fused"


def chunked_loss(tokens: int, chunk: int, vocab_size: int, width: int, precision: int) -> float:
    """Return the bytes that hunmin's loss needs besides the gradient of the output matrix.

    Args:
        tokens: Of a microbatch.
        chunk: Tokens whose logits exist at a time.
        vocab_size: Rows of the output matrix.
        width: Of a hidden state.
        precision: Bytes of a value in matrix products.

    Returns:
        The copy of the matrix and the product that is added to its gradient, where these are not
        float32; logits, probabilities, and those of the chunk before; hidden states of a chunk.
    """
    chunk = min(chunk, tokens)
    logits = chunk * vocab_size * precision
    matrix = vocab_size * width * precision if precision < _FLOAT32 else 0
    at_a_time = 3 if chunk < tokens else 2
    return float(matrix + max(matrix + logits, at_a_time * logits) + 2 * chunk * width * precision)

"""Seconds of computing on one device: matrix products, attention, passes over memory.

    matrix product      operations / (peak * share)  +  bytes in and out / memory bandwidth
    fused attention     operations / (peak * share * attention share)
    plain attention     operations as a matrix product, and the score matrix through memory
    between them        norms, residuals, activations: bytes / memory bandwidth

Small matrices have few operations a byte, so their achievable rate falls by itself: a GPT's block
of width 768 computes at about half the rate of one of width 8,192 on an A100. The shares are
calibrated once for each kind of device (see the catalogue), never for a model; the passes over
memory below are estimates of what kernels do that are fused by nobody, and were not fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from hunmin.planner.cluster import Device
from hunmin.planner.shape import ModelShape
from hunmin.planner.software import Software
from hunmin.planner.strategy import Strategy

_RESIDUAL_PASSES = 18
"""Times that a block reads or writes a hidden state between matrix products, forward."""
_FEEDFORWARD_PASSES = 4
"""The same for the inner state of the feed-forward layer."""
_SCORE_PASSES = 8
"""Times that plain attention reads or writes the score matrix, forward."""
_LOGIT_BYTES = 28
"""Bytes that the loss moves for each logit, there and back: to float32, softmax, gradient."""
_BACKWARD = 2.0
"""Backward over forward, of operations and bytes."""
_FUSED_ATTENTION_BACKWARD = 2.5
"""The same for fused attention, which computes scores again."""
_ADAMW_BYTES = 28
"""Bytes read and written for each parameter of a rank: weight, gradient and both moments."""


@dataclass(frozen=True)
class Compute:
    """What one device computes for one microbatch.

    Args:
        device: Where.
        shape: The model.
        strategy: Rows, tensor degree, precision, recomputation.
        software: Attention and fused kernels.
    """

    device: Device
    shape: ModelShape
    strategy: Strategy
    software: Software

    @property
    def tokens(self) -> int:
        """Tokens of a microbatch."""
        return self.strategy.micro_batch * self.shape.context

    @property
    def rate(self) -> float:
        """Operations a second of large matrix products."""
        return self.device.peak[self.strategy.precision] * self.device.matmul_share

    def forward_seconds(self) -> float:
        """Return the seconds of a block's forward pass."""
        return self._matrices() + self._attention() + self._between()

    def backward_seconds(self) -> float:
        """Return the seconds of a block's backward pass, with what it computes again."""
        attention = self._attention()
        factor = _FUSED_ATTENTION_BACKWARD if self.strategy.attention == "fused" else _BACKWARD
        backward = _BACKWARD * (self._matrices() + self._between()) + factor * attention
        again = {"none": 0.0, "attention": attention, "blocks": self.forward_seconds()}
        return backward + again[self.strategy.recompute]

    def loss_seconds(self) -> float:
        """Return the seconds of the output matrix and the loss, forward and backward."""
        tensor = self.strategy.layout.tensor
        products = 3 * self._product(self.shape.width, self.shape.vocab_size // tensor)
        logits = self.tokens * self.shape.vocab_size / tensor
        return products + logits * _LOGIT_BYTES / self.device.memory_bandwidth

    def copy_seconds(self, width: int) -> float:
        """Return the seconds of handling a block's collectives: into buffers, and out of them.

        Args:
            width: Bytes that are carried for each parameter.

        Returns:
            Seconds; 0 where every rank has a whole copy of the model.
        """
        layout = self.strategy.layout
        if layout.partition_group == 1:
            return 0.0
        carried = self.shape.block_parameters / layout.tensor * width
        return self.software.copies * carried / self.device.memory_bandwidth

    def optimizer_seconds(self, parameters_of_rank: float) -> float:
        """Return the seconds of AdamW on the parameters that a rank keeps."""
        return parameters_of_rank * _ADAMW_BYTES / self.device.memory_bandwidth

    def _matrices(self) -> float:
        tensor = self.strategy.layout.tensor
        (width, qkv), (query, out), (_, up), (inner, down) = self.shape.block_matrices
        split = ((width, qkv / tensor), (query / tensor, out), (width, up / tensor))
        return sum(self._product(*matrix) for matrix in (*split, (inner / tensor, down)))

    def _product(self, inputs: float, outputs: float) -> float:
        operations = 2.0 * self.tokens * inputs * outputs
        values = self.tokens * (inputs + outputs) + inputs * outputs
        moved = values * self.strategy.precision_bytes / self.device.memory_bandwidth
        return operations / self.rate + moved + self.device.kernel_seconds

    def _attention(self) -> float:
        tensor, shape = self.strategy.layout.tensor, self.shape
        if self.strategy.attention == "fused":
            operations = self.tokens * shape.attention_flops / tensor
            return operations / (self.rate * self.software.attention_share)
        # Without a fused kernel the masked half is computed too.
        operations = 4.0 * self.tokens * shape.query_width * shape.context / tensor
        scores = self.tokens * shape.context * shape.heads / tensor
        moved = scores * self.strategy.precision_bytes * _SCORE_PASSES
        return operations / self.rate + moved / self.device.memory_bandwidth

    def _between(self) -> float:
        shape, tensor = self.shape, self.strategy.layout.tensor
        inner = shape.feedforward * (1.5 if shape.is_gated else 1.0) / tensor
        values = self.tokens * (_RESIDUAL_PASSES * shape.width + _FEEDFORWARD_PASSES * inner)
        passes = values * self.strategy.precision_bytes * (1 - self.software.fused)
        return passes / self.device.memory_bandwidth

"""Parameters as a rank meets them: blocks that are gathered one by one, and what is around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hunmin.planner.memory.habits import Habits
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy


@dataclass(frozen=True)
class Weights:
    """Numbers of parameters; of blocks and matrices, what one tensor-parallel rank has of them.

    Args:
        blocks: How many blocks there are.
        block: Parameters of the largest block.
        in_blocks: Parameters of all blocks.
        outside: Parameters outside of the blocks.
        output: Parameters of the output matrix; 0 without one.
        is_tied: Whether that is the embedding.
        matrix: Parameters of the largest matrix of a block.
        gram: Squared smaller side of a block's largest matrix.
    """

    blocks: int
    block: float
    in_blocks: float
    outside: float
    output: float
    is_tied: bool
    matrix: float
    gram: float

    @property
    def parameters(self) -> float:
        """All parameters."""
        return self.in_blocks + self.outside


def weights_of(shape: ModelShape, strategy: Strategy, habits: Habits) -> Weights:
    """Return the parameters of a whole model for one tensor-parallel rank."""
    tensor = strategy.layout.tensor
    around = tensor if habits.splits_vocabulary else 1
    sides = [sorted(sides) for sides in shape.block_matrices]
    return Weights(
        blocks=shape.layers,
        block=shape.block_parameters / tensor,
        in_blocks=shape.layers * shape.block_parameters / tensor,
        outside=shape.outside_parameters / around,
        output=shape.vocab_size * shape.width / around,
        is_tied=shape.is_tied,
        matrix=max(small * large for small, large in sides) / tensor,
        gram=max(small * small for small, _ in sides),
    )


def stage(weights: Weights, pipeline: int, *, is_last: bool) -> Weights:
    """Return the parameters of a pipeline's first or last stage."""
    if pipeline == 1:
        return weights
    table = weights.output if weights.is_tied else weights.outside - weights.output
    blocks = -(-weights.blocks // pipeline)
    outside = weights.output if is_last else max(table, weights.outside - weights.output)
    return replace(
        weights,
        blocks=blocks,
        in_blocks=blocks * weights.block,
        outside=outside,
        output=weights.output if is_last else 0.0,
        is_tied=False,
    )

"""The one size dial of the hunmin family: from a number of parameters to a whole shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.units import format_count, parse_count

HEAD_DIM = 64
SMALLEST_SIZE = 1_000_000
LARGEST_SIZE = 100_000_000_000


@dataclass(frozen=True)
class Shape:
    """Dimensions of a decoder with gated feed-forward layers.

    Args:
        layers: Transformer blocks.
        width: Size of a hidden state.
        heads: Query heads, `HEAD_DIM` wide each.
        kv_heads: Key and value heads, a divisor of `heads`.
        feedforward: Hidden size of the feed-forward layer.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    feedforward: int

    @property
    def non_embedding_parameters(self) -> int:
        """Parameters of all blocks and the last norm; no embeddings."""
        projections = 2 * self.width * HEAD_DIM * (self.heads + self.kv_heads)
        norms = 2 * self.width + 2 * HEAD_DIM
        block = projections + 3 * self.width * self.feedforward + norms
        return self.layers * block + self.width


def shape_of_size(size: str | int, *, shares_keys: bool = True) -> Shape:
    """Derive layers, width, heads and feed-forward size from one dial.

    Among all widths (multiples of 64, of 128 from 512, of 256 from 1,536, of 512 from 4,096, so
    that heads can be split over devices) the one is taken whose layers come nearest both to the
    dial and to the aspect ratio width / layers of `preferred_aspect`. An error in the count
    weighs ten times as much as one in the aspect. Below a width of 1,024 one step of 64 in the
    feed-forward size may bring the count nearer.

    Args:
        size: Non-embedding parameters, such as "5M"; from 1M to 100B.
        shares_keys: Whether query heads of larger models share key-value heads; encoders do not.

    Returns:
        The shape; its count lies within 12 % of the dial.

    Raises:
        InputError: The dial is out of range or no number.
    """
    wanted = checked_size(size)
    return min(_candidates(wanted, shares_keys), key=lambda shape: _misfit(shape, wanted))


def checked_size(size: str | int) -> int:
    """Return the parameters that a dial asks for.

    Args:
        size: Such as "5M".

    Returns:
        Non-embedding parameters.

    Raises:
        InputError: The dial is out of range or no number.
    """
    wanted = parse_count(size)
    if not SMALLEST_SIZE <= wanted <= LARGEST_SIZE:
        raise InputError(
            "this size is outside of what the hunmin family is made for",
            where="model.size",
            given=size,
            allowed=f"{format_count(SMALLEST_SIZE)} to {format_count(LARGEST_SIZE)} "
            "non-embedding parameters",
            hint="for other shapes set model.layers and model.width",
        )
    return wanted


def preferred_aspect(num_parameters: int) -> float:
    """Return width / layers: 64 up to 350M parameters, then rising to 128 at 7B.

    Source:
        Small models: nanochat's depth * 64. Large ones: GPT-3 6.7B and Llama 7B have 128.
    """
    if num_parameters <= 350_000_000:
        return 64.0
    exponent = math.log(2) / math.log(20)
    return 64.0 * min(2.0, math.pow(num_parameters / 350_000_000, exponent))


def shape_of_width(
    width: int, *, layers: int, num_parameters: int, shares_keys: bool = True
) -> Shape:
    """Fill in heads and feed-forward size.

    Args:
        width: Size of a hidden state, a multiple of 64.
        layers: Transformer blocks.
        num_parameters: Decides how many query heads share a key-value head: one below 50M, two
            below 2B, four above (Qwen3 shares two up to 1.7B and four from 4B on).
        shares_keys: False: as many key-value heads as query heads.

    Returns:
        The shape, with a feed-forward size of 8/3 width rounded to a multiple of 64.
    """
    heads = width // HEAD_DIM
    sharing = 1 if num_parameters < 50_000_000 else 2 if num_parameters < 2_000_000_000 else 4
    kv_heads = heads // math.gcd(heads, sharing if shares_keys else 1)
    feedforward = round(8 * width / 3 / 64) * 64
    return Shape(layers, width, heads, kv_heads, feedforward)


def _candidates(wanted: int, shares_keys: bool) -> Iterator[Shape]:
    for width in model_widths():
        settings: Any = {"num_parameters": wanted, "shares_keys": shares_keys}
        per_layer = shape_of_width(width, layers=1, **settings).non_embedding_parameters - width
        layers = max(2, round((wanted - width) / per_layer))
        shape = shape_of_width(width, layers=layers, **settings)
        for change in (0, -64, 64) if width < 1024 else (0,):
            yield replace(shape, feedforward=shape.feedforward + change)


def model_widths() -> Iterator[int]:
    """Yield the widths that the dials choose from, multiples of a head's size."""
    yield from range(64, 512, 64)
    yield from range(512, 1536, 128)
    yield from range(1536, 4096, 256)
    yield from range(4096, 16_385, 512)


def _misfit(shape: Shape, wanted: int) -> float:
    count_error = abs(math.log(shape.non_embedding_parameters / wanted))
    aspect_error = abs(math.log(shape.width / shape.layers / preferred_aspect(wanted)))
    return 10 * count_error + aspect_error

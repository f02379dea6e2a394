"""Models of the hunmin family, and published shapes, near a number of parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hunmin.core.units import format_count
from hunmin.models.presets import PRESETS
from hunmin.models.shape import LARGEST_SIZE, SMALLEST_SIZE, shape_of_size
from hunmin.planner.shape import gpt2_shape

# As `models.build` has them, which cannot be imported without torch; a test compares the results.
DEFAULT_VOCABULARY = 32_768
_TIED_BELOW = 2_000_000_000
_DIAL_STEP = 1.02
_NEAR_MEMBER = math.log(1.15)
_NEAR_PRESET = math.log(1.5)


@dataclass(frozen=True)
class FamilyMember:
    """A model of the hunmin family, as its recipe would say it.

    Args:
        size: `model.size` of a recipe: parameters without embeddings.
        layers: Blocks.
        width: Size of a hidden state.
        parameters: All of them, embeddings too.
        embedding_parameters: Of the embedding, and of the output matrix if it is its own.
    """

    size: str
    layers: int
    width: int
    parameters: int
    embedding_parameters: int


def nearest_member(parameters: float, vocab_size: int = DEFAULT_VOCABULARY) -> FamilyMember | None:
    """Return the member of the hunmin family with about so many parameters.

    Args:
        parameters: All of them, embeddings too.
        vocab_size: Rows of the embedding; below 2B parameters it is the output matrix too.

    Returns:
        The nearest one; None if none is within 15 %: the embedding alone is too large, or the
        family does not go so far.
    """
    member = min(_family(vocab_size), key=lambda found: _distance(found.parameters, parameters))
    return member if _distance(member.parameters, parameters) < _NEAR_MEMBER else None


@functools.lru_cache(maxsize=8)
def _family(vocab_size: int) -> tuple[FamilyMember, ...]:
    count = int(math.log(LARGEST_SIZE / SMALLEST_SIZE) / math.log(_DIAL_STEP))
    sizes = (SMALLEST_SIZE * _DIAL_STEP**number for number in range(count + 1))
    return tuple(_member(format_count(size), vocab_size) for size in sizes)


def _member(size: str, vocab_size: int) -> FamilyMember:
    shape = shape_of_size(size)
    blocks = shape.non_embedding_parameters
    embedding = (1 if blocks < _TIED_BELOW else 2) * vocab_size * shape.width
    return FamilyMember(size, shape.layers, shape.width, blocks + embedding, embedding)


def nearest_preset(parameters: float) -> str | None:
    """Return the published shape with about so many parameters, within a factor of 1.5."""
    sizes = _preset_parameters()
    name = min(sizes, key=lambda preset: _distance(sizes[preset], parameters))
    return name if _distance(sizes[name], parameters) < _NEAR_PRESET else None


@functools.cache
def _preset_parameters() -> Mapping[str, int]:
    return {
        name: gpt2_shape(
            name,
            layers=preset.layers,
            width=preset.width,
            heads=preset.heads,
            vocab_size=preset.vocab_size,
            context=preset.context,
        ).parameters
        for name, preset in PRESETS.items()
    }


def _distance(one: float, other: float) -> float:
    return abs(math.log(one / other))

"""Published shapes as data: KoGPT2 and the eight HyperCLOVA sizes, all GPT-2 blocks.

The HyperCLOVA paper gives layers, width and heads, but no vocabulary. With 51,200 entries and
2,048 positions six of the eight totals match their published names within 2 %. No vocabulary
fits all: 137M would need about 65,500 entries, 350M at most 51,400, 6.9B at least 75,000. Without
embeddings all eight equal 12 * layers * width ** 2, which is what the paper's shapes say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DIAL_PRESET = "hunmin"
"""Name of the family whose shape follows from one size dial (see `hunmin.models.shape`)."""


@dataclass(frozen=True)
class Preset:
    """One published model.

    Args:
        layers: Transformer blocks.
        width: Size of a hidden state.
        heads: Attention heads; each is width / heads wide.
        context: Positions in tokens.
        vocab_size: Rows of the embedding; for HyperCLOVA an assumption (see the module).
        published_parameters: The size in its name.
    """

    layers: int
    width: int
    heads: int
    context: int
    vocab_size: int
    published_parameters: int


def _hyperclova(layers: int, width: int, heads: int, published_parameters: int) -> Preset:
    return Preset(layers, width, heads, 2048, 51_200, published_parameters)


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "kogpt2-125m": Preset(12, 768, 12, 1024, 51_200, 125_000_000),
        "hyperclova-137m": _hyperclova(12, 768, 16, 137_000_000),
        "hyperclova-350m": _hyperclova(24, 1024, 16, 350_000_000),
        "hyperclova-760m": _hyperclova(24, 1536, 16, 760_000_000),
        "hyperclova-1.3b": _hyperclova(24, 2048, 16, 1_300_000_000),
        "hyperclova-6.9b": _hyperclova(32, 4096, 32, 6_900_000_000),
        "hyperclova-13b": _hyperclova(40, 5120, 40, 13_000_000_000),
        "hyperclova-39b": _hyperclova(48, 8192, 64, 39_000_000_000),
        "hyperclova-82b": _hyperclova(64, 10_240, 80, 82_000_000_000),
    }
)

PRESET_NAMES: tuple[str, ...] = (DIAL_PRESET, *PRESETS)

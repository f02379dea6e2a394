"""Published shapes as data: KoGPT2, HyperCLOVA, the Alexa Teacher Model and XLM-R.

KoGPT2 and HyperCLOVA are GPT-2 blocks. The HyperCLOVA paper gives layers, width and heads, but no
vocabulary. With 51,200 entries and 2,048 positions six of the eight totals match their published
names within 2 %. No vocabulary fits all: 137M would need about 65,500 entries, 350M at most 51,400,
6.9B at least 75,000. Without embeddings all eight equal 12 * layers * width ** 2, which is what the
paper's shapes say.

The Alexa Teacher Model names its encoders by parameters without embeddings. Of the shapes only that
of 9.3B is published, 46 layers of 4,096, as the encoder of AlexaTM 20B. The others are chosen here:
12 * layers * width ** 2 comes within 2 % of the name, heads are 64 wide (those of 4,096 are 128, as
in the 20B model), and the depth falls with the size: 46 layers also at 2.3B, 7 in the student that
has to answer quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hunmin.data.objectives.kinds import ModelKind

DIAL_PRESET = "hunmin"
"""Name of the family whose shape follows from one size dial (see `hunmin.models.shape`)."""
ENCODER_DIAL = "hunmin-encoder"
"""Encoders (ModernBERT) whose shape follows from the dial."""
SEQUENCE_DIAL = "hunmin-seq2seq"
"""Encoder-decoders (pre-LN mBART) whose shape follows from the dial."""
DIALS = (DIAL_PRESET, ENCODER_DIAL, SEQUENCE_DIAL)
POST_NORM_ENCODER = "xlmr-style"
"""The shape of XLM-R base; the only preset whose embeddings can be factorised."""


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
        decoder_layers: Blocks of the decoder of an encoder-decoder; `layers` are its encoder's.
    """

    layers: int
    width: int
    heads: int
    context: int
    vocab_size: int
    published_parameters: int
    decoder_layers: int = 0


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

"""GPT-2 models."""


def _alexatm(layers: int, width: int, heads: int, without_embeddings: int) -> Preset:
    return Preset(layers, width, heads, 512, 150_016, without_embeddings)


ENCODER_PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "alexatm-encoder-17m": _alexatm(7, 448, 7, 17_000_000),
        "alexatm-encoder-170m": _alexatm(24, 768, 12, 170_000_000),
        "alexatm-encoder-700m": _alexatm(36, 1280, 20, 700_000_000),
        "alexatm-encoder-2.3b": _alexatm(46, 2048, 32, 2_300_000_000),
        "alexatm-encoder-9.3b": _alexatm(46, 4096, 32, 9_300_000_000),
        POST_NORM_ENCODER: Preset(12, 768, 12, 512, 250_002, 270_000_000),
    }
)
"""Encoders; the sizes of alexatm-encoder are those without embeddings."""

SEQUENCE_PRESETS: Mapping[str, Preset] = MappingProxyType(
    {"alexatm-20b": Preset(46, 4096, 32, 1024, 150_016, 19_750_000_000, decoder_layers=32)}
)
"""Encoder-decoders."""

ALL_PRESETS: Mapping[str, Preset] = MappingProxyType(
    {**PRESETS, **ENCODER_PRESETS, **SEQUENCE_PRESETS}
)
_PRESETS_OF: Mapping[ModelKind, tuple[str, ...]] = MappingProxyType(
    {
        "decoder": (DIAL_PRESET, *PRESETS),
        "encoder": (ENCODER_DIAL, *ENCODER_PRESETS),
        "encoder-decoder": (SEQUENCE_DIAL, *SEQUENCE_PRESETS),
    }
)
PRESET_NAMES: tuple[str, ...] = (*DIALS, *ALL_PRESETS)


def kind_of_preset(preset: str) -> ModelKind:
    """Tell what kind of model a preset makes.

    Args:
        preset: One of `PRESET_NAMES`.

    Returns:
        encoder, decoder or encoder-decoder.
    """
    return next(kind for kind, names in _PRESETS_OF.items() if preset in names)

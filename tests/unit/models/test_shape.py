"""The size dial and the published shapes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hunmin.core.errors import InputError
from hunmin.core.units import parse_count
from hunmin.models.build import count_parameters, model_config
from hunmin.models.presets import PRESETS
from hunmin.models.shape import HEAD_DIM, shape_of_size
from hunmin.models.spec import ModelSpec

PUBLISHED_WITHOUT_EMBEDDINGS = {
    "hyperclova-137m": 85e6,
    "hyperclova-350m": 302e6,
    "hyperclova-760m": 679e6,
    "hyperclova-1.3b": 1.21e9,
    "hyperclova-6.9b": 6.44e9,
    "hyperclova-13b": 12.6e9,
    "hyperclova-39b": 38.7e9,
    "hyperclova-82b": 80.5e9,
}
NO_VOCABULARY_FITS = {"hyperclova-137m": 0.09, "hyperclova-6.9b": 0.04}
"""Names that no vocabulary brings together with the others (see hunmin.models.presets)."""


@pytest.mark.parametrize("size", ["5M", "10M", "25M", "50M", "125M", "350M", "1B", "7B"])
def test_counts_follow_the_dial(size: str) -> None:
    counts = count_parameters(model_config(ModelSpec(size=size)))
    assert counts.non_embedding == pytest.approx(parse_count(size), rel=0.12)
    assert counts.non_embedding == shape_of_size(size).non_embedding_parameters


@settings(max_examples=200)
@given(st.floats(6, 11))
def test_every_size_has_a_sensible_shape(exponent: float) -> None:
    wanted = int(10**exponent)
    shape = shape_of_size(wanted)
    assert shape.non_embedding_parameters == pytest.approx(wanted, rel=0.12)
    assert shape.width == shape.heads * HEAD_DIM
    assert shape.heads % shape.kv_heads == 0
    assert 20 <= shape.width / shape.layers <= 160


def test_a_larger_dial_never_gives_a_much_smaller_model() -> None:
    counts = [shape_of_size(n * 1_000_000).non_embedding_parameters for n in range(2, 400, 3)]
    assert all(later > 0.8 * earlier for earlier, later in itertools.pairwise(counts))


@pytest.mark.parametrize(("name", "published"), PUBLISHED_WITHOUT_EMBEDDINGS.items())
def test_hyperclova_blocks_equal_the_published_shapes(name: str, published: float) -> None:
    counts = count_parameters(model_config(ModelSpec(preset=name)))
    assert counts.non_embedding == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("name", PRESETS)
def test_totals_equal_the_published_names(name: str) -> None:
    counts = count_parameters(model_config(ModelSpec(preset=name)))
    tolerance = NO_VOCABULARY_FITS.get(name, 0.02)
    assert counts.total == pytest.approx(PRESETS[name].published_parameters, rel=tolerance)


def test_the_two_names_that_do_not_fit_contradict_the_others() -> None:
    """137M wants a larger vocabulary than 350M allows, 6.9B a larger one than 137M does."""

    def vocabularies(name: str) -> tuple[float, float]:
        preset = PRESETS[name]
        counts = count_parameters(model_config(ModelSpec(preset=name)))
        rest = counts.total - preset.vocab_size * preset.width
        low, high = (factor * preset.published_parameters for factor in (0.98, 1.02))
        return (low - rest) / preset.width, (high - rest) / preset.width

    assert vocabularies("hyperclova-137m")[0] > vocabularies("hyperclova-350m")[1]
    assert vocabularies("hyperclova-6.9b")[0] > vocabularies("hyperclova-137m")[1]


def test_kogpt2_has_the_published_shape() -> None:
    config = model_config(ModelSpec(preset="kogpt2-125m"))
    assert (config.n_layer, config.n_embd, config.n_head) == (12, 768, 12)
    assert (config.vocab_size, config.n_positions) == (51_200, 1024)


def test_the_smallest_hyperclova_has_sixteen_heads_of_48() -> None:
    config = model_config(ModelSpec(preset="hyperclova-137m"))
    assert config.n_head == 16
    assert config.n_embd // config.n_head == 48


@pytest.mark.parametrize("size", ["500K", "2T"])
def test_a_dial_out_of_range_says_the_range(size: str) -> None:
    with pytest.raises(InputError, match="1M to 100B"):
        shape_of_size(size)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"preset": "kogpt2-125"}, "Did you mean 'kogpt2-125m'"),
        ({"preset": "llama"}, "Allowed: hunmin, hunmin-encoder, hunmin-seq2seq, kogpt2-125m"),
        ({"size": "big"}, "not a count"),
        ({"size": "10K"}, "1M to 100B"),
        ({"preset": "kogpt2-125m", "size": "5M"}, "size belongs to the preset 'hunmin'"),
        ({"preset": "kogpt2-125m", "kv_heads": 4}, "kv_heads belongs to the preset 'hunmin'"),
        ({"width": 100}, "width 100 is not a multiple of 64; take 128"),
        ({"width": 8}, "take 64"),
    ],
)
def test_spec_refuses_with_advice(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSpec.model_validate(fields)


def test_a_plain_number_is_a_size() -> None:
    assert ModelSpec.model_validate({"size": 5_000_000}).size == "5000000"

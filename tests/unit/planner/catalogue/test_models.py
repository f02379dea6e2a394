"""Shapes of the catalogue, of hunmin's family and of files, against transformers' own models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from hunmin.core.errors import InputError, MissingInputError, RecipeError
from hunmin.models import build
from hunmin.models.build import count_parameters, model_config
from hunmin.models.flops import hardware_flops_per_token, train_flops_per_token
from hunmin.models.presets import PRESETS
from hunmin.models.spec import ModelSpec
from hunmin.planner.catalogue import models
from hunmin.planner.catalogue.huggingface import model_types
from hunmin.planner.catalogue.models import find_model, model_names, published_parameters
from hunmin.planner.shape import ModelShape

NAMED_LOOSELY = {"hyperclova-137m": 0.081, "hyperclova-6.9b": 0.035}
"""Sizes in names that no vocabulary gives (see `hunmin.models.presets`)."""


def _assert_equal_to(shape: ModelShape, config: PreTrainedConfig) -> None:
    """Parameters and operations are those of the real model, to the last one."""
    assert shape.parameters == count_parameters(config).total
    context = shape.context
    assert shape.train_flops == train_flops_per_token(config, context)
    for recomputes in (False, True):
        assert shape.hardware_flops(recomputes=recomputes) == hardware_flops_per_token(
            config, context, recomputes=recomputes
        )


@pytest.mark.parametrize("name", model_names())
def test_parameters_are_the_published_ones(name: str) -> None:
    published = published_parameters(name)
    assert published is not None
    counted = find_model(name).parameters
    if published % 1_000_000:
        assert counted == published
    else:
        assert counted == pytest.approx(published, rel=NAMED_LOOSELY.get(name, 0.02))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_what_is_built(name: str) -> None:
    _assert_equal_to(find_model(name), model_config(ModelSpec(preset=name)))


@pytest.mark.parametrize("size", ["5M", "350M", "1.3B", "2.5B", "13B", "70B"])
def test_sizes_are_what_is_built(size: str) -> None:
    shape = find_model(size)
    config = model_config(ModelSpec(size=size), vocab_size=64_000, context=2048)
    assert shape.name == f"hunmin-{size.lower()}"
    assert shape.is_tied == config.tie_word_embeddings
    _assert_equal_to(shape, config)
    assert find_model(f"hunmin-{size}") == shape


def test_the_family_has_its_own_output_matrix_from_the_same_size_on() -> None:
    assert models.TIED_BELOW == build.TIED_BELOW


_SMALL: dict[str, Any] = {
    "vocab_size": 500,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "max_position_embeddings": 96,
}
_SHARED = {**_SMALL, "num_key_value_heads": 2}
_CONFIGS = [
    GPT2Config(vocab_size=500, n_embd=64, n_layer=3, n_head=4, n_positions=96),
    GPT2Config(vocab_size=500, n_embd=64, n_layer=3, n_head=4, n_positions=96, n_inner=100),
    GPT2Config(vocab_size=500, n_embd=64, n_layer=3, n_head=4, tie_word_embeddings=False),
    LlamaConfig(**_SHARED),
    LlamaConfig(**_SHARED, tie_word_embeddings=True, head_dim=32),
    LlamaConfig(**_SHARED, attention_bias=True),
    MistralConfig(**_SHARED),
    Qwen2Config(**_SHARED),
    Qwen2Config(**_SHARED, tie_word_embeddings=True),
    Qwen3Config(**_SHARED),
    Qwen3Config(**_SHARED, head_dim=24, tie_word_embeddings=True),
    Qwen3Config(**_SHARED, attention_bias=True),
    GemmaConfig(**_SHARED, head_dim=16),
    Gemma2Config(**_SHARED, head_dim=16),
    Gemma3TextConfig(**_SHARED, head_dim=16, tie_word_embeddings=False),
    GPTNeoXConfig(**_SMALL),
    GPTNeoXConfig(**_SMALL, tie_word_embeddings=True),
]


@pytest.mark.parametrize("config", _CONFIGS, ids=lambda config: config.model_type)
def test_a_configuration_is_read_as_transformers_builds_it(
    config: PreTrainedConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "my-model"
    config.save_pretrained(folder)
    shape = find_model(str(folder))
    assert shape.name == "my-model"
    assert shape.context == config.max_position_embeddings
    _assert_equal_to(shape, config)
    assert find_model(str(folder / "config.json")) == shape


def test_every_kind_of_configuration_is_compared() -> None:
    assert {config.model_type for config in _CONFIGS} == set(model_types())


@pytest.mark.parametrize("key", ["head_dim", "num_key_value_heads", "tie_word_embeddings"])
def test_keys_that_older_configurations_leave_out(key: str, tmp_path: Path) -> None:
    written = json.loads(LlamaConfig(**_SMALL).to_json_string())
    del written[key]
    (tmp_path / "config.json").write_text(json.dumps(written))
    _assert_equal_to(find_model(str(tmp_path)), LlamaConfig(**_SMALL))


def test_a_normed_embedding_counts(tmp_path: Path) -> None:
    path = tmp_path / "bloom-tiny.yaml"
    path.write_text("like: bloom\nlayers: 3\nwidth: 64\nheads: 4\nvocab_size: 500\ncontext: 32\n")
    config = BloomConfig(vocab_size=500, hidden_size=64, n_layer=3, n_head=4)
    _assert_equal_to(find_model(str(path)), config)


def test_context_and_vocabulary_can_be_given() -> None:
    shape = find_model("llama2-7b", 16_384, vocab_size=64_000)
    assert (shape.context, shape.vocab_size, shape.positions) == (16_384, 64_000, 0)
    assert find_model("gpt2", 512).positions == 1024
    assert find_model("gpt2", 4096).positions == 4096
    assert find_model("gpt2").context == 1024, "the catalogue's own entry must not change"


@pytest.mark.parametrize(
    ("text", "name"),
    [("GPT3-175B", "gpt3-175b"), ("gpt3", "gpt3-175b"), ("bloomberggpt", "bloomberggpt-50b")],
)
def test_names_in_any_case_and_aliases(text: str, name: str) -> None:
    assert find_model(text) == find_model(name)
    assert find_model(text).name == name
    assert published_parameters(text) == published_parameters(name)


def test_what_nobody_published() -> None:
    assert published_parameters("13B") is None


def test_a_file_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "wide.yaml"
    path.write_text("like: gpt3-13B\nwidth: 10_240\nheads: 80\nvocab_size: 64K\nlayers: 10\n")
    shape, parent = find_model(str(path)), find_model("gpt3-13b")
    assert shape.name == "wide"
    assert (shape.width, shape.heads, shape.layers) == (10_240, 80, 10)
    assert shape.feedforward == 40_960, "four times its own width, not its parent's"
    assert shape.vocab_size == 64_000
    assert (shape.context, shape.positions) == (parent.context, parent.positions)


@pytest.mark.parametrize("like", ["hyperclova-13b", "13B", "llama3-8b", "qwen3-8b"])
def test_a_file_may_be_like_whatever_has_a_name(like: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(f"like: {like}\nlayers: 100\n")
    shape, parent = find_model(str(path)), find_model(like)
    assert shape.block_parameters == parent.block_parameters
    assert shape.parameters - parent.parameters == (100 - parent.layers) * shape.block_parameters


_WHOLE = """\
layers: 12
width: 768
heads: 12
kv_heads: 4
feedforward: 2048
vocab_size: 32K
context: 4096
is_gated: true
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers: 12", "layers: 0", "yaml:1: layers: .*greater than or equal to 1"),
        ("layers: 12", "layers: dozen", "yaml:1: layers: not a count"),
        ("layers: 12", "layer: 12", r"yaml:1: layer: unknown key. Did you mean 'layers'\?"),
        ("layers: 12", "like: gpt3-31b\nlayers: 12", r"yaml:1: like: .*Did you mean 'gpt3-13b'\?"),
        ("width: 768\n", "", "own.yaml: width: this key is required[^$]*like: llama3-8b"),
        ("feedforward: 2048\n", "", "own.yaml: feedforward: this key is required"),
        ("heads: 12", "heads: 10", r"width cannot be divided by heads\n.*width 768, heads 10"),
        ("kv_heads: 4", "kv_heads: 5", r"heads cannot be divided by kv_heads"),
        ("context: 4096", "context: 4096\npositions: 2048", "own.yaml: the rows are longer than"),
        ("is_gated: true", "is_gated: maybe", "yaml:8: is_gated: .*valid boolean"),
    ],
)
def test_an_impossible_file_is_explained(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(_WHOLE.replace(old, new, 1))
    assert old in _WHOLE
    with pytest.raises(InputError, match=message):
        find_model(str(path))


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("layers: 12\nwidth: 64\n")
    with pytest.raises(RecipeError, match=r"heads: this key[\s\S]*vocab_size: this key"):
        find_model(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpt4", r"there is no model 'gpt4' in the catalogue\. Did you mean 'gpt\d'\?"),
        ("bloomberg-gpt", r"Did you mean 'bloomberggpt"),
        ("", "there is no model ''"),
        ("zzz", "a size such as 13B; a folder with config.json; or a file such as my-model.yaml"),
        ("500B", r"outside of what the hunmin family is made for[\s\S]*1M to 100B"),
        ("1K", "outside of what the hunmin family is made for"),
    ],
)
def test_what_is_no_model(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^MODEL: [\s\S]*{message}"):
        find_model(text, where="MODEL")


@pytest.mark.parametrize("given", [{"context": 0}, {"vocab_size": -1}])
def test_lengths_that_are_none(given: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        find_model("gpt2", **given)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such model file"):
        find_model(str(tmp_path / "gone.yaml"))
    with pytest.raises(MissingInputError, match="no such model configuration"):
        find_model(str(tmp_path))
    with pytest.raises(MissingInputError, match="no such model configuration"):
        find_model(str(tmp_path / "config.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mixtral"}, r"model_type: [\s\S]*'mixtral'[\s\S]*gemma, gemma2, .*qwen3"),
        ({"model_type": "lama"}, r"Did you mean 'llama'\?"),
        ({"model_type": None}, "knows no formulas"),
        ({"hidden_size": None}, "hidden_size: this key is required"),
        ({"num_hidden_layers": "3"}, "num_hidden_layers: not a number that a model can have"),
        ({"num_hidden_layers": True}, "num_hidden_layers: not a number"),
        ({"vocab_size": 0}, "vocab_size: not a number"),
        ({"num_attention_heads": 5, "head_dim": None}, "width cannot be divided by heads"),
        ({"num_key_value_heads": 3}, "heads cannot be divided by kv_heads"),
        ({"mlp_bias": True}, "mlp_bias: the planner has no formulas for this variant"),
    ],
)
def test_a_configuration_that_cannot_be_read(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    written = {**json.loads(LlamaConfig(**_SMALL).to_json_string()), **change}
    (tmp_path / "config.json").write_text(json.dumps(written))
    with pytest.raises(InputError, match=message) as caught:
        find_model(str(tmp_path))
    assert "config.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[1]", "list"), ("\xff", "JSON")]
)
def test_a_configuration_that_is_none(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        find_model(str(tmp_path))


def test_the_planner_works_without_torch() -> None:
    code = (
        "import sys; from hunmin.planner.catalogue.models import find_model;"
        "find_model('gpt3-175b'), find_model('13B'), find_model('hyperclova-82b');"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

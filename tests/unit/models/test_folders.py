"""Model folders: what stock transformers makes of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, PreTrainedModel

from hunmin.core.artifact import load_artifact, write_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    DiskFullError,
    InputError,
    MissingInputError,
)
from hunmin.models.build import build_model, model_config
from hunmin.models.export import ModelCard, save_model
from hunmin.models.load import load_model
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec

SPECS = {
    "hunmin": ModelSpec(layers=2, width=128),
    "gpt2": ModelSpec(preset="kogpt2-125m", layers=2, width=96, heads=4),
}


@pytest.fixture
def tokenizer_path(tmp_path: Path) -> Path:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    Tokenizer(BPE({"<|endoftext|>": 0, "a": 1}, [])).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(params=SPECS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build_model(model_config(SPECS[request.param], vocab_size=200, context=64), seed=3)


def greedy(model: PreTrainedModel) -> torch.Tensor:
    prompt = torch.tensor([[0, 17, 5]])
    return model.generate(prompt, do_sample=False, max_new_tokens=20, min_new_tokens=20)


def test_stock_transformers_generates_the_same(
    model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path
) -> None:
    with write_artifact(tmp_path / "model", "model") as draft:
        save_model(optimize_model(model), tokenizer_path, draft.path)
    files = set(load_artifact(tmp_path / "model", "model").manifest.files)
    assert files == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    stock = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert not loaded.training
    assert torch.equal(greedy(stock), greedy(loaded))
    assert torch.equal(greedy(stock), greedy(model.eval()))
    assert "hunmin_packed" not in (tmp_path / "model" / "config.json").read_text()


def test_generation_is_bounded_by_default(
    model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path
) -> None:
    save_model(model, tokenizer_path, tmp_path)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    assert settings["max_new_tokens"] == 128
    assert settings["eos_token_id"] == 0
    assert settings["pad_token_id"] == 0


def test_the_card_tells_the_facts(
    model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path
) -> None:
    card = ModelCard("Test", languages=("ko", "en"), license="apache-2.0", facts={"tokens": 12})
    save_model(model, tokenizer_path, tmp_path, card=card)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: transformers\n")
    assert "language: [ko, en]\nlicense: apache-2.0\n---\n\n# Test\n" in text
    assert "| tokens | 12 |" in text
    assert "| context in tokens | 64 |" in text


def test_facts_alone_make_a_card(
    model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path
) -> None:
    save_model(model, tokenizer_path, tmp_path, card={"steps": 7})
    assert "| steps | 7 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_folder_without_tokenizer_is_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match="no tokenizer"):
        save_model(model, tmp_path, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="no space left"):
        save_model(model, tokenizer_path, tmp_path)


def test_a_missing_folder_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    with pytest.raises(MissingInputError, match="Did you mean 'quickstart'"):
        load_model(tmp_path / "quickstrat")


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match=r"no config\.json"):
        load_model(tmp_path)


def test_pickles_are_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickles") as caught:
        load_model(tmp_path)
    assert caught.value.given == "pytorch_model.bin"


def test_a_config_alone_is_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    model.config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds no weights"):
        load_model(tmp_path)


def test_code_in_a_model_folder_is_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="runs none from model folders"):
        load_model(tmp_path)


def test_damaged_files_are_named(model: PreTrainedModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CorruptArtifactError, match="weights cannot be read"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="configuration cannot be read"):
        load_model(tmp_path)


def test_an_unknown_architecture_is_named(model: PreTrainedModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt99"}))
    with pytest.raises(InputError, match="gpt99"):
        load_model(tmp_path)


def test_an_artifact_is_checked_first(
    model: PreTrainedModel, tokenizer_path: Path, tmp_path: Path
) -> None:
    with write_artifact(tmp_path / "model", "model") as draft:
        save_model(model, tokenizer_path, draft.path)
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match="checksum"):
        load_model(tmp_path / "model")

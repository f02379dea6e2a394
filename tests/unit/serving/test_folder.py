"""Which folders a model is found in, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.tiny_models import save_folder, tiny_gpt2

from hunmin.core.artifact import write_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
)
from hunmin.serving.folder import find_model_folder, load_engine, model_name
from hunmin.serving.spec import SamplingParams


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a finished model artifact."""
    run = tmp_path_factory.mktemp("runs") / "small-ko"
    with write_artifact(run / "model", "model") as draft:
        save_folder(tiny_gpt2(448), draft.path)
    with write_artifact(run / "tokenizer", "tokenizer") as draft:
        (draft.path / "tokenizer.json").write_text("{}", encoding="utf-8")
    return run


def test_a_model_is_found_by_its_folder_and_by_its_run(run_folder: Path) -> None:
    model_folder = run_folder / "model"
    assert find_model_folder(model_folder) == model_folder
    assert find_model_folder(run_folder) == model_folder
    assert model_name(run_folder) == model_name(model_folder) == "small-ko"


def test_a_plain_hugging_face_folder_is_a_model(tmp_path: Path) -> None:
    folder = save_folder(tiny_gpt2(448), tmp_path / "gpt2-tiny")
    assert find_model_folder(folder) == folder
    assert model_name(folder) == "gpt2-tiny"


def test_a_model_that_was_found_writes(run_folder: Path) -> None:
    with load_engine(run_folder) as engine:
        [answer] = engine.generate(["자유"], SamplingParams(max_tokens=3, min_tokens=3))
    assert len(answer.tokens) == 3


def test_another_artifact_is_named(run_folder: Path) -> None:
    with pytest.raises(ArtifactKindError, match="there is no model here") as caught:
        find_model_folder(run_folder / "tokenizer")
    assert "given:   a tokenizer artifact" in str(caught.value)


def test_what_a_folder_holds_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match="given:   an empty folder"):
        find_model_folder(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(ArtifactKindError, match=r"a folder with corpus, recipe\.yaml") as caught:
        find_model_folder(tmp_path)
    assert "hunmin run RECIPE" in str(caught.value)
    with pytest.raises(ArtifactKindError, match="given:   a file"):
        find_model_folder(tmp_path / "recipe.yaml")


def test_a_wrong_name_gets_a_suggestion(run_folder: Path) -> None:
    with pytest.raises(MissingInputError, match="Did you mean 'small-ko'"):
        find_model_folder(run_folder.with_name("smal-ko"))


def test_a_damaged_model_is_not_loaded(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (run_folder / "model").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors"):
        load_engine(folder)


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    folder = save_folder(tiny_gpt2(448), tmp_path / "model")
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')\nclass Config: pass\nclass Model: pass\n"
    (folder / "trap.py").write_text(code, encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match="Python code of its own"):
        load_engine(folder)
    assert not marker.exists()

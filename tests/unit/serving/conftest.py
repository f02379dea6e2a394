from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.tiny_models import tiny_gpt2, tiny_qwen3, tiny_tokenizer
from tests.support.tiny_nlu import (
    save_own_answers,
    save_tiny_nlu,
    tiny_config,
    tiny_modernbert,
    tiny_texts,
)
from transformers import PreTrainedModel

from hunmin.adapt.nlu.model import load_nlu_model
from hunmin.serving.engine import Engine
from hunmin.serving.export.export import export_onnx
from hunmin.serving.export.spec import ExportSpec
from hunmin.serving.nlu.engine import NluEngine
from hunmin.tokenizer.load import TextTokenizer

PADDED_VOCAB_SIZE = 448


@pytest.fixture(scope="session")
def tokenizer() -> TextTokenizer:
    return tiny_tokenizer()


@pytest.fixture(scope="session", params=["gpt2", "qwen3"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Each test with a model runs with both families."""
    build = tiny_gpt2 if request.param == "gpt2" else tiny_qwen3
    return build(PADDED_VOCAB_SIZE)


@pytest.fixture
def engine(model: PreTrainedModel, tokenizer: TextTokenizer) -> Iterator[Engine]:
    with Engine(model, tokenizer, num_rows=4) as engine:
        yield engine


@pytest.fixture(scope="session")
def gpt2() -> PreTrainedModel:
    """A model whose context is long enough to be still busy when somebody hangs up."""
    return tiny_gpt2(PADDED_VOCAB_SIZE, context=4096)


@dataclass(frozen=True)
class Exported:
    """A trained NLU model that is right on all of its data, and its export."""

    model: Path
    data: Path
    folder: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Made once: tracing takes seconds even for the smallest network."""
    folder = tmp_path_factory.mktemp("assistant")
    config = tiny_config(pooling="mean")
    model = save_tiny_nlu(folder / "nlu", config, tiny_modernbert())
    data = save_own_answers(load_nlu_model(model), folder / "data", tiny_texts())
    export_onnx(ExportSpec(max_drop=100), model, folder / "export", data=[data])
    return Exported(model, data, folder / "export")


@pytest.fixture(scope="session")
def parser(exported: Exported) -> NluEngine:
    return NluEngine.load(exported.folder)

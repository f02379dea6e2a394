from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.tiny_models import tiny_gpt2, tiny_qwen3, tiny_tokenizer
from transformers import PreTrainedModel

from hunmin.serving.engine import Engine
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

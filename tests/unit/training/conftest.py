"""A tokenizer, shards and a job that trains in a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer
from hunmin.training.spec import TrainSpec
from hunmin.training.job import TrainJob

DATA = DataSpec(context=32, num_workers=1)
MODEL = ModelSpec(layers=2, width=64)
TRAIN = TrainSpec(
    duration="6 steps",
    batch_tokens=256,
    microbatch_tokens=128,
    evaluate_every=2,
    evaluation_tokens=128,
    checkpoint_every=2,
    log_every=1,
    precision="fp32",
    threads=1,
)


@pytest.fixture(scope="session")
def tokenizer_and_tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    folder = tmp_path_factory.mktemp("training")
    rows = [
        document(f"{number}: {text}", language)
        for number in range(8)
        for language, texts in SENTENCES.items()
        for text in texts
    ]
    splits = {"train": rows[:-16], "validation": rows[-16:]}
    documents = write_documents(folder / "documents", splits)
    tokenizer = train_tokenizer(TokenizerSpec(vocab_size=300), documents, folder / "tokenizer")
    return tokenizer, write_shards(DATA, documents, tokenizer, folder / "tokens")


@pytest.fixture
def make_job(tokenizer_and_tokens: tuple[Artifact, Artifact], tmp_path: Path):
    tokenizer, tokens = tokenizer_and_tokens

    def make(name: str = "run", model: ModelSpec = MODEL, **changes: object) -> TrainJob:
        return TrainJob(
            train=TRAIN.model_validate({**TRAIN.model_dump(), **changes}),
            model=model,
            data=DATA,
            tokens=tokens,
            tokenizer=tokenizer,
            folder=tmp_path / name / "train",
            output=tmp_path / name / "model",
            recipe={},
        )

    return make

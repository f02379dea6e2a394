"""A tokenizer, shards and a job that trains in a second."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import Artifact
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer
from hunmin.training.job import TrainJob
from hunmin.training.spec import TrainSpec
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

DATA = DataSpec(context=32, num_workers=1)
TOKENIZER = TokenizerSpec(vocab_size=300)
MODEL = ModelSpec(layers=2, width=64, heads=2, kv_heads=2)
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


def tokenizer_and_tokens(
    folder: Path, spec: TokenizerSpec = TOKENIZER
) -> tuple[Artifact, Artifact]:
    """Write a tokenizer and token shards of sentences in several languages."""
    rows = [
        document(f"{number}: {text}", language)
        for number in range(8)
        for language, texts in SENTENCES.items()
        for text in texts
    ]
    splits = {"train": rows[:-16], "validation": rows[-16:]}
    documents = write_documents(folder / "documents", splits)
    tokenizer = train_tokenizer(spec, documents, folder / "tokenizer")
    return tokenizer, write_shards(DATA, documents, tokenizer, folder / "tokens")


def tiny_job(
    inputs: tuple[Artifact, Artifact], folder: Path, model: ModelSpec = MODEL, **train: object
) -> TrainJob:
    """Return a job of six steps; `train` overrides keys of its section."""
    tokenizer, tokens = inputs
    return TrainJob(
        train=TrainSpec.model_validate({**TRAIN.model_dump(), **train}),
        model=model,
        data=DATA,
        tokens=tokens,
        tokenizer=tokenizer,
        folder=folder / "train",
        output=folder / "model",
        recipe={},
    )

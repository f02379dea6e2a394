import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hunmin.core.artifact import load_artifact, write_artifact
from hunmin.corpus.documents import DOCUMENT_SCHEMA
from hunmin.evaluation.bootstrap import Summary
from hunmin.evaluation.results import MODEL, NGRAM, ORDER_ZERO, BaselineFacts, Report

DOCUMENT = {"copies": 1} | {"source": "test", "license": "CC0-1.0", "group": "g", "meta": "{}"}


def _score_table(languages=("de", "ko"), num_documents=60, num_groups=20, seed=0):
    """Scores of made-up documents; the model is better than the 5-gram everywhere."""
    generator = np.random.default_rng(seed)
    num_bytes = generator.integers(5, 50, num_documents)
    noise = generator.uniform(0.5, 1.5, num_documents)
    return pa.table(
        {
            "id": [f"document {i}" for i in range(num_documents)],
            "language": [languages[i % len(languages)] for i in range(num_documents)],
            "source": ["intents"] * num_documents,
            "group": [f"group {i % num_groups}" for i in range(num_documents)],
            "num_bytes": num_bytes,
            "num_tokens": num_bytes // 3 + 1,
            f"{MODEL}_nats": num_bytes * noise,
            f"{NGRAM}_nats": num_bytes * noise * 1.25,
            f"{ORDER_ZERO}_nats": num_bytes * 4.0,
        }
    )


def _make_report(scores=None, **arguments):
    scores = _score_table(**arguments) if scores is None else scores
    summary = Summary(scores, num_resamples=100, seed=0)
    return Report(
        split="validation",
        model="a" * 64,
        documents="b" * 64,
        precision="fp32",
        num_available_documents=10 * len(scores),
        num_resamples=100,
        baselines=BaselineFacts(
            order=5,
            smoothing="names of estimates",
            num_documents=1000,
            num_bytes=30_000,
            num_available_bytes=60_000,
            num_ngrams=7_000,
        ),
        overall=summary.overall(),
        language_mean=summary.language_mean(),
        by_language=summary.by_language(),
        by_source=summary.by_source(),
    )


def _step_record(step, loss=2.0, **values):
    record = {"event": "step", "step": step, "tokens": 64 * step, "loss": loss}
    return record | {"tokens_per_second": 100.0, "seconds": 0.5 * step} | values


def _evaluation_record(step, loss=2.5):
    record = {"event": "evaluation", "step": step, "tokens": 64 * step, "split": "validation"}
    return record | {"loss": loss, "bits_per_byte": loss / 2, "seconds": 0.5 * step}


def _write_run(folder, records=None, *, num_steps=50):
    """A run folder as the pipeline and the training loop leave it."""
    if records is None:
        records = [{"event": "start", "resumed_step": 0, "parameters": 5_000_000, "device": "cpu"}]
        records += [_step_record(step, 5.0 / step**0.2) for step in range(1, num_steps + 1)]
        records += [_evaluation_record(step, 5.2 / step**0.2) for step in range(10, num_steps, 10)]
    train = folder / "train"
    train.mkdir(parents=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (train / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    plan = {"identity": "x", "plan": {"num_steps": num_steps}}
    (train / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "recipe.yaml").write_text(f"name: {folder.name}\n", encoding="utf-8")
    return folder


@pytest.fixture
def write_documents(tmp_path):
    """A documents artifact of rows that say what matters to the test."""

    def write(train=(), validation=()):
        with write_artifact(tmp_path / "corpus", "documents") as draft:
            for split, rows in (("train", train), ("validation", validation)):
                (draft.path / split).mkdir()
                rows = [DOCUMENT | row for row in rows]
                table = pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)
                pq.write_table(table, draft.path / split / "part-00000.parquet")
        return load_artifact(tmp_path / "corpus", "documents")

    return write


@pytest.fixture
def score_table():
    return _score_table


@pytest.fixture
def make_report():
    return _make_report


@pytest.fixture
def step_record():
    return _step_record


@pytest.fixture
def evaluation_record():
    return _evaluation_record


@pytest.fixture
def write_run():
    return _write_run


@pytest.fixture
def run_folder(tmp_path):
    return _write_run(tmp_path / "runs" / "first")

import math
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hunmin.core.artifact import load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError, MissingExtraError
from hunmin.evaluation.bootstrap import Summary
from hunmin.evaluation.evaluate import evaluate_model
from hunmin.evaluation.model_scores import score_texts
from hunmin.evaluation.results import MODEL, NGRAM, ORDER_ZERO, SYSTEMS, read_report
from hunmin.evaluation.spec import EvaluateSpec
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

CONTEXT = 32
SPEC = EvaluateSpec(precision="fp32", num_resamples=100, microbatch_tokens=4 * CONTEXT)
SENTENCES = {
    "ko": "{}번 방의 불을 켜 줘",
    "en": "turn on light number {}",
    "de": "schalte Licht {} bitte ein",
}


def rows(count, start=0):
    return [
        {
            "id": f"{language} {i}",
            "text": sentence.format(i),
            "language": language,
            "group": f"{language} {i // 2}",
        }
        for language, sentence in SENTENCES.items()
        for i in range(start, start + count)
    ]


@pytest.fixture
def documents(write_documents):
    return write_documents(train=rows(40), validation=rows(12, start=40))


@pytest.fixture
def model(documents, tmp_path):
    """A tiny GPT-2 with random weights and a tokenizer of the documents."""
    from transformers import GPT2Config, GPT2LMHeadModel

    spec = TokenizerSpec(vocab_size=280)
    tokenizer = train_tokenizer(spec, documents, tmp_path / "tokenizer")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=320,
        n_positions=CONTEXT,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    network = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4.0)
    with write_artifact(tmp_path / "model", "model", inputs=[tokenizer]) as draft:
        network.save_pretrained(draft.path)
        for file in tokenizer.manifest.files:
            (draft.path / file).write_bytes((tokenizer.path / file).read_bytes())
    return load_artifact(tmp_path / "model", "model")


@torch.inference_mode()
def slow_nats(model, text):
    """The score of one text on its own, straight from the logits."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model.path).eval()
    tokenizer = load_tokenizer(model.path)
    ids = [tokenizer.boundary_id, *tokenizer.encode(text), tokenizer.boundary_id]
    log_probabilities = network(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
    return -sum(float(log_probabilities[i, token]) for i, token in enumerate(ids[1:]))


def test_scores_equal_those_of_each_text_on_its_own(model):
    texts = ["3번 방의 불을 켜 줘", "", "a", "schalte Licht 7 bitte ein", "불"]
    found = score_texts(model, texts, SPEC)
    expected = [slow_nats(model, text) for text in texts]
    np.testing.assert_allclose(found.nats, expected, rtol=1e-4)
    tokenizer = load_tokenizer(model.path)
    assert found.num_tokens.tolist() == [len(tokenizer.encode(text)) + 1 for text in texts]
    assert found.precision == "fp32"


def test_scores_do_not_depend_on_company_or_on_the_size_of_a_batch(model, monkeypatch):
    texts = [row["text"] for row in rows(8)]
    together = score_texts(model, texts, SPEC)
    alone = [score_texts(model, [text], SPEC).nats[0] for text in texts[:3]]
    np.testing.assert_allclose(together.nats[:3], alone, rtol=1e-4)
    small = score_texts(model, texts, SPEC.model_copy(update={"microbatch_tokens": CONTEXT}))
    np.testing.assert_allclose(together.nats, small.nats, rtol=1e-4)
    monkeypatch.setattr("hunmin.evaluation.model_scores.TEXTS_AT_ONCE", 5)
    np.testing.assert_allclose(together.nats, score_texts(model, texts, SPEC).nats, rtol=1e-4)


def test_a_text_longer_than_the_context_is_scored_whole(model):
    text = " ".join(row["text"] for row in rows(4))
    found = score_texts(model, [text], SPEC)
    num_tokens = len(load_tokenizer(model.path).encode(text)) + 1
    assert num_tokens > 2 * CONTEXT
    assert found.num_tokens.tolist() == [num_tokens]
    assert found.nats[0] > 0.5 * num_tokens


def test_report_stands_on_the_scores_of_its_documents(model, documents, tmp_path, write_run):
    run_folder = write_run(tmp_path / "run")
    artifact = evaluate_model(
        SPEC, model, documents, tmp_path / "report", run_dir=run_folder / "train", recipe={"a": 1}
    )
    assert {"report.json", "report.md", "documents.parquet"} <= set(artifact.manifest.files)
    assert {"languages.svg", "languages.png", "loss.svg", "loss.png"} <= set(
        artifact.manifest.files
    )
    assert [record.kind for record in artifact.manifest.inputs] == ["model", "documents"]
    assert artifact.manifest.recipe == {"a": 1}
    report = read_report(artifact.path)
    again = Summary(
        pq.read_table(artifact.path / "documents.parquet"), num_resamples=100, seed=SPEC.seed
    )
    assert again.overall() == report.overall
    assert again.by_language() == report.by_language
    assert set(report.by_language) == set(SENTENCES)
    assert report.overall.num_documents == report.num_available_documents == 36
    assert report.overall.num_groups == 18
    assert (
        artifact.facts["bits_per_byte"][MODEL] == report.overall.scores[MODEL].bits_per_byte.value
    )


def test_systems_stand_in_the_order_that_theory_demands(model, documents, tmp_path):
    artifact = evaluate_model(SPEC, model, documents, tmp_path / "report")
    scores = read_report(artifact.path).overall.scores
    bits = {system: scores[system].bits_per_byte.value for system in SYSTEMS}
    # Sentences of three templates: five bytes say much, one says little, random weights mislead.
    assert bits[NGRAM] < 0.5 * bits[ORDER_ZERO] < bits[MODEL]
    assert bits[ORDER_ZERO] < math.log2(257) * 1.1
    assert "loss.svg" not in artifact.manifest.files


def test_equal_inputs_give_equal_reports(model, documents, tmp_path):
    spec = SPEC.model_copy(update={"max_documents_per_language": 5})
    first, second = (
        evaluate_model(spec, model, documents, tmp_path / name) for name in ("first", "second")
    )
    assert first.digest == second.digest
    assert read_report(first.path).overall.num_documents == 15


def test_missing_matplotlib_is_said_before_any_work(model, documents, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("hunmin.evaluation.evaluate.draw_documents", pytest.fail)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        evaluate_model(SPEC, model, documents, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_an_empty_validation_split_leaves_no_report(model, write_documents, tmp_path):
    documents = write_documents(train=rows(3))
    with pytest.raises(EmptyCorpusError, match="no document in the validation split"):
        evaluate_model(SPEC, model, documents, tmp_path / "report")
    assert not (tmp_path / "report").exists()

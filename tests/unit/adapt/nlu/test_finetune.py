"""Fine-tuning from a random body: what is learnt, chosen by, resumed, refused and said."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from hunmin.adapt.nlu.config import HEADS_FILE
from hunmin.adapt.nlu.data_set import read_data
from hunmin.adapt.nlu.examples import epoch_batches
from hunmin.adapt.nlu.finetune import finetune
from hunmin.adapt.nlu.fit import Fit
from hunmin.adapt.nlu.massive_files import read_folder, write_folder
from hunmin.adapt.nlu.model import load_nlu_model
from hunmin.adapt.nlu.predictions import score_files
from hunmin.adapt.nlu.report import NluReport
from hunmin.adapt.nlu.spec import NluSpec, nlu_presets
from hunmin.adapt.nlu.utterances import make_utterance
from hunmin.core.artifact import Artifact
from hunmin.core.errors import (
    ArtifactMismatchError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
    TrainingDivergedError,
)


def settings(data: Path | None, **keys: object) -> NluSpec:
    small = {"epochs": 12, "batch_size": 8, "learning_rate": 5e-3, "pooling": "mean"}
    folders = () if data is None else (data,)
    machine = {"precision": "fp32", "threads": 1}
    return NluSpec.model_validate(
        {"data": folders, "train_locales": ("en",), **small, **machine, **keys}
    )


@pytest.fixture(scope="module")
def trained(
    data_folder: Path, body_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """A model trained on English alone, with a chain over its tags."""
    output = tmp_path_factory.mktemp("trained") / "nlu"
    return finetune(settings(data_folder, crf=True), body_folder, output)


def report_of(artifact: Artifact) -> NluReport:
    return NluReport.model_validate_json((artifact.path / "report.json").read_bytes())


def test_a_model_learns_its_locale_and_is_tested_on_the_others(trained: Artifact) -> None:
    report = report_of(trained)
    assert report.trained is not None
    assert report.zero_shot is not None
    # The room of the test utterances ("attic") is in none of the training utterances.
    assert report.trained.intent_accuracy.value == 1.0
    assert report.zero_shot_locales == ("ko",)
    assert report.zero_shot.exact_match.value < report.trained.intent_accuracy.value
    assert report.linear.locales["en"].intent_accuracy.value == 1.0
    assert report.constant.locales["en"].intent_accuracy.value == pytest.approx(0.5)
    assert report.parameters["embeddings"] == 448 * 32
    assert trained.facts["zero_shot_exact_match"] == report.zero_shot.exact_match.value


def test_the_report_says_on_which_labels_the_model_was_chosen(
    trained: Artifact, data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    text = (trained.path / "report.md").read_text()
    assert "dev partition of en: no label of another locale had a say" in text
    spec = settings(data_folder, selection_locales=("en", "ko"), epochs=1)
    other = finetune(spec, body_folder, tmp_path / "nlu", folder=tmp_path / "named")
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["metrics.jsonl"]
    assert not (trained.path.parent / "nlu-run").exists(), "nobody named it"
    assert "their scores are not zero-shot" in (other.path / "report.md").read_text()
    assert report_of(other).zero_shot is None


def test_the_kept_epoch_is_the_best_on_dev(trained: Artifact) -> None:
    lines = (trained.path / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    scores = [record for record in records if record["event"] == "evaluation"]
    keys = ("exact_match", "intent_accuracy", "slot_f1")
    best = max(scores, key=lambda record: [record[key] for key in keys])
    assert report_of(trained).dev == {key: best[key] for key in keys}
    assert report_of(trained).best_epoch == best["epoch"]
    losses = [record["loss"] for record in records if record["event"] == "epoch"]
    assert losses[-1] < losses[0] / 4


def test_scores_can_be_computed_again_from_the_predictions(
    trained: Artifact, data_folder: Path
) -> None:
    assert score_files(trained.path / "predictions", data_folder) == report_of(trained).scores


def test_the_folder_parses_with_characters(trained: Artifact) -> None:
    model = load_nlu_model(trained.path)
    assert model.transitions is not None
    (parse,) = model.parse(["turn on the garage light"], "en")
    assert parse.intent == "turn_on"
    assert [(slot.type, slot.value, slot.first_character) for slot in parse.slots] == [
        ("room", "garage", 12)
    ]
    (long,) = model.parse(["turn on the garage light " * 400])
    assert long.truncated_at is not None
    assert long.truncated_at < 1000


def test_a_stopped_run_goes_on_to_the_same_weights(
    data_folder: Path, body_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = settings(data_folder, epochs=3)
    whole = finetune(spec, body_folder, tmp_path / "whole")
    record = Fit._record

    def stop_in_third(fit: Fit, event: str, **values: object) -> None:
        if event == "epoch" and fit.state.epoch == 3:
            raise KeyboardInterrupt
        record(fit, event, **values)

    monkeypatch.setattr(Fit, "_record", stop_in_third)
    with pytest.raises(KeyboardInterrupt):
        finetune(spec, body_folder, tmp_path / "parts")
    monkeypatch.undo()
    steps: list[int] = []
    step = Fit._step

    def counted(fit: Fit, rows: np.ndarray) -> dict[str, float]:
        steps.append(fit.state.step)
        return step(fit, rows)

    monkeypatch.setattr(Fit, "_step", counted)
    parts = finetune(spec, body_folder, tmp_path / "parts")
    assert steps[0] == 2 * len(steps), "it began anew"
    for name in ("model.safetensors", HEADS_FILE):
        once, again = load_file(whole.path / name), load_file(parts.path / name)
        assert all(torch.equal(once[key], again[key]) for key in once)
    assert not (tmp_path / "parts-run/checkpoint").exists()


def test_a_student_learns_from_a_teacher_with_its_labels(
    trained: Artifact, data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    spec = settings(data_folder, teacher=trained.path, teacher_weight=1.0, epochs=2)
    student = finetune(spec, body_folder, tmp_path / "student")
    first = json.loads((student.path / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(first["teacher_loss"])
    assert {record.kind for record in student.manifest.inputs} == {"nlu-model"}
    foreign = make_utterance(id="0", locale="en", partition="train", intent="odd", utt="odd")
    rows = read_folder(data_folder, locales=["en"])["en"]
    write_folder(tmp_path / "data", [*rows, foreign])
    with pytest.raises(ArtifactMismatchError, match="other labels") as caught:
        finetune(settings(tmp_path / "data", teacher=trained.path), body_folder, tmp_path / "x")
    assert "odd" in str(caught.value)


def test_a_loss_that_is_no_number_ends_the_run(
    data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    spec = settings(data_folder, learning_rate=1e35, warmup=0.0)
    with pytest.raises(TrainingDivergedError, match=r"lower nlu\.learning_rate"):
        finetune(spec, body_folder, tmp_path / "nlu")
    assert not (tmp_path / "nlu").exists()


def test_what_cannot_be_learnt_is_said_and_left_out(
    data_folder: Path, body_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = read_folder(data_folder, locales=["en"])["en"]
    greeting = functools.partial(make_utterance, locale="en", partition="train", intent="greet")
    shared = "[room : attic][time : noon]"
    double = greeting(id="double", utt="atticnoon", annot_utt=shared)
    long = greeting(id="long", utt="hello " * 1700)
    write_folder(tmp_path / "data", [*rows, double, long])
    spec = settings(tmp_path / "data", labelling="first", epochs=1)
    artifact = finetune(spec, body_folder, tmp_path / "nlu")
    report = report_of(artifact)
    assert "1 in training" in (artifact.path / "report.md").read_text()
    assert report.training["left_out_two_slots_on_one_tag"] == 1
    assert report.training["truncated"] == 1
    assert "1 utterances are left out" in caplog.text
    assert "read only in part" in caplog.text


def test_locales_without_data_are_refused(
    data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    def run(data: Path | None = data_folder, **keys: object) -> None:
        finetune(settings(data, **keys), body_folder, tmp_path / "nlu")

    with pytest.raises(InputError, match="no labelled utterances"):
        run(None)
    with pytest.raises(MissingInputError, match="no data for the locale 'kr'"):
        run(test_locales=("kr",))
    with pytest.raises(MissingInputError, match=r"no LOCALE\.jsonl"):
        run(tmp_path)
    with pytest.raises(EmptyCorpusError, match="ko has no utterance in the partition 'gold'"):
        run(test_locales=("ko",), test_partition="gold")
    with pytest.raises(EmptyCorpusError, match="no locale has an utterance") as caught:
        run(test_partition="gold")
    assert "test_partition=dev (nlu.test_partition)" in str(caught.value)
    assert "--train" not in str(caught.value)
    with pytest.raises(EmptyCorpusError, match="no locale has an utterance"):
        run(test_partition="gold")


def test_a_decoder_is_read_at_its_last_token(
    data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    decoder = GPT2LMHeadModel(GPT2Config(vocab_size=448, n_embd=32, n_layer=1, n_head=2))
    decoder.save_pretrained(tmp_path / "body")
    shutil.copy(body_folder / "tokenizer.json", tmp_path / "body")
    with pytest.raises(InputError, match="first token does not see"):
        finetune(settings(data_folder, pooling="first"), tmp_path / "body", tmp_path / "nlu")
    spec = settings(data_folder, pooling="last", epochs=1)
    assert finetune(spec, tmp_path / "body", tmp_path / "nlu").facts["best_epoch"] == 1


def test_presets_are_the_published_ones_until_a_key_replaces_theirs() -> None:
    spec = NluSpec(preset="xlmr-zero-shot", epochs=3)
    assert (spec.learning_rate, spec.epochs, spec.batch_size) == (4.7e-6, 3, 1024)
    assert (spec.betas, spec.pooling, spec.feature_layer) == ((0.99, 0.9999), "max", 11)
    assert spec.freeze_embeddings
    constant = spec.schedule_of(2000)
    assert (constant.warmup, constant.decay) == (0.25, 0.0)  # type: ignore[union-attr]
    assert spec.schedule_of(600).warmup == 0.5, "a short run must not be all warm-up"
    linear = NluSpec(warmup=0.1).schedule_of(100)
    assert linear.decay == pytest.approx(0.9)  # type: ignore[union-attr]
    small = nlu_presets()["small"]
    defaults = {name: field.default for name, field in NluSpec.model_fields.items()}
    written = NluSpec.model_validate(small).model_dump()
    assert {name: written[name] for name in small} == {name: defaults[name] for name in small}
    with pytest.raises(ValueError, match="Did you mean 'xlmr-full'"):
        NluSpec(preset="xlmr-ful")


def test_frozen_embeddings_stay(data_folder: Path, body_folder: Path, tmp_path: Path) -> None:
    spec = settings(data_folder, freeze_embeddings=True, epochs=1)
    artifact = finetune(spec, body_folder, tmp_path / "nlu")
    key = "embeddings.word_embeddings.weight"
    before = load_file(body_folder / "model.safetensors")[f"roberta_prelayernorm.{key}"]
    after = load_file(artifact.path / "model.safetensors")
    assert torch.equal(before, after[key])


def test_a_share_of_each_locale_is_drawn(data_folder: Path) -> None:
    spec = settings(data_folder, train_locales=("en", "ko"), max_train_utterances=5)
    drawn = [(made.locale, made.id) for made in read_data(spec).train]
    assert [locale for locale, _ in drawn] == ["en"] * 5 + ["ko"] * 5
    other = [(made.locale, made.id) for made in read_data(settings(data_folder)).train]
    assert set(drawn[:5]) < set(other)
    assert drawn == [(made.locale, made.id) for made in read_data(spec).train]


def test_a_language_without_dev_partition_has_no_say_in_the_epoch(
    data_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(data_folder, tmp_path / "data")
    lines = (folder / "ko.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["partition"] != "dev"]
    (folder / "ko.jsonl").write_text("\n".join(kept), encoding="utf-8")
    found = read_data(settings(folder, train_locales=("en", "ko")))
    assert (found.train_locales, found.selection_locales) == (("en", "ko"), ("en",))
    with pytest.raises(
        EmptyCorpusError, match="ko has no utterance in the partition 'dev'"
    ) as caught:
        read_data(settings(folder, train_locales=("ko",)))
    assert "--select (nlu.selection_locales)" in str(caught.value)
    (folder / "ko.jsonl").write_text(kept[-1], encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match=r"partition 'train'") as caught:
        read_data(settings(folder, train_locales=("ko",)))
    assert "--train (nlu.train_locales)" in str(caught.value)


def test_an_epoch_has_each_example_once_in_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, size=500)
    batches = list(epoch_batches(lengths, 16, seed=1, epoch=0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 8
    again = list(epoch_batches(lengths, 16, seed=1, epoch=1))
    assert any(set(a.tolist()) != set(b.tolist()) for a, b in zip(batches, again, strict=True))

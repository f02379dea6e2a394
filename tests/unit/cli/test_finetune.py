"""`hunmin finetune`: teaches its use, prints folders or JSON, names what is wrong."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.adapt.nlu.conftest import body_folder as body_folder
from tests.unit.adapt.nlu.conftest import labelled

from hunmin.adapt.nlu.massive_files import write_folder
from hunmin.cli.finetune import command
from hunmin.core.errors import InputError, RecipeError


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_folder(tmp_path / "data", [*labelled("en"), *labelled("ko")])
    return tmp_path / "data"


def test_a_model_is_trained_and_its_predictions_scored(
    data: Path, body_folder: Path, tmp_path: Path
) -> None:
    said = run(
        *("nlu", body_folder, "--data", data, "--train", "en", "--out", tmp_path / "nlu"),
        *("--json", "epochs=1", "batch_size=8", "threads=1", "precision=fp32"),
    )
    facts = json.loads(said.stdout)
    assert facts["kind"] == "nlu-model"
    assert facts["train_locales"] == ["en"]
    table = run("score", tmp_path / "nlu/predictions", "--data", data)
    assert table.stdout.splitlines()[0].split() == [
        *("locale", "utterances", "intent", "accuracy", "slot", "F1", "exact", "match")
    ]
    scores = run("score", tmp_path / "nlu/predictions", "--data", data, "--json")
    mean = json.loads(scores.stdout)["mean"]
    assert mean["exact_match"]["value"] == facts["exact_match"]


def test_examples_of_the_help_work_with_samples_as_they_stand(
    body_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hunmin samples` writes partitions train and dev, but no test."""
    samples = [one for name in ("en", "ko") for one in labelled(name) if one.partition != "test"]
    write_folder(tmp_path / "samples/massive", samples)
    monkeypatch.chdir(tmp_path)
    pages = [run("--help"), run("nlu", "--help"), run("score", "--help"), run("search", "--help")]
    shown = {line.strip() for page in pages for line in page.output.splitlines()}
    examples = sorted(line for line in shown if re.match("hunmin finetune .*samples/massive", line))
    assert [line.split()[2] for line in examples] == ["nlu", "score"]
    quick = ("epochs=1", "batch_size=8", "threads=1", "precision=fp32")
    nlu, score = [shlex.split(line.replace("BODY", str(body_folder)))[2:] for line in examples]
    assert run(*nlu, *quick).exit_code == 0
    assert "exact match" in run(*score).output
    assert not (tmp_path / "nlu-run").exists(), "the model has its metrics"
    assert (tmp_path / "nlu/metrics.jsonl").is_file()


def test_settings_that_are_none_are_named(data: Path, tmp_path: Path) -> None:
    start = ("nlu", tmp_path, "--data", data, "--out", tmp_path / "nlu")
    with pytest.raises(RecipeError, match=r"epoch: unknown key\. Did you mean 'epochs'"):
        run(*start, "epoch=3")
    with pytest.raises(RecipeError, match="Did you mean 'xlmr-full'"):
        run(*start, "--preset", "xlmr-ful")
    said = run(*start, "epochs")
    assert said.exit_code == 2
    assert "no KEY=VALUE" in said.output


def test_another_data_set_becomes_a_folder(tmp_path: Path) -> None:
    good = '{"tokens": ["rain"], "slots": ["O"], "intent": "find"}\n'
    (tmp_path / "en.train.jsonl").write_text(good + good.replace('"O"', '"Q"'))
    said = run("data", "xsid", tmp_path, "--out", tmp_path / "out", "--skip-malformed", "--json")
    facts = json.loads(said.stdout)
    assert facts["utterances"] == {"en train": 1}
    assert facts["left_out"] == 1
    assert (tmp_path / "out/en.jsonl").is_file()
    with pytest.raises(InputError, match="leave all such records out with --skip-malformed"):
        run("data", "xsid", tmp_path, "--out", tmp_path / "out")


def test_several_intents_become_one_label_and_what_that_costs_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = [
        {"text": "hello", "intents": ["greet"], "fold": 2},
        {"text": "change it", "intents": ["change", "booking"], "fold": 0},
        {"text": "hi, change it", "intents": ["greet", "change"], "fold": 1},
        {"text": "change my booking", "intents": ["booking", "change"], "fold": 1},
    ]
    file = tmp_path / "hotels.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    words = ("data", "nlupp", file, "--out", tmp_path / "out")
    facts = json.loads(run(*words, "--fold", "1", "--json").stdout)
    assert facts["utterances"] == {"en train": 1, "en test": 2, "en dev": 1}
    assert facts["test_with_unseen_intent"] == 1
    assert "1 of 2 test utterances have an intent that no train utterance has" in caplog.text
    with pytest.raises(InputError, match="no such fold"):
        run(*words, "--fold", "4")
    said = run("data", "xsid", tmp_path, "--out", tmp_path / "out", "--fold", "1")
    assert said.exit_code == 2
    assert "--fold is for nlupp" in said.output


def test_help_teaches() -> None:
    assert "hunmin finetune nlu" in run("--help").output
    assert "no label of another language" in " ".join(run("nlu", "--help").output.split())
    lines = run("data", "--help").output.splitlines()
    for form in ("xsid", "slurp", "nlupp"):
        assert any(f"finetune data {form}" in x and "--skip-malformed" in x for x in lines), form

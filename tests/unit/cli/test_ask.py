"""What `hunmin ask` prints, and what `hunmin serve` takes a folder for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.tiny_models import save_folder, tiny_gpt2
from tests.support.tiny_nlu import save_tiny_nlu

from hunmin.adapt.nlu.model import load_nlu_model
from hunmin.cli.ask import command
from hunmin.cli.serve_models import ServeRequest
from hunmin.core.artifact import write_artifact
from hunmin.core.errors import ArtifactKindError

SETTINGS = {"api_key": None, "num_rows": 1, "max_waiting": 1, "num_workers": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_nlu(tmp_path_factory.mktemp("run") / "nlu")


def ask(*words: object, stdin: str = "") -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], input=stdin)


def test_slots_are_marked_in_the_text_and_intents_ranked(model: Path) -> None:
    text = "거실 불 켜줘"
    [parse] = load_nlu_model(model).parse([text], "ko")
    shown = ask(model, text, "--locale", "ko", "--n-best", 2).output.splitlines()
    slot = parse.slots[0]
    assert f"[{slot.type} : {slot.value}]" in shown[0]
    assert [line.split() for line in shown[1:3]] == [
        [f"{score:.1%}", name] for name, score in parse.n_best[:2]
    ]
    assert shown[3].split()[0] == slot.type
    assert f"{slot.first_character}-{slot.end_character}" in shown[3]
    assert len(shown) == 3 + len(parse.slots)


def test_lines_of_stdin_become_json_lines(model: Path) -> None:
    out = ask(model, "-", "--json", stdin="a light\n불\n").output
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["text"] for record in records] == ["a light", "불"]
    assert set(records[0]) == {
        "index", "text", "intent", "score", "n_best", "slots", "truncated_at",
    }  # fmt: skip


def test_a_text_that_is_too_long_says_how_far_it_was_read(model: Path) -> None:
    assert "read up to character" in ask(model, "light " * 100).output.splitlines()[-1]


def test_no_text_is_an_error(model: Path) -> None:
    assert "stdin has no line" in ask(model, "-").output
    assert ask(model).exit_code == 2


def test_a_model_that_writes_labels_is_not_served(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "text", "nlu-text-model"):
        pass
    language_model = save_folder(tiny_gpt2(1200), tmp_path / "lm")
    for model, nlu in ((tmp_path / "text", None), (language_model, tmp_path / "text")):
        with pytest.raises(ArtifactKindError, match=r"(?s)writes its labels as text.*hunmin ask "):
            ServeRequest.of(model, nlu, name=None, **SETTINGS)


def test_serve_knows_an_nlu_model_by_its_folder(model: Path) -> None:
    alone = ServeRequest.of(model.parent, None, name=None, **SETTINGS)
    assert alone.language_model is None
    assert alone.nlu_model == (model.parent, model.parent.name)
    greeting = alone.greeting("http://127.0.0.1:1")
    assert "curl http://127.0.0.1:1/v1/nlu" in greeting
    assert "completions" not in greeting
    with pytest.raises(Exception, match="leave --nlu out"):
        ServeRequest.of(model, model, name=None, **SETTINGS)

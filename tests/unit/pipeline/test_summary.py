"""The end of a run names files and commands that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunmin.cli.run import program_name
from hunmin.core.artifact import load_artifact, write_artifact
from hunmin.pipeline.run import StageOutcome
from hunmin.pipeline.summary import summarize


def outcome(folder: Path, stage: str, kind: str, reason: str | None, **facts: str) -> StageOutcome:
    with write_artifact(folder / stage, kind) as draft:
        draft.facts |= {"parameters": 7_700_000, **facts}
    return StageOutcome(stage, load_artifact(folder / stage), reason, 61.0)


def test_a_finished_model_is_to_be_tried(tmp_path: Path) -> None:
    outcomes = [
        outcome(tmp_path, "data", "tokens", None),
        outcome(tmp_path, "train", "model", "its recipe changed"),
    ]
    text = summarize(outcomes, tmp_path, ".venv/bin/hunmin")
    assert "Finished in 1 min 01 s: data skipped, train 1 min 01 s" in text
    assert f"The model: {tmp_path / 'train'} (7.7M parameters)" in text
    commands = [line for line in text.splitlines() if line.startswith("  .venv/bin/hunmin ")]
    assert [command.split()[1] for command in commands] == ["generate", "chat", "serve"]


def test_without_a_model_there_is_something_to_look_at(tmp_path: Path) -> None:
    text = summarize([outcome(tmp_path, "data", "tokens", "you asked for it")], tmp_path)
    assert f"  hunmin inspect {tmp_path / 'data'}" in text


def test_the_program_is_named_as_it_can_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "hunmin")])
    assert program_name() == ".venv/bin/hunmin"
    monkeypatch.setattr("sys.argv", ["/somewhere/hunmin/__main__.py"])
    assert program_name().endswith(" -m hunmin")


def test_a_model_that_does_not_write_is_not_asked_to(tmp_path: Path) -> None:
    encoder = outcome(tmp_path, "train", "model", "it has not run yet", model_kind="encoder")
    text = summarize([encoder], tmp_path)
    assert f"  hunmin inspect {tmp_path / 'train'}" in text
    assert "generate" not in text

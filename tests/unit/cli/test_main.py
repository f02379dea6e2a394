"""What the command line makes of errors that no stage expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunmin.cli.main import run_cli


@pytest.mark.parametrize("run_dir", ["recipe.yaml/run", "x" * 300])
def test_a_run_folder_that_cannot_be_is_the_users_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run_dir: str
) -> None:
    (tmp_path / "text.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: tiny\ncorpus: {{sources: [{{kind: files, paths: ['{tmp_path}/text.txt']}}]}}\n",
        encoding="utf-8",
    )
    assert run_cli(["corpus", str(recipe), "--run-dir", str(tmp_path / run_dir)]) == 2
    assert "name another path" in capsys.readouterr().err


def test_a_place_that_takes_no_folders_is_the_users_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: tiny\ncorpus: {{sources: [{{kind: files, paths: ['{tmp_path}/text.txt']}}]}}\n",
        encoding="utf-8",
    )
    assert run_cli(["corpus", str(recipe), "--run-dir", "/proc/here"]) == 2
    assert "no folder can be made here" in capsys.readouterr().err


def test_wrong_values_are_told_each_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\ntrain: {batch_tokens: 64Q, duration: 3 days}\n", encoding="utf-8")
    assert run_cli(["train", str(recipe)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert any("recipe.yaml:2: train.batch_tokens: not a count (given: '64Q'" in li for li in lines)


def test_control_characters_in_a_recipe_are_told_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\ndescription: \x01\n", encoding="utf-8")
    assert run_cli(["run", str(recipe)]) == 2
    assert f"{recipe}:2" in capsys.readouterr().err

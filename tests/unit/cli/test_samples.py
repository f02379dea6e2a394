"""`hunmin samples`: a documents artifact and MASSIVE files without a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hunmin.cli.samples import command
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import InputError


def test_samples_are_written_and_their_folder_is_printed(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    arguments = ["--languages", "KO,en", "--per-language", "80", "--out", str(folder)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.stdout.strip() == str(folder)
    assert load_artifact(folder, "documents").facts["total"]["documents"] == 160
    assert {path.name for path in (folder / "massive").iterdir()} == {"ko.jsonl", "en.jsonl"}


def test_counts_are_printed_as_json(tmp_path: Path) -> None:
    arguments = [
        "--languages",
        "ko",
        "--per-language",
        "40",
        "--json",
        "--out",
        str(tmp_path / "s"),
    ]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["languages"]["ko"]["documents"] == 40


def test_name_of_a_language_is_no_tag(tmp_path: Path) -> None:
    arguments = ["--languages", "Korean", "--out", str(tmp_path / "s")]
    with pytest.raises(InputError, match="Did you mean 'ko'"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)

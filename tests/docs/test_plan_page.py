"""What the pages show of `hunmin plan` is what it prints."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from hunmin.cli.main import run_cli

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "docs" / "pictures" / "plan_output.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plan_output", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_is_printed(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert page.count("```console\n$ hunmin plan ") == 4
    assert script.rewritten(page) == page, f"run {SCRIPT.relative_to(REPOSITORY)}"


def test_a_block_that_lies_is_replaced(script: ModuleType) -> None:
    page = "```console\n$ hunmin plan --budget 7\nten models\n```\n"
    assert "a number of device hours needs its unit" in script.rewritten(page)


def test_other_commands_of_the_page_can_be_given(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    page = script.PAGE.read_text(encoding="utf-8")
    files = [block.split("```")[0] for block in page.split("```text\n# ")[1:]]
    for text in files:
        (tmp_path / text.splitlines()[0]).write_text(text.split("\n", 1)[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [block.split("```")[0] for block in page.split("```bash\n")[1:]]
    commands = [line.split("  #")[0] for block in lines for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        assert run_cli(shlex.split(command)[1:]) == 0, command

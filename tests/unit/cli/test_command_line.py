"""The command line: what it imports, how it ends, what it says."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hunmin.cli import main as main_module
from hunmin.cli.main import VERBS, cli, run_cli
from hunmin.core.errors import CorruptArtifactError, RecipeError

HEAVY = ("torch", "transformers", "pydantic", "pyarrow", "tokenizers", "rich", "numpy", "fastapi")


def imported_by(*command_lines: list[str]) -> set[str]:
    """Return the top-level modules that command lines import, in one fresh process."""
    code = (
        "import sys\n"
        "from hunmin.cli.main import run_cli\n"
        f"for arguments in {command_lines!r}: run_cli(arguments)\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(result.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    assert not imported_by(["--help"]) & set(HEAVY)


def test_help_of_verbs_imports_neither_torch_nor_transformers() -> None:
    assert not imported_by(*([verb, "--help"] for verb in VERBS)) & {"torch", "transformers"}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([verb, "--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Usage: hunmin ")
    assert len(output.splitlines()) > 5


def test_unknown_verbs_get_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["trian"]) == 2
    assert "No such verb 'trian'. Did you mean 'train'?" in capsys.readouterr().err


def test_unknown_commands_of_a_group_get_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["corpus", "chekc"]) == 2
    assert "No such command 'chekc'. Did you mean 'check'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (RecipeError("bad key", where="a.yaml:3"), 2, "error: a.yaml:3: bad key"),
        (CorruptArtifactError("damaged", where="x"), 1, "error: x: damaged"),
        (KeyboardInterrupt(), 1, "interrupted; what was reported saved is saved"),
        (click.exceptions.Abort(), 1, "interrupted; what was reported saved is saved"),
        (MemoryError(), 1, "error: out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 1, "no space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 2, "Permission denied"),
    ],
)
def test_errors_end_with_a_line_and_a_code(
    error: BaseException,
    exit_code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: command)
    assert run_cli(["doctor"]) == exit_code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_faults_of_hunmin_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: command)
    with pytest.raises(OSError, match="Input/output error"):
        run_cli(["doctor"])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hunmin, version ")


def test_verbs_of_the_table_exist() -> None:
    context = click.Context(cli)
    for verb in cli.list_commands(context):
        assert isinstance(cli.get_command(context, verb), click.Command)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "there is no such recipe"),
        (["inspect", "nowhere"], "there is no such artifact"),
        (["tokenizer", "inspect", "x", "--tokenizer", "nowhere"], "nowhere"),
        (["generate", "nowhere", "--prompt", "x"], "nowhere"),
        (["runs", "show", "nowhere"], "nowhere"),
    ],
)
def test_missing_paths_are_the_users_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(arguments) == 2
    assert message in capsys.readouterr().err

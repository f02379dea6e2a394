"""The scripts: what they pass on, when they install, and what they say when something is missing.

pip and hunmin themselves are replaced by programs that write down how they were called; that the
real ones work is shown by test_commands.py and by continuous integration, which starts bare.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    """A checkout whose pip and hunmin note their arguments in the file calls."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("scripts", "constraints"):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "pyproject.toml", folder)
    calls = folder / "calls"
    write_program(
        folder / ".venv" / "bin" / "python",
        f'if [ "$2 $3" = "pip install" ]; then echo "$@" >> "{calls}"; exit ${{PIP_STATUS:-0}}; fi',
        f'exec "{sys.executable}" "$@"',
    )
    write_program(folder / ".venv" / "bin" / "hunmin", "pwd", 'for a in "$@"; do echo "$a"; done')
    return folder


def write_program(path: Path, *lines: str) -> None:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)


def run(
    checkout: Path, script: str, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / script, *arguments],
        cwd=cwd or checkout,
        env={k: v for k, v in os.environ.items() if not k.startswith("HUNMIN")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def installs(checkout: Path) -> list[str]:
    calls = checkout / "calls"
    return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def test_quickstart_runs_its_recipe_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    result = run(checkout, "quickstart", "train.duration=3 steps", "--dry-run", cwd=tmp_path)
    expected = ["run", "recipes/quickstart.yaml", "train.duration=3 steps", "--dry-run"]
    assert result.stdout.splitlines() == [str(checkout), *expected]


def test_quickstart_takes_a_path_relative_to_the_caller(checkout: Path, tmp_path: Path) -> None:
    text = tmp_path / "내 글, [1].txt"
    text.write_text("글", encoding="utf-8")
    result = run(checkout, "quickstart", text.name, "name=mine", cwd=tmp_path)
    assert result.stdout.splitlines()[1:] == [
        "run",
        "recipes/quickstart-text.yaml",
        f'corpus.sources.0.paths=["{text}"]',
        "name=mine",
    ]


def test_quickstart_passes_flags_with_values_on(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    flags = ("--until", "corpus", "--run-dir", "runs", "--force")
    result = run(checkout, "quickstart", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    expected = ["--until", "corpus", "--run-dir", str(tmp_path / "runs"), "--force"]
    assert result.stdout.splitlines()[-5:] == expected


def test_quickstart_makes_an_assistant_and_asks_it(checkout: Path, tmp_path: Path) -> None:
    result = run(checkout, "quickstart", "assistant", "nlu.epochs=1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    question = "거실 불 켜줘"
    assert result.stdout.splitlines() == [
        str(checkout),
        *("run", "recipes/quickstart-assistant.yaml", "nlu.epochs=1"),
        "",
        f'$ hunmin ask runs/quickstart-assistant "{question}" --locale ko',
        str(checkout),
        *("ask", "runs/quickstart-assistant", question, "--locale", "ko"),
    ]
    elsewhere = run(checkout, "quickstart", "assistant", "--run-dir", "mine", cwd=tmp_path)
    asked = ["ask", str(tmp_path / "mine"), question, "--locale", "ko"]
    assert elsewhere.stdout.splitlines()[-5:] == asked


@pytest.mark.parametrize("flags", [("--dry-run",), ("--until", "student")])
def test_quickstart_does_not_ask_an_assistant_that_is_not_made(
    checkout: Path, flags: tuple[str, ...]
) -> None:
    result = run(checkout, "quickstart", "assistant", *flags)
    called = ["run", "recipes/quickstart-assistant.yaml", *flags]
    assert result.stdout.splitlines() == [str(checkout), *called]


def test_quickstart_refuses_a_path_that_does_not_exist(checkout: Path) -> None:
    result = run(checkout, "quickstart", "no-such-text")
    assert result.returncode == 2
    assert "no-such-text: no such file or folder" in result.stderr
    assert "--help" in result.stderr
    assert not installs(checkout), "nothing is installed before the input is checked"


def test_quickstart_help_installs_nothing(checkout: Path) -> None:
    result = run(checkout, "quickstart", "--help")
    assert result.returncode == 0
    assert "Usage: ./scripts/quickstart [assistant | PATH]" in result.stdout
    assert not installs(checkout)


def test_installs_only_when_something_changed(checkout: Path) -> None:
    run(checkout, "quickstart")
    assert len(installs(checkout)) == 1
    assert (
        "--constraint constraints/development.txt --editable .[quickstart]" in installs(checkout)[0]
    )
    run(checkout, "quickstart")
    assert len(installs(checkout)) == 1
    with (checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    run(checkout, "quickstart")
    assert len(installs(checkout)) == 2


def test_a_moved_checkout_is_installed_again(checkout: Path) -> None:
    run(checkout, "quickstart")
    moved = checkout.rename(checkout.with_name("moved"))
    result = run(moved, "quickstart")
    assert "Installing hunmin[quickstart]" in result.stderr


def test_failed_installation_shows_the_log_and_is_tried_again(checkout: Path) -> None:
    result = run(checkout, "quickstart", PIP_STATUS="1")
    assert result.returncode == 1
    assert "The installation failed; the whole log is" in result.stderr
    assert not result.stdout, "hunmin is not started"
    run(checkout, "quickstart")
    assert len(installs(checkout)) == 2


def test_old_or_missing_python_is_explained(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "cat", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    write_program(programs / "python3", "exit 1")
    result = run(checkout, "quickstart", PATH=str(programs))
    assert result.returncode == 2
    assert "hunmin needs Python 3.11 or newer" in result.stderr
    assert "PYTHON=" in result.stderr


def test_check_runs_every_check_and_names_those_that_failed(checkout: Path) -> None:
    for name in ("ruff", "mypy", "lint-imports", "pydoclint", "codespell"):
        status = 1 if name in ("mypy", "codespell") else 0
        write_program(checkout / ".venv" / "bin" / name, f"exit {status}")
    result = run(checkout, "check")
    assert result.returncode == 1
    assert result.stderr.count("== ") == 6
    assert result.stderr.endswith("failed: mypy\nfailed: spelling (codespell)\n")


def test_continuous_integration_demands_the_real_data(repository: Path) -> None:
    text = (repository / ".ci" / "run").read_text(encoding="utf-8")
    assert "HUNMIN_REQUIRE_SHARED_DATA=1" in text
    assert os.access(repository / ".ci" / "run", os.X_OK)

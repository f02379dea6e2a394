"""A copy of what a user has after cloning, in which documented commands can run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

COPIED = ("scripts", "recipes", "constraints", "pyproject.toml")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A checkout whose .venv is the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    _write_program(programs / "python", f'exec "{sys.executable}" "$@"')
    start = "from hunmin.cli.main import main; main()"
    _write_program(programs / "hunmin", f'exec "{sys.executable}" -c "{start}" "$@"')
    return folder


@pytest.fixture(scope="session")
def documented_environment() -> dict[str, str]:
    """Environment variables for documented commands: nothing is installed, one thread."""
    return os.environ | {
        "HUNMIN_SKIP_INSTALL": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "default",
    }


def _write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)

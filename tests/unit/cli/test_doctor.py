from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from hunmin.cli import doctor


def run_doctor(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(doctor.command, arguments)
    return result.exit_code, result.stdout


def test_extras_are_those_of_pyproject(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def packages(requirements: list[str]) -> set[str]:
        names = {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}
        return names - {"hunmin"}

    assert packages(project["dependencies"]) == set(doctor.BASE_PACKAGES)
    for extra, (_, known) in doctor.EXTRAS.items():
        assert packages(project["optional-dependencies"][extra]) == set(known), extra


def test_json_says_what_the_machine_has() -> None:
    exit_code, output = run_doctor("--json")
    found = json.loads(output)
    assert exit_code == 0
    assert found["num_cores"] >= 1
    assert found["memory_bytes"] is None or found["memory_bytes"] > 10**8
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [extra["name"] for extra in found["extras"]] == list(doctor.EXTRAS)


def test_text_has_a_line_for_each_extra() -> None:
    exit_code, output = run_doctor()
    assert exit_code == 0
    for extra in doctor.EXTRAS:
        assert re.search(rf"^{extra} ", output, re.MULTILINE)
    assert "problem:" not in output


def test_missing_extra_shows_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "plots", ("plots in reports", ("no-such-package",)))
    exit_code, output = run_doctor()
    assert exit_code == 0, "an extra that is missing is no failure"
    assert "no-such-package missing" in output
    assert doctor.install_command("plots") in output


def test_missing_base_package_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "BASE_PACKAGES", ("no-such-package",))
    exit_code, output = run_doctor()
    assert exit_code == 1
    assert "problem: no-such-package missing" in output
    assert "pip install" in output


def test_old_python_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 1))
    exit_code, output = run_doctor()
    assert exit_code == 1
    assert "hunmin needs 99.1 or newer" in output


def test_broken_torch_is_reported_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: not found')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    exit_code, output = run_doctor()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert exit_code == 1
    assert "PyTorch is installed but does not start: libcudart.so.13: not found" in output


def test_compiler_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "my-c++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert json.loads(run_doctor("--json")[1])["compiler"] == str(compiler)


def test_no_compiler_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    exit_code, output = run_doctor()
    assert exit_code == 0
    assert "note: without a C++ compiler train.compile stays off" in output


def test_importing_doctor_does_not_import_torch() -> None:
    program = "import sys, hunmin.cli.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

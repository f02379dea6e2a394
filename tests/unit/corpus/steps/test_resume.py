"""A build that was killed, stopped or disturbed: nothing is lost, nothing is done twice."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.corpus.steps.conftest import recipe

from hunmin.core.artifact import Artifact
from hunmin.core.errors import DiskFullError, InputError, StageFailedError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.steps.assemble import AssembleShard
from hunmin.corpus.steps.judge import JudgeShard
from hunmin.corpus.steps.read import ReadPart

KILLED = """
import os, signal, sys
from pathlib import Path
from hunmin.corpus.build import build_corpus
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.steps.{module} import {work}
plain, calls = {work}.__call__, []
def call(self, name, task):
    calls.append(name)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, name, task)
{work}.__call__ = call
spec = CorpusSpec.model_validate_json(Path(sys.argv[1]).read_text())
build_corpus(spec, Path(sys.argv[2]), title="Test")
"""


def killed_in(module: str, work: str, spec: Any, folder: Path) -> Path:
    """Start a build that is killed at the second shard of a step; return the artifact's path."""
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    output = folder / "corpus"
    code = KILLED.format(module=module, work=work)
    command = [sys.executable, "-c", code, str(folder / "spec.json"), str(output)]
    result = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    assert not output.exists()
    return output


@pytest.mark.parametrize(
    ("module", "work"), [("judge", "JudgeShard"), ("assemble", "AssembleShard")]
)
def test_a_killed_build_goes_on_where_it_was(
    module: str,
    work: str,
    built: Artifact,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = killed_in(module, work, recipe(folder), tmp_path)
    done: list[str] = []
    for each in (ReadPart, JudgeShard, AssembleShard):
        plain = each.__call__ if each is not ReadPart else each.read

        def counted(self: Any, name: str, *task: Any, plain: Any = plain, each: Any = each) -> Any:
            done.append(f"{each.__name__} {name}")
            return plain(self, name, *task)

        monkeypatch.setattr(each, "read" if each is ReadPart else "__call__", counted)
    artifact = build_corpus(recipe(folder), output, title="Test")
    assert artifact.digest == built.digest
    assert [name for name in done if name.startswith(work)] == [f"{work} 001-00000-00000"]
    assert not any(name.startswith("ReadPart") for name in done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "spec.json"]


def test_an_engine_that_is_not_there_costs_no_work(
    built: Artifact, folder: Path, tmp_path: Path
) -> None:
    output = killed_in("assemble", "AssembleShard", recipe(folder), tmp_path)
    with pytest.raises(InputError, match="works on this machine"):
        build_corpus(recipe(folder, address="auto"), output, title="Test")
    assert (tmp_path / ".corpus.building" / "judge" / "001-00000-00000.done.json").is_file()
    assert build_corpus(recipe(folder), output, title="Test").digest == built.digest


def test_another_recipe_starts_anew(folder: Path, tmp_path: Path) -> None:
    output = killed_in("judge", "JudgeShard", recipe(folder, privacy=None), tmp_path)
    artifact = build_corpus(recipe(folder), output)
    assert artifact.facts["privacy"]["counts"]["phone"] >= 1


def test_a_worker_that_dies_is_told_and_its_work_done_again(
    folder: Path, tmp_path: Path, built: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hunmin.corpus.steps.run._WORTH_PROCESSES", 0)
    monkeypatch.setattr("hunmin.corpus.steps.run.JudgeShard", DyingJudge)
    with pytest.raises(StageFailedError, match="process"):
        build_corpus(recipe(folder, num_workers=2), tmp_path / "corpus")
    monkeypatch.undo()
    artifact = build_corpus(recipe(folder), tmp_path / "corpus", title="Test")
    assert artifact.digest == built.digest


class DyingJudge(JudgeShard):
    """A judge whose process is killed, as the kernel does when memory runs out."""

    def __call__(self, name: str, task: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(name, task)


def test_a_full_disk_loses_nothing(
    folder: Path, tmp_path: Path, built: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hunmin.corpus.steps.assemble.pq.write_table", full)
        with pytest.raises(DiskFullError):
            build_corpus(recipe(folder), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
    assert build_corpus(recipe(folder), tmp_path / "corpus", title="Test").digest == built.digest


def test_a_file_in_the_place_of_unfinished_work_is_not_deleted(
    folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / ".corpus.building"
    place.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="the place of unfinished work is taken"):
        build_corpus(recipe(folder), tmp_path / "corpus")
    assert place.read_text("utf-8") == "mine"

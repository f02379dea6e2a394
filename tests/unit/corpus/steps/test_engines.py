"""The whole build on other engines: byte for byte the corpus of this machine's processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.corpus.steps.conftest import recipe

from hunmin.core.artifact import Artifact
from hunmin.corpus.build import build_corpus


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_the_result_does_not_depend_on_the_engine(
    engine: str, built: Artifact, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine])
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    monkeypatch.setattr("hunmin.corpus.steps.run._WORTH_PROCESSES", 0)
    spec = recipe(folder, engine=engine, num_workers=2)
    artifact = build_corpus(spec, tmp_path / "corpus", title="Test")
    assert artifact.digest == built.digest

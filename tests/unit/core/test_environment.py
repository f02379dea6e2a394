"""Where a result was made."""

from __future__ import annotations

from importlib import metadata

import pytest

from hunmin.core.environment import package_versions


def test_versions_of_every_runtime_that_decides_results_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "onnx":
            raise metadata.PackageNotFoundError(name)
        return "1.2.3" if name == "onnxruntime" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    package_versions.cache_clear()
    try:
        versions = package_versions()
    finally:
        package_versions.cache_clear()
    assert versions["onnxruntime"] == "1.2.3"
    assert "onnx" not in versions, "what is not installed is left out"
    assert versions["numpy"] == real("numpy")

"""Where a result was made: versions, commit, hardware."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("hunmin", "numpy", "pyarrow", "tokenizers", "torch", "transformers", "safetensors"),
    *("onnx", "onnxruntime"),
)


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that decide results."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache
def source_commit() -> str | None:
    """Return the commit of the source tree hunmin runs from, None if it is no git checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    answer = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None


def cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe_environment() -> dict[str, Any]:
    """Return versions, commit, command and hardware as a JSON value."""
    return {
        "versions": package_versions(),
        "commit": source_commit(),
        "command": sys.argv,
        "system": platform.platform(),
        "processor": cpu_name(),
        "cores": available_cores(),
    }


def find_compiler() -> str | None:
    """Return the C++ compiler that torch.compile would call for code on the processor."""
    default = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX") or default)


def available_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

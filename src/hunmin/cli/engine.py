"""Opening a model for the verbs that let it write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hunmin.core.extras import require

if TYPE_CHECKING:
    from hunmin.serving.engine import Engine


def open_engine(model_folder: Path, *, num_rows: int = 16, max_waiting: int = 64) -> Engine:
    """Start an engine with the model of a folder, or say what has to be installed for it."""
    for package in ("torch", "transformers"):
        require(package, extra="train")
    from hunmin.serving.folder import load_engine

    return load_engine(model_folder, num_rows=num_rows, max_waiting=max_waiting)

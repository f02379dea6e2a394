"""From a path that a user names to a model that runs."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import MANIFEST_NAME, read_manifest
from hunmin.core.errors import ArtifactKindError, MissingInputError, suggest_folder
from hunmin.models.devices import pick_device
from hunmin.models.load import load_model
from hunmin.serving.engine import Engine
from hunmin.tokenizer.load import load_tokenizer


def find_model_folder(path: Path) -> Path:
    """Find the model that a path means.

    Args:
        path: A model artifact, a run folder with a finished `model/`, or any Hugging Face folder
            of a causal language model.

    Returns:
        The folder with `config.json`.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no model; the message says what it holds.
    """
    if not path.exists():
        raise MissingInputError(
            f"there is no such folder.{suggest_folder(path)}",
            where=path,
            allowed="a model folder, or a run folder such as runs/quickstart",
            hint="`hunmin runs list` shows what there is",
        )
    for folder in (path, path / "model"):
        if _is_model(folder):
            return folder
    raise ArtifactKindError(
        "there is no model here",
        where=path,
        given=_describe(path),
        allowed="a folder with config.json and weights, or a run folder with model/ in it",
        hint="finish the run with `hunmin run RECIPE`, or name its model folder",
    )


def _is_model(folder: Path) -> bool:
    if (folder / MANIFEST_NAME).is_file():
        return read_manifest(folder).kind == "model"
    return (folder / "config.json").is_file()


def _describe(path: Path) -> str:
    if path.is_file():
        return "a file"
    if (path / MANIFEST_NAME).is_file():
        return f"a {read_manifest(path).kind} artifact"
    names = sorted(child.name for child in path.iterdir())
    if not names:
        return "an empty folder"
    return "a folder with " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def model_name(path: Path) -> str:
    """Return the name a model is served under: that of its folder, or of the run it lies in."""
    folder = find_model_folder(path).resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def load_engine(path: Path, *, num_rows: int = 16, max_waiting: int = 64) -> Engine:
    """Load a model and start an engine with it, on the GPU if there is one.

    Args:
        path: What `find_model_folder` accepts.
        num_rows: How many texts are continued at the same time.
        max_waiting: A request is refused while this many texts wait.

    Returns:
        The running engine; close it when done.
    """
    folder = find_model_folder(path)
    model = load_model(folder, device=pick_device())
    return Engine(model, load_tokenizer(folder), num_rows=num_rows, max_waiting=max_waiting)

"""From a path that a user names to what parses its texts."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import MANIFEST_NAME, read_manifest
from hunmin.core.errors import ArtifactKindError, MissingInputError, suggest_folder
from hunmin.core.extras import require
from hunmin.serving.nlu.engine import ONNX_KIND, NluEngine, Parser, Precision

MODEL_KIND = "nlu-model"
TEXT_KIND = "nlu-text-model"
# Where the stages of a recipe put them, the fastest first.
STAGES = ("export", "nlu")


def find_nlu_folder(path: Path) -> Path | None:
    """Find the NLU model that a path means.

    Args:
        path: An exported or a trained NLU model, or a run folder with one of them in it.

    Returns:
        The folder; None if the path holds no NLU model.

    Raises:
        ArtifactKindError: The path is a model that writes labels as text.
    """
    refuse_text_model(path, "is not served")
    for folder in (path, *(path / stage for stage in STAGES)):
        if (folder / MANIFEST_NAME).is_file():
            kind = read_manifest(folder).kind
            if kind in (ONNX_KIND, MODEL_KIND):
                return folder
    return None


def is_text_model(path: Path) -> bool:
    """Tell whether a path is a model that writes labels as text, which `hunmin ask` alone asks."""
    return (path / MANIFEST_NAME).is_file() and read_manifest(path).kind == TEXT_KIND


def refuse_text_model(path: Path, problem: str) -> None:
    """Say of a model that writes labels as text what it is, and what can be done with it.

    Args:
        path: Folder of any model, or none.
        problem: What is not done with it, such as "is not served".

    Raises:
        ArtifactKindError: It is such a model.
    """
    if is_text_model(path):
        raise ArtifactKindError(
            f"this NLU model writes its labels as text, and such a model {problem}",
            where=path,
            given=f"a {TEXT_KIND} artifact, trained with style=text",
            allowed="a model with heads (nlu-model), or its export (nlu-onnx)",
            hint=f"ask this one with `hunmin ask {path} TEXT`, or train heads: `hunmin finetune "
            "nlu` with style=heads and without a preset mt5-text-…",
        )


def need_nlu_folder(path: Path) -> Path:
    """Find the NLU model that a path means, or say what is wrong.

    Args:
        path: What `find_nlu_folder` accepts.

    Returns:
        The folder.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no NLU model.
    """
    found = find_nlu_folder(path)
    if found is not None:
        return found
    if not path.exists():
        raise MissingInputError(
            f"there is no such folder.{suggest_folder(path)}",
            where=path,
            hint="`hunmin runs list` shows what there is",
        )
    is_artifact = (path / MANIFEST_NAME).is_file()
    raise ArtifactKindError(
        "there is no NLU model here",
        where=path,
        given=f"a {read_manifest(path).kind} artifact" if is_artifact else "no artifact",
        allowed="an exported model (nlu-onnx), a trained one (nlu-model), or a run with one",
        hint="train one with `hunmin finetune nlu`, export it with `hunmin export onnx`",
    )


def open_parser(path: Path, *, precision: Precision = "int8", num_threads: int = 1) -> Parser:
    """Open what parses texts.

    Args:
        path: What `find_nlu_folder` accepts.
        precision: Which network of an exported model.
        num_threads: Threads of one call of an exported model.

    Returns:
        An engine on ONNX Runtime for an exported model, the model in torch for a trained one.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no NLU model.
        CorruptArtifactError: A file is damaged.
        MissingExtraError: What runs it is not installed.
    """
    folder = need_nlu_folder(path)
    if read_manifest(folder).kind == ONNX_KIND:
        return NluEngine.load(folder, precision=precision, num_threads=num_threads)
    for package in ("torch", "transformers"):
        require(package, extra="train")
    from hunmin.adapt.nlu.model import load_nlu_model

    return load_nlu_model(folder)


def nlu_name(path: Path) -> str:
    """Return the name a model is served under: that of its folder, or of the run it lies in."""
    folder = need_nlu_folder(path).resolve()
    return folder.parent.name if folder.name in STAGES else folder.name

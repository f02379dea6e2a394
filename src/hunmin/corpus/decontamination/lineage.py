"""The documents that a model, a tokenizer or token shards were made from."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import Artifact, InputRecord, load_artifact, read_manifest
from hunmin.core.errors import ArtifactMismatchError, HunminError, InputError, MissingInputError
from hunmin.corpus.documents import DOCUMENTS_KIND

_TOKENIZER = "tokenizer"
_JUDGED_BY = frozenset({"report", "samples"})


def documents_behind(path: Path) -> list[Artifact]:
    """Find the documents that an artifact was made from.

    Args:
        path: Documents themselves, or token shards, a tokenizer, a model, a report on a model.

    Returns:
        Each documents artifact once, nearest first. What only a model's tokenizer was trained on,
        and what a report evaluated the model with, is not among them.

    Raises:
        MissingInputError: `path`, or an artifact that it was made from, is not there.
        ArtifactMismatchError: An artifact was replaced since.
        InputError: There are no documents behind it.

    Note:
        An artifact that is no longer where it was is looked for beside its descendant, so that run
        folders may be moved as a whole.
    """
    artifact = load_artifact(path if path.name else path.absolute(), verify=False)
    found: dict[str, Artifact] = {}
    _collect(artifact, found)
    if not found:
        raise InputError(
            "no documents are known behind this",
            where=path,
            given=f"a {artifact.manifest.kind} artifact",
            allowed="documents, or a model, tokens or a tokenizer made from some",
            hint="name a documents artifact, such as runs/NAME/corpus",
        )
    return list(found.values())


def _collect(artifact: Artifact, found: dict[str, Artifact]) -> None:
    kind = artifact.manifest.kind
    if kind == DOCUMENTS_KIND:
        found.setdefault(artifact.digest, artifact)
        return
    for record in artifact.manifest.inputs:
        is_aside = record.kind == _TOKENIZER and kind != _TOKENIZER
        is_test = record.kind == DOCUMENTS_KIND and kind in _JUDGED_BY
        if not is_aside and not is_test:
            _collect(_parent(artifact, record), found)


def _parent(artifact: Artifact, record: InputRecord) -> Artifact:
    was_there = False
    for path in (Path(record.path), artifact.path.absolute().parent / Path(record.path).name):
        try:
            parent = Artifact(path, read_manifest(path))
        except HunminError:
            continue
        if parent.digest == record.digest:
            return load_artifact(path, verify=False)
        was_there = True
    raise (ArtifactMismatchError if was_there else MissingInputError)(
        f"the {record.kind} artifact that this was made from "
        + ("was replaced since" if was_there else "is no longer there"),
        where=artifact.path,
        given=f"{record.path}, digest {record.digest[:16]}",
        hint="restore it, or name the documents artifact itself if you have a copy",
    )

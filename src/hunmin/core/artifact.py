"""Artifact folders: what every stage reads and writes, with a manifest that tells its lineage."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import hunmin
from hunmin.core.atomic import atomic_folder, recover_folder
from hunmin.core.environment import package_versions, source_commit
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
    suggest_folder,
)
from hunmin.core.hashing import sha256_file, stable_hash
from hunmin.core.spec import Spec

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1


class FileRecord(Spec):
    """Size and checksum of one file."""

    bytes: int
    """Size in bytes."""
    sha256: str
    """Hexadecimal SHA-256 of the content."""


class InputRecord(Spec):
    """An artifact that this one was made from."""

    kind: str
    """Its kind."""
    path: str
    """Where it lay when it was read."""
    digest: str
    """Its digest at that time."""


class Manifest(Spec):
    """What an artifact is, what it was made from, and what it holds."""

    kind: str
    """documents, tokenizer, tokens, model, report, samples, checkpoint."""
    format: int = FORMAT_VERSION
    """Version of this layout."""
    created: str
    """UTC time of writing, ISO 8601."""
    hunmin: str
    """Version of hunmin that wrote it."""
    commit: str | None = None
    """Commit of the source tree, if it was one."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """The part of the recipe that decided the content."""
    inputs: tuple[InputRecord, ...] = ()
    """Artifacts it was made from."""
    files: dict[str, FileRecord] = Field(default_factory=dict)
    """Every file but the manifest, by relative path."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that took part."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Numbers worth knowing without opening the files."""


@dataclass(frozen=True)
class Artifact:
    """A finished folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Identity of the content: a hash over kind and file checksums."""
        files = {name: record.sha256 for name, record in self.manifest.files.items()}
        return stable_hash([self.manifest.kind, files])

    @property
    def facts(self) -> dict[str, Any]:
        """Numbers worth knowing without opening the files."""
        return self.manifest.facts

    def as_input(self) -> InputRecord:
        """Return the record that a descendant keeps of this artifact."""
        return InputRecord(
            kind=self.manifest.kind, path=str(self.path.absolute()), digest=self.digest
        )


@dataclass
class ArtifactDraft:
    """An artifact being written: a temporary folder and the facts to record."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def write_artifact(
    path: Path,
    kind: str,
    *,
    recipe: Mapping[str, Any] | None = None,
    inputs: Sequence[Artifact] = (),
) -> Iterator[ArtifactDraft]:
    """Write an artifact whole or not at all.

    Args:
        path: Where the finished folder lies; an older artifact there is replaced.
        kind: Kind of the artifact.
        recipe: The part of the recipe that decides the content.
        inputs: Artifacts it is made from.

    Yields:
        The draft: write files below `draft.path`, numbers into `draft.facts`.

    Raises:
        ArtifactKindError: `path` holds an artifact of another kind or something that is none, and
            it would be lost.
        InputError: `path` is one of the inputs.
        DiskFullError: No space was left; nothing changed.

    Note:
        On any exception the draft is removed and what lay at `path` stays as it was.
    """
    check_output(path, kind, inputs)
    with atomic_folder(path) as folder:
        draft = ArtifactDraft(folder)
        yield draft
        manifest = Manifest(
            kind=kind,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            hunmin=hunmin.__version__,
            commit=source_commit(),
            recipe=dict(recipe or {}),
            inputs=tuple(artifact.as_input() for artifact in inputs),
            files=_record_files(folder),
            versions=package_versions(),
            facts=draft.facts,
        )
        (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def check_output(path: Path, kind: str, inputs: Sequence[Artifact] = ()) -> None:
    """Check that an artifact may be written: before work whose result would have no place.

    Args:
        path: Where it shall lie.
        kind: Kind of the artifact.
        inputs: Artifacts it is made from.

    Raises:
        ArtifactKindError: `path` holds an artifact of another kind or something that is none, and
            it would be lost.
        InputError: `path` is one of the inputs.
    """
    _refuse_to_replace_foreign_folder(path, kind)
    _refuse_to_replace_artifact(path, kind, inputs)


def _refuse_to_replace_foreign_folder(path: Path, kind: str) -> None:
    foreign = path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / MANIFEST_NAME).is_file()
    )
    if foreign:
        raise ArtifactKindError(
            f"something that hunmin did not write is here; a {kind} artifact would replace it",
            where=path,
            allowed="a new folder, an empty one, or an older artifact",
            hint="choose another place or move it away",
        )


def _refuse_to_replace_artifact(path: Path, kind: str, inputs: Sequence[Artifact]) -> None:
    if any(artifact.path.resolve() == path.resolve() for artifact in inputs):
        raise InputError(
            "the result would take the place of what it is made from",
            where=path,
            hint="choose another place for the result",
        )
    try:
        present = read_manifest(path).kind if (path / MANIFEST_NAME).is_file() else kind
    except CorruptArtifactError:
        return
    if present != kind:
        raise ArtifactKindError(
            f"a {present} artifact is here; a {kind} artifact would replace it",
            where=path,
            allowed=f"a new folder, an empty one, or an older {kind} artifact",
            hint="choose another place or move it away",
        )


def _record_files(folder: Path) -> dict[str, FileRecord]:
    return {
        file.relative_to(folder).as_posix(): FileRecord(
            bytes=file.stat().st_size, sha256=sha256_file(file)
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def load_artifact(path: Path, kind: str | None = None, *, verify: bool = True) -> Artifact:
    """Open an artifact and check that it is whole.

    Args:
        path: The folder.
        kind: The kind it must be of; None for any.
        verify: Compare every checksum (reads all bytes); sizes are always compared.

    Returns:
        The artifact.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It is no artifact, or one of another kind.
        CorruptArtifactError: A file is missing, or differs from its record.
    """
    recover_folder(path)
    manifest = read_manifest(path)
    if kind is not None and manifest.kind != kind:
        raise ArtifactKindError(
            f"a {kind} artifact is needed here",
            where=path,
            given=f"a {manifest.kind} artifact",
            hint=f"name a folder whose manifest.json says kind: {kind}",
        )
    artifact = Artifact(path, manifest)
    _check_files(artifact, verify=verify)
    return artifact


def read_manifest(path: Path) -> Manifest:
    """Read a manifest without looking at the files it lists.

    Args:
        path: The artifact's folder.

    Returns:
        The manifest.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: The folder has no manifest.
        CorruptArtifactError: The manifest cannot be read.
    """
    if not path.exists():
        raise MissingInputError(
            f"there is no such artifact.{suggest_folder(path)}",
            where=path,
            hint="run the stage that makes it, or check the path",
        )
    file = path / MANIFEST_NAME
    if not file.is_file():
        raise ArtifactKindError(
            "this is not an artifact (no manifest.json)",
            where=path,
            hint="name the folder of one stage, such as runs/quickstart/model",
        )
    try:
        return Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptArtifactError(
            "the manifest cannot be read", where=file, hint="make the artifact again"
        ) from error


def _check_files(artifact: Artifact, *, verify: bool) -> None:
    for name, record in artifact.manifest.files.items():
        file = artifact.path / name
        size = file.stat().st_size if file.is_file() else None
        if size != record.bytes:
            raise _corrupt(file, f"{record.bytes} bytes", "missing" if size is None else f"{size}")
        if verify and sha256_file(file) != record.sha256:
            raise _corrupt(file, f"sha256 {record.sha256[:12]}…", "another checksum")


def _corrupt(file: Path, expected: str, found: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        "the file differs from what was written",
        where=file,
        given=found,
        allowed=expected,
        hint="restore it from a copy, or delete the artifact's folder and run its stage again",
    )

"""Whether a stage must run: its recipe, its inputs and its code, each as a hash."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hunmin
from hunmin.core.artifact import Artifact
from hunmin.core.atomic import atomic_write_text
from hunmin.core.hashing import hash_sources, stable_hash
from hunmin.core.spec import Spec
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stage import Stage

RECORD_NAME = "stages.json"


@dataclass(frozen=True)
class Fingerprint:
    """What decides the result of a stage.

    Args:
        recipe: Hash of its recipe sections.
        inputs: Digests of the artifacts it reads, and a hash of outside files, by name.
        code: Hash of the layers that take part.
    """

    recipe: str
    inputs: dict[str, str]
    code: str


@dataclass(frozen=True)
class StageRecord:
    """A stage that was finished.

    Args:
        fingerprint: What decided its result.
        digest: Identity of the artifact it wrote.
        seconds: How long it took.
    """

    fingerprint: Fingerprint
    digest: str
    seconds: float


def fingerprint_stage(stage: Stage, recipe: Recipe, inputs: Mapping[str, Artifact]) -> Fingerprint:
    """Return the fingerprint a stage would have if it ran now."""
    digests = {name: artifact.digest for name, artifact in inputs.items()}
    if stage.outside is not None:
        digests["sources"] = stable_hash(stage.outside(recipe))
    return Fingerprint(
        recipe=stable_hash(section_values(stage, recipe)),
        inputs=digests,
        code=code_version(stage.layers),
    )


def section_values(stage: Stage, recipe: Recipe) -> dict[str, Any]:
    """Return the recipe sections that decide a stage's result, as a JSON value."""
    values: dict[str, Any] = {}
    for name in stage.sections:
        section: Spec | None = getattr(recipe, name)
        values[name] = section and _decisive_values(section, stage.only.get(name))
    return values


def _decisive_values(section: Spec, only: frozenset[str] | None) -> dict[str, Any]:
    names = type(section).model_fields if only is None else only
    return section.model_dump(mode="json", include=set(names) - section.INDIFFERENT)


@functools.cache
def code_version(layers: tuple[str, ...]) -> str:
    """Return one hash over the source files of some layers."""
    root = Path(hunmin.__file__).parent
    return hash_sources([root / layer for layer in layers])


def reason_to_run(
    now: Fingerprint, record: StageRecord | None, artifact: Artifact | None
) -> str | None:
    """Say why a stage must run; None if its artifact is up to date."""
    if record is None:
        return "it has not run yet"
    if artifact is None:
        return "its result is missing"
    if artifact.digest != record.digest:
        return "its result was changed by hand"
    if now.recipe != record.fingerprint.recipe:
        return "its recipe changed"
    changed = [
        name for name in now.inputs if now.inputs[name] != record.fingerprint.inputs.get(name)
    ]
    if changed:
        return f"its input changed: {', '.join(changed)}"
    if now.code != record.fingerprint.code:
        return "its code changed"
    return None


def read_records(folder: Path) -> dict[str, StageRecord]:
    """Return the finished stages of a run folder by name."""
    file = folder / RECORD_NAME
    if not file.is_file():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: StageRecord(Fingerprint(**value.pop("fingerprint")), **value)
        for name, value in content.items()
    }


def write_record(folder: Path, name: str, record: StageRecord) -> None:
    """Remember a finished stage."""
    records = {**read_records(folder), name: record}
    content = {key: asdict(value) for key, value in records.items()}
    atomic_write_text(folder / RECORD_NAME, json.dumps(content, indent=2))

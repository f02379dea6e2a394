"""An index of evaluation items as an artifact: .npy files and a manifest, never pickle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import ArtifactKindError
from hunmin.corpus.decontamination.index import ContaminationRule, EvaluationIndex, SetCounts

INDEX_KIND = "evaluation-index"
_FORMAT = 2
_ARRAYS = ("hashes", "items", "item_sets", "item_runs", "item_names", "short_heads")


def save_index(index: EvaluationIndex, folder: Path) -> Artifact:
    """Write an index whole or not at all.

    Args:
        index: What to write.
        folder: Where; an older index there is replaced.

    Returns:
        The artifact; the rule and the counts of each set stand in its facts.

    Raises:
        ArtifactKindError: Something else lies there.
        DiskFullError: No space was left; the older index stays as it was.
    """
    with write_artifact(folder, INDEX_KIND, recipe=asdict(index.rule)) as draft:
        for name in _ARRAYS:
            np.save(draft.path / f"{name}.npy", getattr(index, name), allow_pickle=False)
        draft.facts = {
            "format": _FORMAT,
            "rule": asdict(index.rule),
            "sets": dict(zip(index.sets, map(asdict, index.counts), strict=True)),
            "short_lengths": list(index.short_lengths),
        }
    return load_artifact(folder, INDEX_KIND, verify=False)


def load_index(folder: Path) -> EvaluationIndex:
    """Read an index that `save_index` wrote.

    Args:
        folder: Where it lies.

    Returns:
        The same index.

    Raises:
        MissingInputError: The folder does not exist.
        ArtifactKindError: The folder holds something else, or an index of another format.
        CorruptArtifactError: A file differs from what was written, or is missing.
    """
    facts = load_artifact(folder, INDEX_KIND).facts
    if facts.get("format") != _FORMAT:
        raise ArtifactKindError(
            "this index of evaluation items has another format",
            where=folder,
            given=f"format {facts.get('format')}",
            allowed=f"format {_FORMAT}",
            hint="build the index again",
        )
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    return EvaluationIndex(
        rule=ContaminationRule(**facts["rule"]),
        sets=tuple(facts["sets"]),
        counts=tuple(SetCounts(**counts) for counts in facts["sets"].values()),
        short_lengths=tuple(facts["short_lengths"]),
        **arrays,
    )

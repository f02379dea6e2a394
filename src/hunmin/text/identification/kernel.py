"""Kernel: the language of each record, beside what its source says."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.yaml12 import parse_yaml
from hunmin.text.identification.identifier import Identifier
from hunmin.text.identification.prior import UNKNOWN_SCRIPT, script_rules
from hunmin.text.languages import UNDETERMINED, base_language

OTHER_LANGUAGE = "not in the expected language"
NO_LANGUAGE = "language not recognised"


@dataclass(frozen=True)
class IdentifyLanguages:
    """Adds what the text says about its language.

    Args:
        identifier: Finds the languages.
        trust: `source` keeps the language of records whose source names one; `text` replaces it by
            what was found, if anything was.
        reject_other: Whether a record gets the reason `OTHER_LANGUAGE` if its text is surely in
            another language than its source says.
        reject_unknown: Whether a record without a language gets the reason `NO_LANGUAGE`.
    """

    identifier: Identifier = field(default_factory=Identifier)
    trust: Literal["source", "text"] = "source"
    reject_other: bool = True
    reject_unknown: bool = False

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Identify the texts of a batch.

        Args:
            batch: With columns `text` and `language` (canonical tags, `und` or null where the
                source names none); a column `reason` is filled where it is null.

        Returns:
            The batch with `language` never null, `identified` (canonical tag or `und`),
            `language_score` (float32, in [0, 1]), `script` (code) and `reason` (null where
            nothing is wrong).
        """
        found = self.identifier.identify([text or "" for text in batch["text"].to_pylist()])
        declared = [tag or UNDETERMINED for tag in batch["language"].to_pylist()]
        rows = list(zip(declared, found.languages, found.scripts, strict=True))
        verdicts = self._verdicts(set(rows))
        languages = [verdicts[row][0] for row in rows]
        reasons = pa.array([verdicts[row][1] for row in rows], pa.string())
        columns: dict[str, pa.Array] = {
            "language": pa.array(languages, pa.string()),
            "identified": pa.array(found.languages, pa.string()),
            "language_score": pa.array(found.scores, pa.float32()),
            "script": pa.array(found.scripts, pa.string()),
            "reason": reasons,
        }
        if "reason" in batch.schema.names:
            columns["reason"] = pc.coalesce(batch["reason"], reasons)
        return _with_columns(batch, columns)

    def _choose(self, declared: str, found: str) -> str:
        if declared == UNDETERMINED or (self.trust == "text" and found != UNDETERMINED):
            return found
        return declared

    def _verdicts(
        self, rows: Collection[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], tuple[str, str | None]]:
        """Return the language and the reason for each declared and found language and script."""
        known = frozenset(base_language(tag) for tag in self.identifier.classifier.languages)
        verdicts: dict[tuple[str, str, str], tuple[str, str | None]] = {}
        for declared, found, script in rows:
            language, reason = self._choose(declared, found), None
            if self.reject_other and differs(declared, found, script, known):
                reason = OTHER_LANGUAGE
            elif self.reject_unknown and language == UNDETERMINED:
                reason = NO_LANGUAGE
            verdicts[declared, found, script] = language, reason
        return verdicts


def differs(declared: str, found: str, script: str, known: frozenset[str]) -> bool:
    """Tell whether a text is surely not in the language that its source says.

    Args:
        declared: Canonical tag of the source.
        found: Canonical tag that was accepted, or `und`.
        script: Code of the text's script.
        known: Base languages that the classifier can return.

    Returns:
        False where the source names no language, where the two are related, and where the
        classifier cannot know better: it found nothing, or does not know the declared language and
        the script fits it.
    """
    if UNDETERMINED in (declared, found) or script == UNKNOWN_SCRIPT:
        return False
    first, second = base_language(declared), base_language(found)
    if first == second or second in _related().get(first, ()):
        return False
    return first in known or script not in script_rules().scripts_of(declared)


@functools.cache
def _related() -> dict[str, frozenset[str]]:
    source = resources.files("hunmin.text.identification").joinpath("data/related.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "related.yaml")
    related: dict[str, frozenset[str]] = {}
    for group in content["groups"]:
        for language in group:
            related[language] = related.get(language, frozenset()) | frozenset(group)
    return related


def _with_columns(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    for name, values in columns.items():
        index = batch.schema.get_field_index(name)
        if index < 0:
            batch = batch.append_column(name, values)
        else:
            batch = batch.set_column(index, pa.field(name, values.type), values)
    return batch

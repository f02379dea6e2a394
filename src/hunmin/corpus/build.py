"""From sources to a documents artifact."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import hunmin
from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.hashing import hash_sources
from hunmin.core.logs import get_logger
from hunmin.corpus.documents import DOCUMENT_SCHEMA, DOCUMENTS_KIND, SPLITS, read_parts
from hunmin.corpus.engines.registry import open_engine
from hunmin.corpus.holdout import single_group_error
from hunmin.corpus.parts import move_groups
from hunmin.corpus.report.card import data_card
from hunmin.corpus.report.report import write_report
from hunmin.corpus.sources.describe import describe_sources
from hunmin.corpus.sources.home.massive import write_massive
from hunmin.corpus.sources.registry import num_workers_of
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.statistics import statistics_of
from hunmin.corpus.steps.notes import count_split
from hunmin.corpus.steps.outcome import Outcome
from hunmin.corpus.steps.run import run_steps
from hunmin.corpus.steps.workspace import Workspace

logger = get_logger(__name__)


def build_corpus(
    spec: CorpusSpec,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> Artifact:
    """Make a documents artifact.

    Args:
        spec: What is read, dropped and held out.
        output: Folder of the artifact; an older one there is replaced.
        recipe: What the manifest records; the spec itself by default.
        title: Of the report; None for a corpus without one.

    Returns:
        The artifact: train, validation, test, rejects, statistics.json, samples.json, README.md
        (a data card), report.md, report.html, report.json and plots, and massive/LOCALE.jsonl if
        there is a home-assistant source.

    Raises:
        MissingInputError: A path does not exist.
        TextEncodingError: A file is not text, or in no known encoding.
        EmptyCorpusError: No document is left, or none can be held out.
        InputError: A file or a field is not what the recipe says.
        MissingExtraError: A package that the recipe needs is not installed.

    Note:
        What is done is kept in a hidden folder beside the output until the artifact is whole: the
        same call after an interruption goes on there. The same input gives the same bytes,
        whatever the engine and the number of workers. Memory: a shard of about 64 MB for each
        worker, and keys; see `hunmin.corpus.steps.duplicates.decide`.
    """
    check_output(output, DOCUMENTS_KIND)
    spec = spec.model_copy(update={"sources": tuple(s for s in spec.sources if s.enabled)})
    content = dict(recipe) if recipe is not None else spec.model_dump(mode="json")
    workspace = Workspace.beside(output)
    workspace.resume(_job(spec))
    try:
        workers = num_workers_of(spec)
        with open_engine(spec.engine, num_workers=workers, address=spec.address) as engine:
            outcome = run_steps(spec, workspace, engine)
        with write_artifact(output, DOCUMENTS_KIND, recipe=content) as draft:
            draft.facts = _finish(spec, outcome, draft.path, title)
    except EmptyCorpusError:
        # The same recipe and files would come to the same end.
        workspace.remove()
        raise
    except InputError:
        workspace.remove_if_empty()
        raise
    workspace.remove()
    return load_artifact(output, DOCUMENTS_KIND, verify=False)


def _job(spec: CorpusSpec) -> Any:
    """All that decides the result."""
    root = Path(hunmin.__file__).parent
    return [
        spec.model_dump(mode="json", exclude=set(CorpusSpec.INDIFFERENT)),
        describe_sources(spec),
        hash_sources([root / "text", root / "corpus"]),
    ]


def _finish(spec: CorpusSpec, outcome: Outcome, folder: Path, title: str | None) -> dict[str, Any]:
    """Fill the artifact's folder; return the facts for its manifest."""
    for side, files in outcome.files.items():
        _link_parts(files, folder / side)
    if spec.validation_fraction > 0:
        _hold_out_every_language(spec, outcome, folder)
    if any(source.kind == "home-assistant" for source in spec.sources):
        moved = outcome.guard.groups_to_move() if spec.validation_fraction > 0 else []
        form = spec.spoken.massive if spec.spoken is not None else "written"
        write_massive(folder, outcome.written, frozenset(moved), form=form)
    facts = statistics_of(outcome.tally) | outcome.facts
    if spec.privacy is not None:
        facts = {"privacy": {"documents": 0, "counts": {}, "sources": {}}} | facts
    _write_json(folder / "statistics.json", facts)
    _write_json(folder / "samples.json", outcome.samples)
    card = data_card(facts, title=title or "Documents")
    (folder / "README.md").write_text(card, encoding="utf-8")
    if spec.report and title is not None:
        write_report(folder, facts, outcome.samples, title=title)
    return facts


def _link_parts(files: Sequence[Path], folder: Path) -> None:
    """Give files with rows a second name in the artifact; the workspace stays whole."""
    folder.mkdir()
    with_rows = (file for file in files if pq.read_metadata(file).num_rows)
    for number, file in enumerate(with_rows):
        part = folder / f"part-{number:05d}.parquet"
        try:
            os.link(file, part)
        except OSError:
            # Some file systems know no second names.
            shutil.copyfile(file, part)


def _hold_out_every_language(spec: CorpusSpec, outcome: Outcome, folder: Path) -> None:
    groups = outcome.guard.groups_to_move()
    train, validation = folder / "train", folder / "validation"
    if groups:
        logger.info("held out %d more groups, so that each language has one", len(groups))
        move_groups(groups, train, validation, DOCUMENT_SCHEMA)
        outcome.tally.drop("kept")
        for split in SPLITS:
            for batch in read_parts(folder / split):
                count_split(outcome.tally, batch, split)
    if 0 in (outcome.tally.total("kept documents", at2=split) for split in ("train", "validation")):
        raise single_group_error(", ".join(source.source_name for source in spec.sources))
    alone = outcome.guard.languages_without_validation()
    if alone:
        logger.warning("nothing is held out for %s: one group each", ", ".join(alone))


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")

"""Evaluation sets: an index of their items, to look documents up in."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.decontamination.index import ContaminationRule, EvaluationIndex, build_index
from hunmin.corpus.decontamination.storage import load_index, save_index
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import FilesSource
from hunmin.corpus.spec import DecontaminateSpec

_MAX_ITEM_CHARACTERS = 1_000_000


def index_evaluation_sets(spec: DecontaminateSpec, folder: Path) -> EvaluationIndex:
    """Make the index of a recipe's evaluation sets.

    Args:
        spec: The sets.
        folder: Where the index goes; one that is there is taken as it is.

    Returns:
        The index.

    Raises:
        MissingInputError: A file of a set does not exist.
        EmptyCorpusError: A set holds no item.
    """
    if not folder.is_dir():
        sets: dict[str, list[str]] = {}
        for source in spec.sets:
            sets.setdefault(source.source_name, []).extend(_items(source))
        save_index(build_index(sets, ContaminationRule(min_share=spec.min_share)), folder)
    return load_index(folder)


def _items(source: FilesSource) -> list[str]:
    reader = FileReader(source, _MAX_ITEM_CHARACTERS)
    items = [
        text
        for batch in reader.batches(lambda _: None)
        for text, reason in zip(batch["text"].to_pylist(), batch["reason"].to_pylist(), strict=True)
        if text and reason is None
    ]
    if not items:
        raise EmptyCorpusError(
            f"the evaluation set '{source.source_name}' holds no item",
            where=", ".join(source.paths),
            hint="look at `fields` of this set: which field holds the question or sentence?",
        )
    return items

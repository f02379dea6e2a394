"""Evaluation items put into real documents, to measure how many of them are found."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.core.hashing import seed_from
from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.decontamination.search import find_items
from hunmin.corpus.dedup.planting import Change, exact


def plant_items(
    items: Mapping[str, str], documents: pa.Array, change: Change = exact, *, seed: int = 0
) -> pa.Table:
    """Put each item between two words of a document.

    Args:
        items: Texts of items by name.
        documents: Texts without these items.
        change: What becomes of an item on the way, such as `planting.spaces_lost(0.15)` or
            `planting.decomposed` of `hunmin.corpus.dedup`.
        seed: Another seed chooses other documents and places.

    Returns:
        Columns `id` (number of the document), `text` and `item` (name), one row for each item.

    Raises:
        InputError: There is no document.
    """
    if not len(documents):
        raise InputError("there is no document to put evaluation items into")
    draw = random.Random(seed_from("plant items", seed))
    texts = [
        _inserted(documents[draw.randrange(len(documents))].as_py(), change(item, draw), draw)
        for item in items.values()
    ]
    ids = [f"planted-{number:08}" for number in range(len(texts))]
    columns = [pa.array(column, pa.string()) for column in (ids, texts, list(items))]
    return pa.Table.from_arrays(columns, names=["id", "text", "item"])


def _inserted(document: str, item: str, draw: random.Random) -> str:
    words = document.split(" ")
    words.insert(draw.randrange(len(words) + 1), item)
    return " ".join(words)


def found_share(planted: pa.Table, index: EvaluationIndex) -> float:
    """Return the share of planted items that are found in the document that they were put into.

    Args:
        planted: What `plant_items` returned.
        index: Index of the same items under the same names.

    Returns:
        A share in [0, 1].

    Raises:
        InputError: Nothing was planted.
    """
    if not planted.num_rows:
        raise InputError("no evaluation item was planted")
    hits = [find_items(batch, index) for batch in planted.to_batches(max_chunksize=1000)]
    found = pa.Table.from_batches(hits).select(["id", "item"]).to_pylist()
    pairs = {(row["id"], row["item"]) for row in found}
    wanted = zip(planted["id"].to_pylist(), planted["item"].to_pylist(), strict=True)
    return float(sum(pair in pairs for pair in wanted) / planted.num_rows)

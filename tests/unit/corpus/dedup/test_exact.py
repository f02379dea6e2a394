"""Exact duplicates, in any order and in batches of any size."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.corpus.dedup.clusters import KEY_SCHEMA, duplicates, key_clusters
from hunmin.corpus.dedup.exact import exact_keys
from hunmin.text.unicode import normalize

TEXT = "훈민정음은 백성을 가르치는 바른 소리다."
VARIANTS = [TEXT, unicodedata.normalize("NFD", TEXT), f"\n{TEXT} ", f"{TEXT}\r\n"]
OTHERS = [TEXT.upper() + "!", TEXT.replace(" ", ""), "", "Straße", "strasse"]


def batch_of(texts: list[str], priorities: list[int] | None = None) -> pa.RecordBatch:
    columns = {"id": [f"d{number:03}" for number in range(len(texts))], "text": texts}
    schema = [("id", pa.string()), ("text", pa.string())]
    if priorities is not None:
        columns["priority"] = priorities  # type: ignore[assignment]
        schema.append(("priority", pa.int32()))
    return pa.RecordBatch.from_pydict(columns, schema=pa.schema(schema))


def test_equal_after_normalisation_is_equal() -> None:
    keys = exact_keys(batch_of([*VARIANTS, *OTHERS]))
    assert keys.schema == KEY_SCHEMA
    names = keys["key"].to_pylist()
    assert len(set(names[: len(VARIANTS)])) == 1
    assert len(set(names)) == 1 + len(OTHERS)
    assert {len(name) for name in names} == {16}


def test_the_first_source_is_kept_whatever_its_ids() -> None:
    clusters = key_clusters(pa.Table.from_batches([exact_keys(batch_of(VARIANTS, [2, 1, 0, 0]))]))
    assert duplicates(clusters).to_pylist() == ["d000", "d001", "d003"]
    assert set(clusters["cluster_size"].to_pylist()) == {4}


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.sampled_from([*VARIANTS, *OTHERS]), max_size=12),
    cuts=st.integers(1, 5),
    data=st.data(),
)
def test_neither_order_nor_batches_matter(texts: list[str], cuts: int, data: st.DataObject) -> None:
    batch = batch_of(texts)
    order = data.draw(st.permutations(range(len(texts))))
    shuffled = batch.take(pa.array(order, pa.int64()))
    parts = [exact_keys(shuffled.slice(at, cuts)) for at in range(0, len(texts), cuts)]
    whole = key_clusters(pa.Table.from_batches([exact_keys(batch)]))
    assert key_clusters(pa.Table.from_batches(parts, schema=KEY_SCHEMA)).equals(whole)


@given(st.lists(st.text(max_size=20), max_size=8), st.integers(0, 3))
def test_normal_texts_are_hashed_where_they_lie(texts: list[str], first: int) -> None:
    normal = [normalize(text) for text in texts]
    ids = [f"{number}" for number in range(len(normal))]
    batch = pa.RecordBatch.from_pydict(
        {"id": pa.array(ids, pa.string()), "text": pa.array(normal, pa.string())}
    ).slice(min(first, len(normal)))
    assert exact_keys(batch, is_normal=True).equals(exact_keys(batch))

"""Keepers, components and cluster sizes: one answer, whatever the order."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.clusters import (
    CLUSTER_SCHEMA,
    EDGE_SCHEMA,
    KEY_SCHEMA,
    cluster_sizes,
    clusters_of,
    connected_components,
    duplicates,
    ids_of,
    key_clusters,
    members_of,
    merge_clusters,
)


def plain_components(edges: list[tuple[int, int]], size: int) -> list[int]:
    labels = list(range(size))
    for _ in range(size):
        for left, right in edges:
            labels[left] = labels[right] = min(labels[left], labels[right])
    return labels


@settings(max_examples=60, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=40), data=st.data()
)
def test_components_are_those_of_the_definition(
    edges: list[tuple[int, int]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(edges))
    left, right = np.array(shuffled, np.int64).reshape(-1, 2).T
    assert connected_components(left, right, 25).tolist() == plain_components(edges, 25)


@pytest.mark.parametrize("size", [1, 2, 5000])
def test_long_chains_are_one_component(size: int) -> None:
    nodes = np.random.default_rng(0).permutation(size)
    assert connected_components(nodes[:-1], nodes[1:], size).tolist() == [0] * size


def test_the_smallest_member_has_the_lowest_priority_then_the_smallest_id() -> None:
    ids = pa.array(["b", "a", "c", "d"])
    members = members_of(ids, pa.array([1, 1, 0, 255], pa.int16()))
    order = sorted(members.to_pylist())
    assert ids_of(pa.array(order)).to_pylist() == ["c", "a", "b", "d"]
    assert ids_of(members_of(ids)).to_pylist() == ids.to_pylist()
    assert members_of(pa.array(["가"], pa.large_string())).type == pa.string()
    assert len(members_of(pa.array([], pa.string()))) == 0


@pytest.mark.parametrize("priority", [-1, 65_536, None])
def test_priorities_out_of_range_are_refused(priority: int | None) -> None:
    with pytest.raises(InputError, match=r"(?s)priority.*65,535"):
        members_of(pa.array(["a", "b"]), pa.array([0, priority], pa.int64()))


def test_missing_ids_are_refused() -> None:
    with pytest.raises(InputError, match="without an id"):
        members_of(pa.array(["a", None]))


def table_of(pairs: list[tuple[str, str]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*pairs, strict=True)) if pairs else [(), ()]
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)],
                                schema=schema)  # fmt: skip


def test_clusters_of_edges() -> None:
    members = members_of(pa.array(["z", "a", "b", "c", "d"]), pa.array([0, 1, 1, 1, 1])).to_pylist()
    z, a, b, c, d = members
    clusters = clusters_of(table_of([(a, b), (z, b), (z, b), (c, d)], EDGE_SCHEMA))
    assert clusters.to_pylist() == [
        {"id": "c", "keeper": "c", "cluster_size": 2},
        {"id": "d", "keeper": "c", "cluster_size": 2},
        {"id": "a", "keeper": "z", "cluster_size": 3},
        {"id": "b", "keeper": "z", "cluster_size": 3},
        {"id": "z", "keeper": "z", "cluster_size": 3},
    ]
    assert duplicates(clusters).to_pylist() == ["d", "a", "b"]
    assert cluster_sizes(pa.array(["x", "b", "c"]), clusters).to_pylist() == [1, 3, 2]


def test_no_edges_no_clusters() -> None:
    clusters = clusters_of(EDGE_SCHEMA.empty_table())
    assert clusters.schema == CLUSTER_SCHEMA
    assert clusters.num_rows == 0
    assert cluster_sizes(pa.array(["x"]), clusters).to_pylist() == [1]
    assert key_clusters(KEY_SCHEMA.empty_table()).num_rows == 0


@settings(max_examples=30, deadline=None)
@given(
    keys=st.lists(st.sampled_from(["k1", "k2", "k3"]), max_size=12),
    priorities=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    seed=st.integers(0, 9),
)
def test_key_clusters_keep_the_smallest_in_any_order(
    keys: list[str], priorities: list[int], seed: int
) -> None:
    ids = [f"d{number:02}" for number in range(len(keys))]
    names = members_of(pa.array(ids, pa.string()), pa.array(priorities[: len(ids)], pa.int64()))
    rows = list(zip((key.encode() for key in keys), names.to_pylist(), strict=True))
    random.Random(seed).shuffle(rows)
    clusters = key_clusters(table_of(rows, KEY_SCHEMA))
    kept = set(ids) - set(duplicates(clusters).to_pylist())
    expected = {
        min((priority, name) for k, priority, name in zip(keys, priorities, ids, strict=False)
            if k == key)[1]
        for key in set(keys)
    }  # fmt: skip
    assert kept == expected
    for row in clusters.to_pylist():
        assert row["cluster_size"] == keys.count(keys[int(row["id"][1:])])


def test_two_documents_with_one_id_are_refused() -> None:
    rows = [(b"k", "0000:a"), (b"k", "0000:a")]
    with pytest.raises(InputError, match=r"(?s)same id.*0000:a"):
        key_clusters(table_of(rows, KEY_SCHEMA))  # type: ignore[arg-type]


def cluster_table(rows: list[tuple[str, str, int]]) -> pa.Table:
    names = CLUSTER_SCHEMA.names
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows], schema=CLUSTER_SCHEMA
    )


def test_two_passes_add_up() -> None:
    exact = cluster_table([("a", "a", 2), ("b", "a", 2), ("x", "x", 2), ("y", "x", 2)])
    near = cluster_table([("a", "a", 2), ("c", "a", 2)])
    assert merge_clusters(exact, near).to_pylist() == [
        {"id": "a", "keeper": "a", "cluster_size": 3},
        {"id": "b", "keeper": "a", "cluster_size": 3},
        {"id": "c", "keeper": "a", "cluster_size": 3},
        {"id": "x", "keeper": "x", "cluster_size": 2},
        {"id": "y", "keeper": "x", "cluster_size": 2},
    ]
    with pytest.raises(InputError, match="b was dropped by the first pass"):
        merge_clusters(exact, cluster_table([("b", "b", 2), ("c", "b", 2)]))

"""Clusters of duplicates: who is kept, how many stand behind it; the same on every engine.

A *member* is a document's name for choosing keepers: its priority in hexadecimal, a colon and its
id. The smallest member, compared as a string, has the lowest priority number and among equals the
smallest id, so "keep min over (priority, id)" is a plain minimum of strings that any engine's
group-by can take.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.errors import InputError
from hunmin.corpus.hashes import Positions

KEY_SCHEMA = pa.schema([("key", pa.binary()), ("member", pa.string())])
"""One row for each document and key; documents with one key are candidates or duplicates."""

EDGE_SCHEMA = pa.schema([("leader", pa.string()), ("member", pa.string())])
"""Two members that are duplicates; the leader is the smaller one."""

CLUSTER_SCHEMA = pa.schema(
    [("id", pa.string()), ("keeper", pa.string()), ("cluster_size", pa.int64())]
)
"""Documents in clusters of two or more, with the id that is kept and the size of the cluster."""

MAX_PRIORITY = 0xFFFF
_PRIORITY_DIGITS = 4


def members_of(ids: pa.Array, priorities: pa.Array | None = None) -> pa.Array:
    """Return the members of documents.

    Args:
        ids: Ids of documents, strings.
        priorities: Integers in [0, 65535], the lowest is kept; None for 0 everywhere.

    Returns:
        Strings of one length more than the ids: `0000:…`.

    Raises:
        InputError: An id is missing, or a priority is missing or out of range.
    """
    if ids.null_count:
        raise InputError("documents without an id cannot be compared", given=f"{ids.null_count:,}")
    if priorities is None:
        priorities = pa.repeat(pa.scalar(0), len(ids))
    encoded = priorities.dictionary_encode()
    names = [_priority_name(value) for value in encoded.dictionary.to_pylist()]
    if encoded.indices.null_count:
        names = [_priority_name(None)]
    prefixes = pa.array(names, pa.string()).take(encoded.indices)
    return pc.binary_join_element_wise(prefixes, ids.cast(pa.string()), ":")


def ids_of(members: pa.Array) -> pa.Array:
    """Return the ids of members."""
    return pc.utf8_slice_codeunits(members, start=_PRIORITY_DIGITS + 1)


def _priority_name(priority: int | None) -> str:
    if priority is None or not 0 <= priority <= MAX_PRIORITY:
        raise InputError(
            "this cannot be a document's priority",
            given=priority,
            allowed=f"0 (kept first) to {MAX_PRIORITY:,}",
        )
    return f"{priority:0{_PRIORITY_DIGITS}x}"


def sorted_members(members: pa.Array) -> Positions:
    """Return the order that sorts members.

    Args:
        members: One for each document.

    Returns:
        Row of the smallest member, of the next one, …; int64.

    Raises:
        InputError: Two documents have one id.
    """
    order = pc.sort_indices(members)
    in_order = members.take(order)
    same = pc.equal(in_order[1:], in_order[:-1]).to_numpy(zero_copy_only=False)
    if same.any():
        raise InputError(
            "two documents have the same id",
            given=in_order[int(np.argmax(same))].as_py(),
            hint="give every document an id of its own before looking for duplicates",
        )
    rows: Positions = order.to_numpy().astype(np.int64)
    return rows


def connected_components(left: Positions, right: Positions, size: int) -> Positions:
    """Find which of the nodes 0…size-1 hang together.

    Args:
        left: One end of each edge.
        right: The other end.
        size: Number of nodes.

    Returns:
        For each node the smallest node of its component, int64, shape (size,).

    Note:
        Labels only ever fall, and a node's label is always a node of its component. In each round
        every root with a smaller neighbour takes that one's root as its own, so the rounds end
        when both ends of every edge agree: then one label is left for each component, its
        smallest node. Independent of the order of the edges.
    """
    labels = np.arange(size, dtype=np.int64)
    while True:
        left_labels, right_labels = labels[left], labels[right]
        apart = left_labels != right_labels
        if not apart.any():
            return labels
        lower = np.minimum(left_labels, right_labels)[apart]
        upper = np.maximum(left_labels, right_labels)[apart]
        np.minimum.at(labels, upper, lower)
        labels = _roots(labels)


def _roots(labels: Positions) -> Positions:
    while True:
        above = labels[labels]
        if np.array_equal(above, labels):
            return labels
        labels = above


def clusters_of(edges: pa.Table) -> pa.Table:
    """Turn edges into clusters.

    Args:
        edges: EDGE_SCHEMA, in any order; an edge may stand twice.

    Returns:
        CLUSTER_SCHEMA, sorted by keeper and id; the keeper is the smallest member of its cluster.
    """
    ends = [edges[name].combine_chunks() for name in ("leader", "member")]
    nodes = pc.unique(pa.concat_arrays(ends).cast(pa.string()))
    nodes = nodes.take(pc.sort_indices(nodes))
    left, right = (pc.index_in(end, nodes).to_numpy().astype(np.int64) for end in ends)
    ids = ids_of(nodes)
    return _clusters(ids, ids.take(pa.array(connected_components(left, right, len(nodes)))))


def key_clusters(keys: pa.Table) -> pa.Table:
    """Make a cluster of all documents with one key.

    Args:
        keys: KEY_SCHEMA in any order, one row for each document.

    Returns:
        CLUSTER_SCHEMA, sorted by keeper and id.

    Raises:
        InputError: Two documents have the same id.
    """
    members = keys["member"].combine_chunks()
    order = sorted_members(members)
    codes = keys["key"].combine_chunks().dictionary_encode().indices.to_numpy()[order]
    # Rows stand by member, so the first row of each code is the keeper of that code.
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    ids = ids_of(members.take(pa.array(order)))
    return _clusters(ids, ids.take(pa.array(first[inverse])))


def _clusters(ids: pa.Array, keepers: pa.Array) -> pa.Table:
    """The table of clusters of at least two."""
    encoded = keepers.dictionary_encode().indices.to_numpy()
    sizes = pa.array(np.bincount(encoded)[encoded], pa.int64())
    table = pa.Table.from_arrays([ids, keepers, sizes], schema=CLUSTER_SCHEMA)
    table = table.filter(pc.greater(table["cluster_size"], 1))
    return table.sort_by([("keeper", "ascending"), ("id", "ascending")])


def duplicates(clusters: pa.Table) -> pa.Array:
    """Return the ids to drop (the other side of an engine's `anti_join`)."""
    dropped = clusters.filter(pc.not_equal(clusters["id"], clusters["keeper"]))
    return dropped["id"].combine_chunks()


def cluster_sizes(ids: pa.Array, clusters: pa.Table) -> pa.Array:
    """Return how many documents stand behind each id: 1 for those that have no duplicate.

    Args:
        ids: Ids of documents.
        clusters: CLUSTER_SCHEMA.

    Returns:
        int64, shape of `ids`.
    """
    places = pc.index_in(ids, clusters["id"].combine_chunks())
    sizes = clusters["cluster_size"].combine_chunks().take(places)
    return pc.fill_null(sizes, 1)


def merge_clusters(first: pa.Table, second: pa.Table) -> pa.Table:
    """Put together the clusters of two passes, the second over what the first had kept.

    Args:
        first: CLUSTER_SCHEMA, such as those of exact duplicates.
        second: CLUSTER_SCHEMA of documents that the first pass kept.

    Returns:
        CLUSTER_SCHEMA, sorted by keeper and id; sizes count the documents of both passes.

    Raises:
        InputError: The second pass saw a document that the first one had dropped.
    """
    strays = pc.is_in(second["id"], duplicates(first))
    if pc.any(strays).as_py():
        raise InputError(
            "these clusters are not of two passes in a row",
            given=f"{second['id'].filter(strays)[0].as_py()} was dropped by the first pass",
            hint="run the second pass over what the first one kept",
        )
    ids = pc.unique(pa.concat_arrays([table["id"].combine_chunks() for table in (first, second)]))
    return _clusters(ids, _keepers(_keepers(ids, first), second))


def _keepers(ids: pa.Array, clusters: pa.Table) -> pa.Array:
    """The keeper of each id; itself if it is in no cluster."""
    places = pc.index_in(ids, clusters["id"].combine_chunks())
    return pc.coalesce(clusters["keeper"].combine_chunks().take(places), ids)

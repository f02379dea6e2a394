"""Near duplicates: against exact Jaccard on real text, and the same on every path."""

from __future__ import annotations

import pickle
import random
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.buckets import NearDuplicates, find_near_duplicates
from hunmin.corpus.dedup.clusters import EDGE_SCHEMA, clusters_of, duplicates
from hunmin.corpus.dedup.minhash import MinHash, similarity
from hunmin.corpus.dedup.near import (
    NearDuplicateRule,
    band_rows,
    check_pairs,
    matrix_of,
    sign_documents,
)
from hunmin.corpus.dedup.planting import CHANGES, plant
from hunmin.corpus.dedup.shingles import shingle, units_of
from hunmin.corpus.dedup.truth import (
    SimilarPairs,
    drop_precision,
    exact_pairs,
    pair_recall,
    pairs_of_either,
    planted_recall,
)

RULE = NearDuplicateRule()


def signed(documents: pa.Table, batch_size: int = 200) -> pa.Table:
    kernel = partial(sign_documents, minhash=RULE.minhash)
    return pa.Table.from_batches(map(kernel, documents.to_batches(max_chunksize=batch_size)))


def is_kept(documents: pa.Table, found: NearDuplicates) -> npt.NDArray[np.bool_]:
    dropped = pc.is_in(documents["id"], duplicates(found.clusters))
    return np.logical_not(dropped.to_numpy())


def with_copies(documents: pa.Table, count: int) -> tuple[pa.Table, pa.Table]:
    copies = plant(documents, dict.fromkeys(CHANGES, count))
    return pa.concat_tables([documents, copies.select(documents.column_names)]), copies


def exact(documents: pa.Table) -> SimilarPairs:
    units = units_of(documents["language"].combine_chunks())
    return exact_pairs(shingle(documents["text"].combine_chunks(), units))


@pytest.fixture(scope="module")
def korean(korean_documents: pa.Table) -> tuple[pa.Table, pa.Table]:
    return with_copies(korean_documents, 40)


def test_recall_and_precision_on_korean(korean: tuple[pa.Table, pa.Table]) -> None:
    documents, copies = korean
    found = find_near_duplicates(signed(documents), RULE)
    kept, truth = is_kept(documents, found), exact(documents)
    assert len(truth.left) > 200
    assert pair_recall(truth, kept, minimum=0.8) >= 0.99
    assert drop_precision(truth, kept, minimum=0.7) >= 0.97
    words = exact_pairs(shingle(documents["text"].combine_chunks(), ["words"] * len(documents)))
    assert pair_recall(words, kept, minimum=0.8) >= 0.99
    assert drop_precision(pairs_of_either(words, truth), kept, minimum=0.7) >= 0.97
    planted = planted_recall(copies, found.clusters)
    assert {planted[name] for name in ("exact", "nfd")} == {1.0}
    assert planted["spaces lost 3%"] >= 0.99
    assert planted["spaces lost 15%"] >= 0.99
    assert planted["padded"] >= 0.95
    assert found.capped == ()
    assert found.as_json()["dropped"] == int((~kept).sum())


def test_recall_and_precision_in_other_scripts_and_languages(foreign_documents: pa.Table) -> None:
    documents, copies = with_copies(foreign_documents, 60)
    found = find_near_duplicates(signed(documents), RULE)
    kept, truth = is_kept(documents, found), exact(documents)
    assert pair_recall(truth, kept, minimum=0.8) >= 0.99
    assert drop_precision(truth, kept, minimum=0.7) >= 0.97
    planted = planted_recall(copies, found.clusters)
    assert {planted[name] for name in ("exact", "nfd")} == {1.0}


def test_neither_order_nor_batches_matter(korean: tuple[pa.Table, pa.Table]) -> None:
    documents = korean[0].slice(len(korean[0]) - 300)
    expected = find_near_duplicates(signed(documents), RULE)
    order = list(range(len(documents)))
    random.Random(0).shuffle(order)
    again = find_near_duplicates(signed(documents.take(order), batch_size=7), RULE)
    assert again.clusters.equals(expected.clusters)
    assert (again.candidates, again.edges) == (expected.candidates, expected.edges)
    assert expected.clusters.num_rows > 100


def run_as_an_engine(table: pa.Table, rule: NearDuplicateRule) -> pa.Table:
    """The same job by group-by and join alone, as an engine would run it."""
    rows = pa.Table.from_batches(map(band_rows, table.to_batches(max_chunksize=50)))
    # Joins of this engine take no lists, so signatures travel by row number.
    place = pa.table({"member": table["member"], "row": pa.array(range(len(table)), pa.int64())})
    signatures = table["signature"].combine_chunks()
    edges = []
    while rows.num_rows:
        leaders = rows.group_by("key").aggregate([("member", "min")])
        pairs = rows.join(leaders.rename_columns(["key", "leader"]), "key")
        pairs = pairs.filter(pc.not_equal(pairs["leader"], pairs["member"])).combine_chunks()
        left = pc.index_in(pairs["leader"], place["member"]).combine_chunks()
        right = pc.index_in(pairs["member"], place["member"]).combine_chunks()
        columns = {
            "key": pairs["key"].combine_chunks(),
            "leader": pairs["leader"].combine_chunks(),
            "leader_signature": signatures.take(left),
            "member": pairs["member"].combine_chunks(),
            "signature": signatures.take(right),
        }
        batch = pa.RecordBatch.from_pydict(columns)
        edges.append(pa.Table.from_batches([check_pairs(batch, rule.threshold)], EDGE_SCHEMA))
        keys = ["leader", "member"]
        rows = pairs.join(edges[-1].group_by(keys).aggregate([]), keys, join_type="left anti")
        rows = rows.select(["key", "member"])
    return clusters_of(pa.concat_tables(edges))


def test_an_engine_with_group_by_and_join_finds_the_same(foreign_documents: pa.Table) -> None:
    documents, _ = with_copies(foreign_documents.slice(0, 150), 20)
    table = signed(documents)
    assert run_as_an_engine(table, RULE).equals(find_near_duplicates(table, RULE).clusters)


def signed_table(signatures: npt.NDArray[np.uint32], minhash: MinHash) -> pa.Table:
    keys = minhash.band_keys(signatures)
    size = len(signatures)
    return pa.table(
        {
            "member": pa.array([f"0000:{number:06}" for number in range(size)], pa.string()),
            "signature": pa.FixedSizeListArray.from_arrays(
                pa.array(signatures.reshape(-1)), minhash.permutations
            ),
            "bands": pa.FixedSizeListArray.from_arrays(pa.array(keys.reshape(-1)), minhash.bands),
        }
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 1), min_size=6, max_size=6), min_size=0, max_size=20),
    threshold=st.sampled_from([0.5, 0.7, 1.0]),
)
def test_no_two_documents_that_are_kept_share_a_bucket_and_are_similar(
    rows: list[list[int]], threshold: float
) -> None:
    minhash = MinHash(bands=3, rows=2)
    signatures = np.array(rows, np.uint32).reshape(-1, 6)
    table = signed_table(signatures, minhash)
    rule = NearDuplicateRule(minhash, threshold)
    found = find_near_duplicates(table, rule)
    dropped = set(duplicates(found.clusters).to_pylist())
    kept = [number for number in range(len(rows)) if f"{number:06}" not in dropped]
    keys = minhash.band_keys(signatures)
    for at, left in enumerate(kept):
        for right in kept[at + 1 :]:
            alike = similarity(signatures[[left]], signatures[[right]])[0] >= np.float32(threshold)
            assert not (alike and (keys[left] == keys[right]).any())
    for row in found.clusters.to_pylist():
        assert row["keeper"] <= row["id"]


def test_a_capped_bucket_is_reported_and_loses_no_edge() -> None:
    """Fifty pairs of copies in one bucket, where no two pairs resemble each other."""
    minhash = MinHash(bands=1, rows=40)
    draw = np.random.default_rng(0)
    pairs = draw.integers(0, 2**32, (50, 40), np.uint32)
    signatures = np.repeat(pairs, 2, axis=0)
    table = signed_table(signatures, minhash)
    bucket = np.zeros((100, 1), np.uint64)
    table = table.set_column(
        2, "bands", pa.FixedSizeListArray.from_arrays(pa.array(bucket.reshape(-1)), 1)
    )
    whole = find_near_duplicates(table, NearDuplicateRule(minhash, max_bucket=100))
    assert (whole.capped, len(duplicates(whole.clusters))) == ((), 50)
    capped = find_near_duplicates(table, NearDuplicateRule(minhash, max_bucket=20))
    (report,) = capped.capped
    assert (report.band, report.size, report.leaders) == (0, 100, 3)
    assert (report.unresolved, report.example) == (94, "000006")
    assert capped.candidates == 99 + 97 + 95
    assert duplicates(capped.clusters).to_pylist() == ["000001", "000003", "000005"]
    assert capped.as_json()["capped"][0]["unresolved"] == 94


@pytest.mark.parametrize("size", [0, 1])
def test_batches_of_no_and_one_document(size: int) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"id": ["a"][:size], "text": ["가나다"][:size], "language": ["ko"][:size]},
        schema=pa.schema([(name, pa.string()) for name in ("id", "text", "language")]),
    )
    table = pa.Table.from_batches([sign_documents(batch, RULE.minhash)])
    assert find_near_duplicates(table, RULE).clusters.num_rows == 0
    assert find_near_duplicates(table.slice(0, 0), RULE).as_json()["dropped"] == 0
    assert band_rows(sign_documents(batch, RULE.minhash)).num_rows == 14 * size
    assert matrix_of(table["bands"].combine_chunks()).shape == (size, 14)


def test_priorities_decide_who_is_kept() -> None:
    text = "같은 글이 두 곳에 있으면 앞선 곳의 것이 남는다. " * 5
    batch = pa.RecordBatch.from_pydict(
        {"id": ["a", "b"], "text": [text, text + "!"], "language": ["ko", "ko"], "priority": [1, 0]}
    )
    rule: NearDuplicateRule = pickle.loads(pickle.dumps(RULE))
    table = pa.Table.from_batches([sign_documents(batch, rule.minhash)])
    assert duplicates(find_near_duplicates(table, rule).clusters).to_pylist() == ["a"]


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(InputError, match="share of equal hashes"):
        NearDuplicateRule(threshold=0)
    with pytest.raises(InputError, match="at least two documents"):
        NearDuplicateRule(max_bucket=1)


def test_planting_names_what_it_can_do(foreign_documents: pa.Table) -> None:
    with pytest.raises(InputError, match="Did you mean 'padded'"):
        plant(foreign_documents, {"paded": 1})
    with pytest.raises(InputError, match="too few documents"):
        plant(foreign_documents.slice(0, 3), {"exact": 4})
    assert plant(foreign_documents, {"nfd": 5}).equals(plant(foreign_documents, {"nfd": 5}))


def test_exact_pairs_are_those_of_the_definition(foreign_documents: pa.Table) -> None:
    documents, _ = with_copies(foreign_documents.slice(0, 40), 10)
    shingles = shingle(documents["text"].combine_chunks(), ["words"] * len(documents))
    sets = [set(shingles.of(row).tolist()) for row in range(len(shingles))]
    expected = {
        (left, right): len(one & other) / len(one | other)
        for left, one in enumerate(sets)
        for right, other in enumerate(sets)
        if left < right and len(one & other) / len(one | other) >= 0.5
    }
    pairs = exact_pairs(shingles, minimum=0.5)
    found = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    assert dict(zip(found, pairs.jaccard.tolist(), strict=True)) == pytest.approx(expected)
    nothing = np.ones(len(documents), np.bool_)
    assert pair_recall(pairs, nothing) == 0.0
    assert np.isnan(drop_precision(pairs, nothing))
    assert np.isnan(pair_recall(exact_pairs(shingle(pa.array(["a", "b"]), ["words"] * 2)), nothing))

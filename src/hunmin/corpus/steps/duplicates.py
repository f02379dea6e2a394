"""Duplicates: from the keys of all shards to what becomes of each document.

The engine finds which keys stand for several documents, and gathers their rows; only those come
into the memory of this process, where the clusters are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.core.progress import progress
from hunmin.corpus.dedup.buckets import NearDuplicates, find_near_duplicates
from hunmin.corpus.dedup.clusters import (
    CLUSTER_SCHEMA,
    KEY_SCHEMA,
    duplicates,
    key_clusters,
    merge_clusters,
)
from hunmin.corpus.dedup.minhash import MinHash
from hunmin.corpus.dedup.near import NearDuplicateRule
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.kernels import DUPLICATE, NEAR_DUPLICATE, occurrence_id
from hunmin.corpus.spec import DeduplicateSpec, NearDuplicateSpec
from hunmin.corpus.steps.decisions import DECISION_SCHEMA, Decisions
from hunmin.corpus.steps.judge import ROW_BITS, JudgedShard, addresses_of, band_names

Addresses = npt.NDArray[np.int64]

_MAX_SHOWN_CLUSTERS, _MAX_SHOWN_TEXTS = 8, 3


def decide(
    shards: Sequence[JudgedShard], spec: DeduplicateSpec, folder: Path, engine: Engine
) -> Decisions:
    """Find the duplicates among all documents and choose whom to keep.

    Args:
        shards: With their keys.
        spec: Which duplicates to look for.
        folder: Of the step.
        engine: Does the joins.

    Returns:
        Decisions, the same on every engine.

    Note:
        Memory: the members of clusters, about 200 bytes each, and 600 bytes for each document that
        shares a bucket with another one; the engine needs 16 bytes for each document at a time,
        and what its hash table takes.
    """
    search = _Search([shard.keys for shard in shards], folder, engine)
    steps = (1 if spec.exact else 0) + (spec.near.bands + 2 if spec.near else 0) + 1
    with progress("finding duplicates", total=steps, unit="joins") as bar:
        exact = search.exact() if spec.exact else CLUSTER_SCHEMA.empty_table()
        bar.advance(1 if spec.exact else 0)
        near = None
        if spec.near is not None:
            candidates = search.candidates(spec.near, addresses_of(duplicates(exact)), bar.advance)
            near = find_near_duplicates(candidates, _rule(spec.near))
            bar.advance(1)
        clusters = exact if near is None else merge_clusters(exact, near.clusters)
        gone = np.sort(addresses_of(duplicates(clusters)))
        new_ids = search.repeated_ids(gone)
        bar.advance(1)
    decisions = _decisions(clusters, addresses_of(duplicates(exact)), new_ids)
    _write_decisions(decisions, shards, folder / "decisions")
    return Decisions(folder / "decisions", _facts(spec, exact, near), tuple(_shown(clusters)))


def _rule(spec: NearDuplicateSpec) -> NearDuplicateRule:
    return NearDuplicateRule(MinHash(spec.bands, spec.rows), spec.threshold, spec.max_bucket)


class _Search:
    """Gathers the rows of keys that several documents have."""

    def __init__(self, paths: list[Path], folder: Path, engine: Engine) -> None:
        self._paths, self._folder, self._engine = paths, folder, engine

    def exact(self) -> pa.Table:
        """The clusters of equal texts."""
        rows = self._repeated("exact", "exact_key", ["member", "exact"])
        keys = pa.Table.from_arrays([rows["exact"], rows["member"]], names=["key", "member"])
        return key_clusters(keys.cast(KEY_SCHEMA))

    def candidates(self, spec: NearDuplicateSpec, gone: Addresses, advance: Any) -> pa.Table:
        """Member, signature and bands of the documents that share a bucket with another one."""
        names = band_names(spec)
        without = self._file("gone", gone) if len(gone) else None
        found = []
        for name in names:
            rows = self._repeated(name, name, ["address"], without)
            found.append(np.unique(rows["address"].to_numpy()))
            advance(1)
        wanted = self._file("wanted", np.unique(np.concatenate(found)))
        frame = self._engine.read(self._paths, ["address", "member", "signature", *names])
        frame = self._engine.join(frame, self._engine.read([wanted]), "address", how="semi")
        rows = self._written("candidates", frame, ["member", "signature", *names])
        advance(1)
        return _signed(rows, spec)

    def repeated_ids(self, gone: Addresses) -> dict[int, str]:
        """New ids, by address, for all but the first of the documents that stay and share one."""
        rows = self._repeated("ids", "id_key", ["id", "address"])
        stays = ~np.isin(rows["address"].to_numpy(), gone)
        rows = rows.filter(pa.array(stays)).sort_by([("id", "ascending"), ("address", "ascending")])
        new_ids: dict[int, str] = {}
        last, occurrence = "", 0
        for name, address in zip(rows["id"].to_pylist(), rows["address"].to_pylist(), strict=True):
            occurrence = occurrence + 1 if name == last else 1
            last = name
            if occurrence > 1:
                new_ids[address] = occurrence_id(name, occurrence)
        return new_ids

    def _repeated(
        self, name: str, key: str, columns: list[str], without: Path | None = None
    ) -> pa.Table:
        """The rows whose key another row has too."""
        engine = self._engine
        wanted = dict.fromkeys([key, "address", *columns])
        frame = engine.read(self._paths, list(wanted))
        if without is not None:
            frame = engine.join(frame, engine.read([without]), "address", how="anti")
        groups = engine.where_repeated(engine.group_min(frame, key, "address"))
        return self._written(name, engine.join(frame, groups, key, how="semi"), columns)

    def _written(self, name: str, frame: Any, columns: list[str]) -> pa.Table:
        """Compute a table, unless an interrupted build has done so, and read it."""
        folder = self._folder / name
        if not folder.is_dir():
            self._engine.write(frame, folder)
        schema = pq.read_schema(self._paths[0])
        fields = pa.schema([schema.field(column) for column in columns])
        paths = sorted(folder.rglob("*.parquet"))
        tables = [pq.read_table(path, columns=columns).cast(fields) for path in paths]
        return pa.concat_tables(tables) if tables else fields.empty_table()

    def _file(self, name: str, addresses: Addresses) -> Path:
        path = self._folder / f"{name}.parquet"
        with atomic_file(path) as draft:
            pq.write_table(pa.table({"address": pa.array(addresses)}), draft)
        return path


def _signed(rows: pa.Table, spec: NearDuplicateSpec) -> pa.Table:
    """Put signatures and bands into the form that the search takes."""
    width = spec.bands * spec.rows
    content = b"".join(rows["signature"].to_pylist())
    signatures = pa.array(np.frombuffer(content, np.uint32))
    bands = np.stack([rows[name].to_numpy().view(np.uint64) for name in band_names(spec)], axis=1)
    return pa.table(
        {
            "member": rows["member"],
            "signature": pa.FixedSizeListArray.from_arrays(signatures, width),
            "bands": pa.FixedSizeListArray.from_arrays(pa.array(bands.reshape(-1)), spec.bands),
        }
    )


def _decisions(clusters: pa.Table, exact_gone: Addresses, new_ids: dict[int, str]) -> pa.Table:
    """Address and decision of every document that does not simply stay."""
    addresses = addresses_of(clusters["id"].combine_chunks())
    is_kept = pc.equal(clusters["id"], clusters["keeper"])
    is_equal = pa.chunked_array([np.isin(addresses, exact_gone)])
    reasons = pc.if_else(is_equal, pa.scalar(DUPLICATE), pa.scalar(NEAR_DUPLICATE))
    nothing = pa.scalar(None, pa.string())
    clustered = {
        "address": pa.array(addresses),
        "reason": pc.if_else(is_kept, nothing, reasons),
        "copies": pc.if_else(is_kept, clusters["cluster_size"].cast(pa.int32()), None),
    }
    alone = sorted(new_ids.keys() - set(addresses.tolist()))
    renamed = {
        "address": pa.array(alone, pa.int64()),
        "reason": pa.nulls(len(alone), pa.string()),
        "copies": pa.nulls(len(alone), pa.int32()),
    }
    table = pa.concat_tables([pa.table(clustered), pa.table(renamed)])
    ids = pa.array([new_ids.get(at) for at in table["address"].to_pylist()], pa.string())
    return table.append_column("id", ids).sort_by("address")


def _write_decisions(decisions: pa.Table, shards: Sequence[JudgedShard], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    addresses = decisions["address"].to_numpy()
    numbers = np.array([shard.number for shard in shards], np.int64)
    starts = np.searchsorted(addresses, numbers << ROW_BITS)
    ends = np.searchsorted(addresses, (numbers + 1) << ROW_BITS)
    for shard, start, end in zip(shards, starts.tolist(), ends.tolist(), strict=True):
        own = decisions.slice(start, end - start)
        rows = pa.array(addresses[start:end] - (shard.number << ROW_BITS))
        table = own.drop_columns("address").add_column(0, "row", rows).cast(DECISION_SCHEMA)
        if len(table):
            with atomic_file(folder / f"{shard.name}.parquet") as draft:
                pq.write_table(table, draft)


def _facts(spec: DeduplicateSpec, exact: pa.Table, near: NearDuplicates | None) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if spec.exact:
        dropped = len(duplicates(exact))
        facts["exact"] = {"clusters": len(exact) - dropped, "dropped": dropped}
    if near is not None:
        facts["near"] = near.as_json()
    return facts


def _shown(clusters: pa.Table) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Size and first members of the largest clusters."""
    order = [("cluster_size", "descending"), ("keeper", "ascending"), ("id", "ascending")]
    keepers = clusters.filter(pc.equal(clusters["id"], clusters["keeper"])).sort_by(order)
    for row in keepers.slice(0, _MAX_SHOWN_CLUSTERS).to_pylist():
        own = clusters.filter(pc.equal(clusters["keeper"], row["keeper"]))["id"].combine_chunks()
        others = own.filter(pc.not_equal(own, row["keeper"])).slice(0, _MAX_SHOWN_TEXTS - 1)
        names = pa.concat_arrays([pa.array([row["keeper"]], pa.string()), others])
        yield row["cluster_size"], tuple(addresses_of(names).tolist())

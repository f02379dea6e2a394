"""Batches: the same for any number of processes, resumable, and right by a slow, obvious rule."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hunmin.core.artifact import Artifact
from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    EmptyCorpusError,
    InputError,
)
from hunmin.data.batch import TokenBatch, batch_from_windows
from hunmin.data.loader import TokenLoader
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import GroupFacts, TokenStream, read_facts

FIELDS = ("input_ids", "labels", "position_ids", "segment_ids")


def assert_equal(first: TokenBatch, second: TokenBatch) -> None:
    for name in FIELDS:
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def read_group(tokens: Artifact, group: GroupFacts) -> list[int]:
    parts = [np.fromfile(tokens.path / shard.file, dtype="uint16") for shard in group.shards]
    return np.concatenate(parts).tolist()


def train_groups(tokens: Artifact) -> dict[str, GroupFacts]:
    return read_facts(tokens).splits["train"].groups


def slow_rows(
    window: list[int], *, crossing: bool
) -> tuple[list[int], list[int], list[int], list[int]]:
    """One row the obvious way: walk over the tokens, start anew at each boundary."""
    inputs, labels, positions, segments = [], [], [], []
    position = segment = 0
    for place, token in enumerate(window[:-1]):
        if token == 0 and place > 0 and not crossing:
            position, segment = 0, segment + 1
        inputs.append(token)
        labels.append(window[place + 1])
        positions.append(position)
        segments.append(segment)
        position += 1
    return inputs, labels, positions, segments


@given(
    windows=st.integers(2, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 3), min_size=width, max_size=width), min_size=1, max_size=4
        )
    ),
    crossing=st.booleans(),
)
def test_rows_agree_with_the_slow_rule(windows: list[list[int]], crossing: bool) -> None:
    batch = batch_from_windows(np.array(windows), 0, cross_document_attention=crossing)
    for row, window in enumerate(windows):
        expected = slow_rows(window, crossing=crossing)
        assert tuple(getattr(batch, name)[row].tolist() for name in FIELDS) == expected
    assert [getattr(batch, name).dtype for name in FIELDS] == [torch.int64] * 3 + [torch.int32]


def test_batches_are_stretches_of_the_shards(tokens: Artifact) -> None:
    """Every row, read again from the files without the loader's code."""
    loader = TokenLoader(tokens, DataSpec(context=16), batch_size=8)
    streams = [read_group(tokens, group) for group in train_groups(tokens).values()]
    for index in (0, 1, 700):
        batch = loader.batch(index)
        groups, starts = loader.locate(np.arange(index * 8, index * 8 + 8))
        for row, (group, start) in enumerate(zip(groups, starts, strict=True)):
            stream = streams[group]
            window = [stream[(start + i) % len(stream)] for i in range(17)]
            expected = slow_rows(window, crossing=False)
            assert tuple(getattr(batch, name)[row].tolist() for name in FIELDS) == expected


@settings(max_examples=25, deadline=None)
@given(context=st.integers(8, 200), seed=st.integers(0, 2**32), num_epochs=st.integers(1, 3))
def test_every_token_is_a_target_equally_often(
    tokens: Artifact, context: int, seed: int, num_epochs: int
) -> None:
    """After whole epochs the counts of any two tokens of a group differ by one at most."""
    loader = TokenLoader(tokens, DataSpec(context=context, seed=seed), batch_size=1)
    groups, starts = loader.locate(np.arange(4096))
    for number, facts in enumerate(train_groups(tokens).values()):
        num_windows = -(-facts.tokens // context)
        mine = starts[groups == number][: num_epochs * num_windows]
        if len(mine) < num_epochs * num_windows:
            continue
        targets = (mine[:, None] + 1 + np.arange(context)) % facts.tokens
        counts = np.bincount(targets.ravel(), minlength=facts.tokens)
        assert counts.max() - counts.min() <= 1
        assert counts.min() >= num_epochs


def test_one_epoch_of_a_group_that_fills_its_windows_is_exact(
    tokens: Artifact,
) -> None:
    """With N a multiple of T each token is a target exactly once."""
    facts = train_groups(tokens)["ko"]
    divisors = [t for t in range(8, facts.tokens) if facts.tokens % t == 0]
    loader = TokenLoader(tokens, DataSpec(context=divisors[0]), batch_size=1)
    groups, starts = loader.locate(np.arange(4096))
    number = list(train_groups(tokens)).index("ko")
    mine = starts[groups == number][: facts.tokens // divisors[0]]
    assert sorted(mine.tolist()) == list(range(0, facts.tokens, divisors[0]))


@settings(max_examples=20, deadline=None)
@given(
    world_size=st.integers(1, 8),
    index=st.integers(0, 10**7),
    seed=st.integers(0, 2**32),
    temperature=st.floats(0, 1),
)
def test_processes_share_the_same_global_batch(
    tokens: Artifact, world_size: int, index: int, seed: int, temperature: float
) -> None:
    spec = DataSpec(context=32, seed=seed, temperature=temperature)
    alone = TokenLoader(tokens, spec, batch_size=8).batch(index)
    for rank in range(world_size):
        loader = TokenLoader(tokens, spec, batch_size=8, rank=rank, world_size=world_size)
        part = loader.batch(index)
        for name in FIELDS:
            assert torch.equal(getattr(part, name), getattr(alone, name)[rank::world_size])


@settings(max_examples=10, deadline=None)
@given(done=st.integers(0, 30))
def test_resuming_equals_going_on(tokens: Artifact, done: int) -> None:
    spec = DataSpec(context=16)
    whole = TokenLoader(tokens, spec, batch_size=4)
    batches = [batch for batch, _ in zip(whole, range(done + 5), strict=False)]
    first = TokenLoader(tokens, spec, batch_size=4)
    for _ in zip(range(done), first, strict=False):
        pass
    second = TokenLoader(tokens, spec, batch_size=4)
    second.load_state_dict(first.state_dict())
    for expected, found in zip(batches[done:], second, strict=False):
        assert_equal(expected, found)


def test_the_state_after_a_batch_points_to_the_next(tokens: Artifact) -> None:
    loader = TokenLoader(tokens, DataSpec(context=16), batch_size=4)
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict()["next_batch"] == 1
    assert_equal(next(iterator), loader.batch(1))


@pytest.mark.parametrize(
    ("change", "batch_size", "named"),
    [
        ({"seed": 1}, 4, "seed: 1"),
        ({"context": 32}, 4, "context: 32"),
        ({"temperature": 0.5}, 4, "temperature: 0.5"),
        ({}, 8, "batch_size: 8"),
    ],
)
def test_a_state_of_another_order_is_refused(
    tokens: Artifact, change: dict[str, Any], batch_size: int, named: str
) -> None:
    state = TokenLoader(
        tokens, DataSpec(**({"context": 16} | change)), batch_size=batch_size
    ).state_dict()
    loader = TokenLoader(tokens, DataSpec(context=16), batch_size=4)
    with pytest.raises(ArtifactMismatchError, match=named):
        loader.load_state_dict(state)


def test_a_state_of_other_shards_is_refused(
    tokens: Artifact, write: Callable[..., Artifact], tmp_path: Path
) -> None:
    other = write(tmp_path / "tokens", seed=3)
    state = TokenLoader(other, DataSpec(), batch_size=4).state_dict()
    with pytest.raises(ArtifactMismatchError, match=f"tokens: {other.digest}"):
        TokenLoader(tokens, DataSpec(), batch_size=4).load_state_dict(state)


def test_workers_and_shard_size_do_not_matter_for_a_state(tokens: Artifact) -> None:
    state = TokenLoader(tokens, DataSpec(num_workers=3), batch_size=4).state_dict()
    TokenLoader(tokens, DataSpec(shard_max_tokens=5), batch_size=4).load_state_dict(state)


def test_shares_of_the_samples(tokens: Artifact) -> None:
    spec = DataSpec(context=8, weights={"sw": 0.5, "ko": 0})
    loader = TokenLoader(tokens, spec, batch_size=1)
    assert loader.groups == ("en", "ko", "sw", "th")
    groups, _ = loader.locate(np.arange(4096))
    counts = Counter(loader.groups[group] for group in groups)
    assert counts["ko"] == 0
    assert abs(counts["sw"] - 2048) <= 1
    assert loader.shares["en"] + loader.shares["th"] == pytest.approx(0.5)


def test_a_group_smaller_than_the_context_goes_round(tokens: Artifact) -> None:
    size = train_groups(tokens)["sw"].tokens
    spec = DataSpec(context=4 * size, weights={"sw": 1, "en": 0, "ko": 0, "th": 0})
    row = TokenLoader(tokens, spec, batch_size=1).batch(0).input_ids[0]
    assert torch.equal(row[:size], row[size : 2 * size])
    assert int((row == 0).sum()) == 4


def test_crossing_documents(tokens: Artifact) -> None:
    spec = DataSpec(context=64, cross_document_attention=True)
    batch = TokenLoader(tokens, spec, batch_size=2).batch(0)
    assert (batch.input_ids == 0).any()
    assert torch.equal(batch.position_ids, torch.arange(64).expand(2, 64))
    assert not batch.segment_ids.any()


def test_later_epochs_come_in_another_order(tokens: Artifact) -> None:
    loader = TokenLoader(tokens, DataSpec(context=8, mix_by="language"), batch_size=1)
    groups, starts = loader.locate(np.arange(2 * 4096))
    facts = train_groups(tokens)["ko"]
    number, num_windows = loader.groups.index("ko"), -(-facts.tokens // 8)
    mine = starts[groups == number]
    assert not np.array_equal(mine[:num_windows], mine[num_windows : 2 * num_windows])


def test_start_sample_shifts_the_order(tokens: Artifact) -> None:
    spec = DataSpec(context=16)
    shifted = TokenLoader(tokens, spec, batch_size=4, start_sample=8)
    assert_equal(shifted.batch(0), TokenLoader(tokens, spec, batch_size=4).batch(2))


def test_the_validation_split(tokens: Artifact) -> None:
    spec = DataSpec(context=16, weights={"sw": 0.1})
    loader = TokenLoader(tokens, spec, batch_size=2, split="validation")
    facts = read_facts(tokens).splits["validation"]
    assert "sw" not in loader.groups
    assert (loader.num_tokens, loader.num_bytes) == (facts.tokens, facts.bytes)
    assert loader.batch(0).input_ids.shape == (2, 16)


def test_a_missing_split(write: Callable[..., Artifact], tokens: Artifact, tmp_path: Path) -> None:
    facts = tokens.facts | {"splits": {"train": tokens.facts["splits"]["train"]}}
    shutil.copytree(tokens.path, tmp_path / "tokens")
    manifest = tokens.manifest.model_copy(update={"facts": facts})
    (tmp_path / "tokens" / "manifest.json").write_text(manifest.model_dump_json())
    with pytest.raises(EmptyCorpusError, match="no documents in the split 'validation'"):
        TokenLoader(
            Artifact(tmp_path / "tokens", manifest), DataSpec(), batch_size=1, split="validation"
        )


def test_shards_grouped_otherwise(tokens: Artifact) -> None:
    with pytest.raises(ArtifactMismatchError, match="grouped in another way"):
        TokenLoader(tokens, DataSpec(mix_by="source"), batch_size=1)


def test_an_unknown_group(tokens: Artifact) -> None:
    with pytest.raises(InputError, match=r"Did you mean 'ko'\?"):
        TokenLoader(tokens, DataSpec(weights={"kor": 0.5}), batch_size=1)


@pytest.mark.parametrize(("batch_size", "rank", "world_size"), [(1, 0, 2), (0, 0, 1), (4, 2, 2)])
def test_more_ranks_than_rows(
    tokens: Artifact, batch_size: int, rank: int, world_size: int
) -> None:
    with pytest.raises(InputError, match="not enough rows for every rank"):
        TokenLoader(tokens, DataSpec(), batch_size=batch_size, rank=rank, world_size=world_size)


def test_a_corrupt_shard_is_not_opened(tokens: Artifact, tmp_path: Path) -> None:
    shutil.copytree(tokens.path, tmp_path / "tokens")
    file = tmp_path / "tokens" / "train" / "ko-00000.bin"
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=r"ko-00000\.bin"):
        TokenLoader(Artifact(tmp_path / "tokens", tokens.manifest), DataSpec(), batch_size=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"context": 7},
        {"weights": {"ko": -1}},
        {"weights": {"ko": 1}, "mix_by": "none"},
        {"upweight": {"ko": 10}, "mix_by": "none"},
        {"upweight": {"ko": 0}},
        {"max_epochs": 0},
        {"source_temperature": 0.5},
        {"temperature": 2},
        {"num_workers": 0},
    ],
)
def test_spec_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DataSpec.model_validate(fields)


@given(start=st.integers(0, 10**6), length=st.integers(0, 400))
def test_streams_go_round_over_several_shards(tokens: Artifact, start: int, length: int) -> None:
    group = train_groups(tokens)["th"]
    expected = read_group(tokens, group)
    start %= group.tokens
    out = np.empty(length, dtype=np.int64)
    TokenStream(tokens.path, group, "uint16").read(start, out)
    assert out.tolist() == [expected[(start + i) % len(expected)] for i in range(length)]


def test_rows_and_devices(tokens: Artifact) -> None:
    batch = TokenLoader(tokens, DataSpec(context=8), batch_size=4).batch(0)
    part = batch.rows(1, 3).to("cpu")
    names: list[Tensor] = [getattr(part, name) for name in FIELDS]
    assert all(tensor.shape == (2, 8) for tensor in names)
    assert torch.equal(part.labels, batch.labels[1:3])


def test_the_order_never_changes_by_accident() -> None:
    """A resumed run of an earlier version must see the same samples."""
    from hunmin.data.mixture import Mixture

    groups, ranks = Mixture([0.5, 0.3, 0.2], 7).locate(np.arange(100_000, 100_008))
    assert groups.tolist() == [0, 0, 0, 1, 0, 2, 1, 0]
    assert ranks.tolist() == [49986, 49987, 49988, 30011, 49989, 20003, 30012, 49990]

"""The loader on real text in three languages from two sources: what is planned is what is drawn."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import zstandard
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.data.loader import TokenLoader
from hunmin.data.mixing import plan_mixture
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import TokenStream, read_facts
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

CONTEXT = 64
RUN_SAMPLES = 5 * 4096
SPEC = DataSpec(
    context=CONTEXT,
    mix_by="language and source",
    weights={"ko": 0.5},
    upweight={"news": 10},
    temperature=0.5,
    max_epochs=8,
    num_workers=1,
)
NEWS = {"ko": "kor.first1000", "ja": "jpn", "ru": "rus"}


def read_lines(path: Path, limit: int) -> Iterator[str]:
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file)
        for _, line in zip(range(limit), io.TextIOWrapper(stream, encoding="utf-8"), strict=False):
            yield line.strip()


def read_rows(data: Path) -> Iterator[dict[str, str]]:
    for language, code in NEWS.items():
        for line in read_lines(data / "ntrex128" / f"newstest2019-ref.{code}.txt.zst", 150):
            yield document(line, language, source="news")
        guide = data / "debian_install_guide" / f"{language}.jsonl.zst"
        for line in read_lines(guide, 60):
            yield document(json.loads(line)["text"][:4_000], language, source="guide")


@pytest.fixture(scope="module")
def corpus(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    rows = list(read_rows(shared_data))
    return write_documents(tmp_path_factory.mktemp("real") / "corpus", {"train": rows})


@pytest.fixture(scope="module")
def pieces(corpus: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("real") / "tokenizer"
    return train_tokenizer(TokenizerSpec(vocab_size=1_000), corpus, folder)


@pytest.fixture(scope="module")
def real(corpus: Artifact, pieces: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("real") / "tokens"
    return write_shards(SPEC, corpus, pieces, folder)


def make_loader(tokens: Artifact, spec: DataSpec = SPEC, **options: Any) -> TokenLoader:
    arguments = {"batch_size": 8, "run_tokens": RUN_SAMPLES * CONTEXT} | options
    return TokenLoader(tokens, spec, **arguments)


def test_draws_are_as_planned(real: Artifact) -> None:
    """Shares within a sample per block, epochs within the cap, the weight of Korean kept."""
    groups = read_facts(real).splits["train"].groups
    sizes = {name: group.tokens for name, group in groups.items()}
    plan = plan_mixture(sizes, SPEC, RUN_SAMPLES * CONTEXT)
    loader = make_loader(real)
    assert loader.shares == plan.shares
    drawn = np.bincount(loader.locate(np.arange(RUN_SAMPLES))[0], minlength=len(sizes))
    for number, group in enumerate(plan.groups):
        assert abs(drawn[number] - group.share * RUN_SAMPLES) < RUN_SAMPLES // 4096 + 1e-3
        assert drawn[number] * CONTEXT / group.tokens < SPEC.max_epochs * 1.05
    korean = sum(drawn[number] for number, name in enumerate(sizes) if name.startswith("ko/"))
    assert korean / RUN_SAMPLES == pytest.approx(0.5, abs=0.001)
    capped = [group.name for group in plan.groups if group.epochs > 0.999 * SPEC.max_epochs]
    assert capped
    assert all(name.endswith("/news") for name in capped)


def test_rows_hold_text_of_their_group(real: Artifact, pieces: Artifact, corpus: Artifact) -> None:
    """Decoded documents of each row are documents of the language and source that was planned."""
    tokenizer = load_tokenizer(pieces.path)
    loader = make_loader(real)
    texts: dict[str, set[str]] = {}
    for row in pq.read_table(corpus.path / "train").to_pylist():
        texts.setdefault(f"{row['language']}/{row['source']}", set()).add(row["text"])
    for index in range(40):
        groups, _ = loader.locate(np.arange(8 * index, 8 * index + 8))
        for row, group in zip(loader.batch(index).input_ids, groups, strict=True):
            parts = np.split(row.numpy(), np.flatnonzero(row.numpy() == tokenizer.boundary_id))
            for whole in parts[1:-1]:
                assert tokenizer.decode(whole.tolist()) in texts[loader.groups[group]]


def test_documents_are_drawn_equally_often(real: Artifact) -> None:
    """Within a group every document begins as often as any other, give or take one epoch."""
    loader = make_loader(real)
    facts = read_facts(real)
    groups, starts = loader.locate(np.arange(RUN_SAMPLES))
    for number, group in enumerate(facts.splits["train"].groups.values()):
        stream = np.empty(group.tokens, dtype=np.int64)
        TokenStream(real.path, group, facts.dtype).read(0, stream)
        places = (starts[groups == number][:, None] + np.arange(CONTEXT)) % group.tokens
        counts = np.bincount(places.ravel(), minlength=group.tokens)[stream == 0]
        assert len(counts) == group.documents
        assert counts.max() - counts.min() <= 2
        epochs = len(places) * CONTEXT / group.tokens
        assert abs(counts.mean() - epochs) < 0.25


def test_ten_times_the_weight_are_ten_times_the_draws(real: Artifact) -> None:
    """Against the other source of the language; without temperature, weights and caps."""
    plain = DataSpec(context=CONTEXT, mix_by="language and source")
    more = plain.model_copy(update={"upweight": {"news": 10.0}})
    draws = []
    for spec in (plain, more):
        loader = make_loader(real, spec)
        found = Counter(loader.groups[g] for g in loader.locate(np.arange(RUN_SAMPLES))[0])
        draws.append(found)
    for language in NEWS:
        ratios = [found[f"{language}/news"] / found[f"{language}/guide"] for found in draws]
        assert ratios[1] / ratios[0] == pytest.approx(10, rel=0.02)


def test_a_source_that_is_switched_off_never_comes(real: Artifact) -> None:
    spec = DataSpec(context=CONTEXT, mix_by="language and source", weights={"guide": 0})
    loader = make_loader(real, spec)
    drawn = {loader.groups[g] for g in loader.locate(np.arange(RUN_SAMPLES))[0]}
    assert drawn == {"ja/news", "ko/news", "ru/news"}


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_processes_share_the_mixture(real: Artifact, world_size: int) -> None:
    alone = make_loader(real)
    ranks = [make_loader(real, rank=r, world_size=world_size) for r in range(world_size)]
    for index in (0, 511, 2_000):
        whole = alone.batch(index).input_ids
        for rank, loader in enumerate(ranks):
            assert torch.equal(loader.batch(index).input_ids, whole[rank::world_size])


def test_resuming_with_a_cap(real: Artifact) -> None:
    first = make_loader(real)
    batches = [batch for batch, _ in zip(first, range(5), strict=False)]
    again = make_loader(real)
    again.load_state_dict({**first.state_dict(), "next_batch": 3})
    assert torch.equal(next(iter(again)).input_ids, batches[3].input_ids)
    longer = make_loader(real, run_tokens=RUN_SAMPLES * CONTEXT - 1)
    with pytest.raises(ArtifactMismatchError, match="run_tokens"):
        longer.load_state_dict(first.state_dict())


def test_workers_do_not_change_the_shards(
    real: Artifact, corpus: Artifact, pieces: Artifact, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"num_workers": 2})
    assert write_shards(spec, corpus, pieces, tmp_path / "tokens").digest == real.digest


def test_a_cap_needs_the_length_of_the_run(real: Artifact) -> None:
    with pytest.raises(InputError, match=r"data\.max_epochs.*length of the run"):
        TokenLoader(real, SPEC, batch_size=8)

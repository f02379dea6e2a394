"""Corrupted batches: any number of processes, resumed or not, and what the objective says."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, InputError, VocabularyError
from hunmin.data.batch import Batch, TokenBatch
from hunmin.data.corrupting import CorruptingLoader, make_loader
from hunmin.data.loader import TokenLoader
from hunmin.data.objectives.base import Layout
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.load import TextTokenizer


def assert_equal(found: Batch, expected: Batch) -> None:
    assert type(found) is type(expected)
    for field in fields(expected):  # type: ignore[arg-type]
        assert torch.equal(getattr(found, field.name), getattr(expected, field.name)), field.name


def every(batch: Batch, rank: int, world_size: int) -> Batch:
    return batch._map(lambda tensor: tensor[rank::world_size])


# The objectives of each kind of model that every invariant holds for.
CASES: list[tuple[Layout, list[dict[str, Any]] | None]] = [
    (Layout.ALIGNED, None),
    (Layout.ALIGNED, [{"kind": "masked"}, {"kind": "masked", "density": 0.5, "weight": 2}]),
    (Layout.NEXT_TOKEN, [{"kind": "prefix"}, {"kind": "causal"}]),
    (Layout.SEQUENCE, None),
    (
        Layout.SEQUENCE,
        [{"kind": kind} for kind in ("infill", "spans", "deshuffle", "denoise", "prefix")],
    ),
]


@pytest.mark.parametrize(("layout", "objectives"), CASES)
def test_processes_share_batches_and_resume_them(
    reserved_tokens: Artifact,
    reserved_tokenizer: TextTokenizer,
    layout: Layout,
    objectives: list[dict[str, Any]] | None,
) -> None:
    spec = DataSpec.model_validate({"context": 48, "objectives": objectives, "seed": 3})
    options: dict[str, Any] = {"batch_size": 6}
    alone = make_loader(reserved_tokens, spec, reserved_tokenizer, layout, **options)
    assert isinstance(alone, CorruptingLoader)
    for rank in range(4):
        part = make_loader(
            reserved_tokens, spec, reserved_tokenizer, layout, rank=rank, world_size=4, **options
        )
        assert_equal(part.batch(11), every(alone.batch(11), rank, 4))
    shifted = make_loader(
        reserved_tokens, spec, reserved_tokenizer, layout, start_sample=12, **options
    )
    assert_equal(shifted.batch(9), alone.batch(11))
    iterator = iter(alone)
    next(iterator)
    resumed = make_loader(reserved_tokens, spec, reserved_tokenizer, layout, **options)
    resumed.load_state_dict(alone.state_dict())
    assert_equal(next(iter(resumed)), alone.batch(1))


@pytest.fixture
def masked(reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer) -> TokenBatch:
    loader = make_loader(
        reserved_tokens,
        DataSpec(context=64),
        reserved_tokenizer,
        Layout.ALIGNED,
        batch_size=256,
    )
    batch = loader.batch(0)
    assert isinstance(batch, TokenBatch)
    return batch


def test_masked_rows_are_the_packed_rows(
    masked: TokenBatch, reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    """Where nothing is scored the row is as it was; elsewhere the label says what was there."""
    plain = TokenLoader(reserved_tokens, DataSpec(context=64), batch_size=256).batch(0)
    scored = masked.labels.ne(-100)
    assert torch.equal(torch.where(scored, masked.labels, masked.input_ids), plain.input_ids)
    assert torch.equal(masked.segment_ids, plain.segment_ids)
    assert torch.equal(masked.position_ids, plain.position_ids)
    boundaries = plain.input_ids.eq(reserved_tokenizer.boundary_id)
    assert not scored[boundaries].any()
    assert torch.equal(masked.input_ids == reserved_tokenizer.boundary_id, boundaries)


def test_masked_rates(masked: TokenBatch, reserved_tokenizer: TextTokenizer) -> None:
    text = masked.input_ids != reserved_tokenizer.boundary_id
    scored = masked.labels.ne(-100)
    assert reserved_tokenizer.mask_id is not None
    hidden = masked.input_ids == reserved_tokenizer.mask_id
    kept = masked.input_ids == masked.labels
    num_scored = float(scored.sum())
    # Documents here have some 40 tokens, so that hardly any gets its one token by force.
    assert num_scored / float(text.sum()) == pytest.approx(0.15, abs=0.012)
    assert float(hidden[scored].sum()) / num_scored == pytest.approx(0.8, abs=0.03)
    assert float(kept[scored].sum()) / num_scored == pytest.approx(0.1, abs=0.025)
    others = masked.input_ids[scored & ~hidden & ~kept]
    assert not set(others.tolist()) & reserved_tokenizer.special_ids
    assert not hidden[~scored].any()


def test_each_sample_is_masked_anew(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    """The same window in a later epoch has other masks; another seed has others too."""
    spec = DataSpec(context=64, weights={"sw": 1, "ko": 0, "en": 0, "th": 0})
    loader = make_loader(reserved_tokens, spec, reserved_tokenizer, Layout.ALIGNED, batch_size=512)
    batch = loader.batch(0)
    assert isinstance(batch, TokenBatch)
    whole = torch.where(batch.labels == -100, batch.input_ids, batch.labels)
    same = (whole == whole[0]).all(dim=1)
    assert int(same.sum()) > 3
    assert len(torch.unique(batch.labels[same] != -100, dim=0)) == int(same.sum())


def test_each_document_of_a_row_is_masked_on_its_own(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    """The same document several times in a row, as in a group smaller than the context."""
    spec = DataSpec(context=700, weights={"sw": 1, "ko": 0, "en": 0, "th": 0})
    loader = make_loader(reserved_tokens, spec, reserved_tokenizer, Layout.ALIGNED, batch_size=1)
    batch = loader.batch(0)
    assert isinstance(batch, TokenBatch)
    texts, masks = [], set()
    for segment in range(1, int(batch.segment_ids.max())):
        mine = batch.segment_ids[0] == segment
        labels, inputs = batch.labels[0][mine], batch.input_ids[0][mine]
        texts.append(tuple(torch.where(labels == -100, inputs, labels).tolist()))
        masks.add(tuple(labels.tolist()))
    assert len(texts) > 2 * len(set(texts))
    assert len(masks) == len(texts)


def test_a_decoder_without_objectives_reads_plain_rows(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    causal = DataSpec.model_validate({"context": 32, "objectives": [{"kind": "causal"}]})
    plain = TokenLoader(reserved_tokens, DataSpec(context=32), batch_size=4)
    for spec in (causal, DataSpec(context=32)):
        loader = make_loader(
            reserved_tokens, spec, reserved_tokenizer, Layout.NEXT_TOKEN, batch_size=4
        )
        assert type(loader) is TokenLoader
        assert_equal(loader.batch(2), plain.batch(2))
        loader.load_state_dict(plain.state_dict())


def test_rows_of_one_group(reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer) -> None:
    """Whatever the weights say, and the same windows as the group has among the others."""
    spec = DataSpec(context=16, weights={"ko": 0})
    loader = make_loader(
        reserved_tokens,
        spec,
        reserved_tokenizer,
        Layout.ALIGNED,
        batch_size=4,
        split="validation",
        only_group="ko",
    )
    assert loader.groups == ("ko",)
    assert loader.shares == {"ko": 1.0}
    whole = TokenLoader(reserved_tokens, spec, batch_size=4, split="validation")
    assert 0 < loader.num_tokens < whole.num_tokens
    windows, _ = loader.read_windows(np.arange(8))
    text = reserved_tokenizer.decode(windows.ravel().tolist())
    assert any(word in text for sentence in SENTENCES["ko"] for word in sentence.split())
    with pytest.raises(ArtifactMismatchError, match="only_group: ko"):
        loader.load_state_dict(
            make_loader(
                reserved_tokens,
                spec,
                reserved_tokenizer,
                Layout.ALIGNED,
                batch_size=4,
                split="validation",
            ).state_dict()
        )


def test_an_unknown_only_group(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    with pytest.raises(InputError, match=r"'validation' has no such group"):
        make_loader(
            reserved_tokens,
            DataSpec(),
            reserved_tokenizer,
            Layout.ALIGNED,
            batch_size=1,
            split="validation",
            only_group="sw",
        )


def test_a_state_of_other_objectives_is_refused(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    def state_of(objectives: list[dict[str, Any]] | None) -> CorruptingLoader:
        spec = DataSpec.model_validate({"context": 16, "objectives": objectives})
        loader = make_loader(
            reserved_tokens, spec, reserved_tokenizer, Layout.ALIGNED, batch_size=4
        )
        assert isinstance(loader, CorruptingLoader)
        return loader

    state_of(None).load_state_dict(state_of([{"kind": "masked"}]).state_dict())
    with pytest.raises(ArtifactMismatchError, match=r"objectives: .*'density': 0.3"):
        state_of(None).load_state_dict(state_of([{"kind": "masked", "density": 0.3}]).state_dict())


@pytest.mark.parametrize(
    ("layout", "kind", "message"),
    [
        (Layout.ALIGNED, "denoise", "an encoder cannot learn this objective.*denoise is for an"),
        (Layout.NEXT_TOKEN, "masked", "a decoder cannot learn"),
        (Layout.SEQUENCE, "causal", "an encoder-decoder cannot learn"),
    ],
)
def test_objectives_that_do_not_suit_the_model(
    reserved_tokens: Artifact,
    reserved_tokenizer: TextTokenizer,
    layout: Layout,
    kind: str,
    message: str,
) -> None:
    spec = DataSpec.model_validate({"objectives": [{"kind": kind}]})
    with pytest.raises(InputError, match=f"(?s)data.objectives.0.kind.*{message}"):
        make_loader(reserved_tokens, spec, reserved_tokenizer, layout, batch_size=1)


def test_a_tokenizer_without_reserved_tokens(tokens: Artifact, tokenizer: TextTokenizer) -> None:
    with pytest.raises(VocabularyError, match=r"tokenizer\.reserve: \[mask\]"):
        make_loader(tokens, DataSpec(), tokenizer, Layout.ALIGNED, batch_size=1)


def test_another_tokenizer_is_refused(tokens: Artifact, reserved_tokenizer: TextTokenizer) -> None:
    with pytest.raises(ArtifactMismatchError, match="written with another tokenizer"):
        make_loader(tokens, DataSpec(), reserved_tokenizer, Layout.ALIGNED, batch_size=1)

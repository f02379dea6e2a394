"""Packing for evaluation: every token of every document is scored exactly once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import ContextLengthError, InputError
from hunmin.data.batch import IGNORED_LABEL
from hunmin.data.scoring import ScoringBatch, pack_documents

DOCUMENTS = st.lists(st.lists(st.integers(1, 1_000), max_size=40), max_size=25)


def pack(documents: list[list[int]], **options: Any) -> list[ScoringBatch]:
    ids = [np.array(document, dtype=np.uint32) for document in documents]
    return list(pack_documents(ids, **({"batch_size": 3, "boundary_id": 0} | options)))


def segments_of(batch: ScoringBatch) -> list[dict[str, list[int]]]:
    """The stretches of one document in each row, as lists."""
    found = []
    for row in range(batch.input_ids.shape[0]):
        for segment in sorted(set(batch.segment_ids[row].tolist())):
            chosen = batch.segment_ids[row] == segment
            found.append(
                {
                    name: getattr(batch, name)[row][chosen].tolist()
                    for name in ("input_ids", "labels", "position_ids", "document_index")
                }
            )
    return [segment for segment in found if segment["document_index"][0] >= 0]


@given(documents=DOCUMENTS, context=st.integers(8, 24), advance=st.integers(1, 24))
def test_every_token_and_the_end_are_scored_once(
    documents: list[list[int]], context: int, advance: int
) -> None:
    stride = min(advance, context)
    scored: dict[int, list[int]] = {number: [] for number in range(len(documents))}
    for batch in pack(documents, context=context, stride=stride):
        for segment in segments_of(batch):
            (document,) = set(segment["document_index"])
            text = [0, *documents[document], 0]
            size = len(segment["input_ids"])
            assert segment["position_ids"] == list(range(size))
            places = [i for i, label in enumerate(segment["labels"]) if label != IGNORED_LABEL]
            # Scored tokens end the window; all before them is what they may look back at.
            assert places == list(range(places[0], size))
            starts = [
                s
                for s in range(len(text) - size)
                if text[s : s + size] == segment["input_ids"]
                and text[s + 1 + places[0] : s + size + 1] == segment["labels"][places[0] :]
            ]
            assert starts
            assert places[0] in (0, context - stride)
            assert places[0] > 0 or 0 in starts or stride == context
            scored[document] += segment["labels"][places[0] :]
    for number, document in enumerate(documents):
        assert sorted(scored[number]) == sorted([*document, 0])


def windows_of(document: list[int], **options: Any) -> list[tuple[list[int], list[int]]]:
    segments = [s for batch in pack([document], **options) for s in segments_of(batch)]
    return sorted((segment["input_ids"], segment["labels"]) for segment in segments)


def test_long_documents_are_cut_with_tokens_to_look_back_at() -> None:
    windows = windows_of(list(range(1, 15)), context=8, stride=4)
    assert windows == [
        ([0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]),
        ([4, 5, 6, 7, 8, 9, 10, 11], [-100, -100, -100, -100, 9, 10, 11, 12]),
        ([8, 9, 10, 11, 12, 13, 14], [-100, -100, -100, -100, 13, 14, 0]),
    ]


def test_without_a_stride_windows_do_not_overlap() -> None:
    assert windows_of(list(range(1, 12)), context=8) == [
        ([0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]),
        ([8, 9, 10, 11], [9, 10, 11, 0]),
    ]


def test_short_documents_share_rows() -> None:
    rng = np.random.default_rng(0)
    documents = [list(range(1, 1 + n)) for n in rng.integers(3, 60, size=500)]
    batches = pack(documents, context=128, batch_size=16)
    filled = sum(int((batch.document_index >= 0).sum()) for batch in batches)
    places = sum(batch.document_index.numel() for batch in batches)
    assert filled == sum(len(document) + 1 for document in documents)
    assert filled / places > 0.97


def test_padding_is_never_scored() -> None:
    (batch,) = pack([[5, 6]], context=8)
    assert batch.input_ids.tolist() == [[0, 5, 6, 0, 0, 0, 0, 0]]
    assert batch.labels.tolist() == [[5, 6, 0, -100, -100, -100, -100, -100]]
    assert batch.document_index.tolist() == [[0, 0, 0, -1, -1, -1, -1, -1]]
    assert len(set(batch.segment_ids[0].tolist())) == 2
    assert batch.segment_ids.dtype == torch.int32


def test_an_empty_document_scores_its_end() -> None:
    (batch,) = pack([[]], context=8)
    assert batch.labels[0].tolist() == [0] + [-100] * 7


def test_no_documents_give_no_batches() -> None:
    assert pack([], context=8) == []


def test_scoring_batches_move_whole() -> None:
    (batch,) = pack([[1], [2, 3, 4, 5, 6, 7, 8], [9, 9, 9, 9, 9, 9]], context=8)
    part = batch.rows(1, 2).to("cpu")
    assert isinstance(part, ScoringBatch)
    assert torch.equal(part.document_index, batch.document_index[1:2])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"context": 7}, ContextLengthError, "too short"),
        ({"context": 8, "stride": 0}, InputError, "stride"),
        ({"context": 8, "stride": 9}, InputError, "stride"),
        ({"context": 8, "batch_size": 0}, InputError, "batch size"),
    ],
)
def test_sizes_out_of_range(options: dict[str, int], error: type, message: str) -> None:
    arguments = {"batch_size": 1} | options
    with pytest.raises(error, match=message):
        pack_documents([], boundary_id=0, **arguments)

"""Pairs of encoder and decoder rows: taken apart again, they give the documents of the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError, VocabularyError
from hunmin.data.batch import IGNORED_LABEL, PairBatch, segment_positions
from hunmin.data.corrupting import CorruptingLoader, make_loader
from hunmin.data.loader import TokenLoader
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.ragged import Ragged
from hunmin.data.objectives.spans import restore
from hunmin.data.pairs import Pairs, PairShape, fit_shape, pack_pairs
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.reserved import CONTINUE_TOKEN, language_token, sentinel_tokens

CONTEXT = 96
Kind = dict[str, Any]


@pytest.fixture
def open_loader(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> Callable[..., CorruptingLoader]:
    def open_it(*objectives: Kind, **fields: Any) -> CorruptingLoader:
        values = {"context": CONTEXT, "objectives": objectives or None} | fields
        loader = make_loader(
            reserved_tokens,
            DataSpec.model_validate(values),
            reserved_tokenizer,
            Layout.SEQUENCE,
            batch_size=32,
        )
        assert isinstance(loader, CorruptingLoader)
        return loader

    return open_it


def batch_of(loader: CorruptingLoader, num_rows: int = 32) -> PairBatch:
    batch = loader.make_rows(np.arange(num_rows))
    assert isinstance(batch, PairBatch)
    return batch


def documents_of(loader: CorruptingLoader, num_rows: int = 32) -> list[list[list[int]]]:
    """Texts of each row's window, the obvious way; a row's first token is always a boundary."""
    windows, _ = loader.read_windows(np.arange(num_rows))
    rows = []
    for window in windows[:, :-1].tolist():
        texts: list[list[int]] = [[]]
        for token in window[1:]:
            if token == 0:
                texts.append([])
            else:
                texts[-1].append(token)
        rows.append([text for text in texts if text])
    return rows


def segments(batch: PairBatch) -> list[list[tuple[list[int], list[int], list[int]]]]:
    """What encoder and decoder have of each segment of each row: read, given, said."""
    rows = []
    for row in range(batch.num_rows):
        numbers = [n for n in batch.decoder_segment_ids[row].unique().tolist() if n >= 0]
        assert numbers == [n for n in batch.segment_ids[row].unique().tolist() if n >= 0]
        parts = []
        for number in numbers:
            read = batch.input_ids[row][batch.segment_ids[row] == number].tolist()
            mine = batch.decoder_segment_ids[row] == number
            given, said = batch.decoder_input_ids[row][mine], batch.labels[row][mine]
            parts.append((read, given.tolist(), said.tolist()))
        rows.append(parts)
    return rows


def is_subsequence(short: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in short)


COPYING: list[Kind] = [
    {"kind": "denoise"},
    {"kind": "infill"},
    {"kind": "deshuffle"},
    {"kind": "deshuffle", "of": "sentences"},
]


@pytest.mark.parametrize("kind", COPYING, ids=str)
def test_a_decoder_says_the_documents_of_the_window(
    open_loader: Callable[..., CorruptingLoader], kind: Kind, reserved_tokenizer: TextTokenizer
) -> None:
    loader = open_loader(kind)
    for parts, texts in zip(segments(batch_of(loader)), documents_of(loader), strict=True):
        assert [said for _, _, said in parts] == [[*text, 0] for text in texts]
        for (read, given, _), text in zip(parts, texts, strict=True):
            assert given == [0, *text]
            assert read[0] == 0
            inputs = [token for token in read[1:] if token != reserved_tokenizer.mask_id]
            if kind["kind"] == "denoise":
                assert is_subsequence(inputs, text)
                assert len(text) - len(inputs) == min(
                    max(1, round(0.15 * len(text))), len(text) - 1
                )
            if kind["kind"] == "deshuffle":
                assert Counter(inputs) == Counter(text)
            if kind["kind"] == "infill":
                assert not Counter(inputs) - Counter(text)
                assert len(inputs) < len(read) - 1


def test_spans_and_their_sentinels_give_the_text(
    open_loader: Callable[..., CorruptingLoader], reserved_tokenizer: TextTokenizer
) -> None:
    loader = open_loader({"kind": "spans"})
    ids = [reserved_tokenizer.token_id(name) for name in sentinel_tokens()]
    sentinels = tuple(found for found in ids if found is not None)
    for parts, texts in zip(segments(batch_of(loader)), documents_of(loader), strict=True):
        inputs = Ragged.from_lists([read[1:] for read, _, _ in parts])
        targets = Ragged.from_lists([said[:-1] for _, _, said in parts])
        assert restore(inputs, targets, sentinels).to_lists() == texts
        assert all(said[-1] == 0 and given == [0, *said[:-1]] for _, given, said in parts)


@pytest.mark.parametrize("kind", ["continue", "prefix"])
def test_a_continuation_ends_where_the_document_does(
    open_loader: Callable[..., CorruptingLoader], reserved_tokenizer: TextTokenizer, kind: str
) -> None:
    loader = open_loader({"kind": kind})
    marker = [reserved_tokenizer.token_id(CONTINUE_TOKEN)] if kind == "continue" else []
    windows, _ = loader.read_windows(np.arange(200))
    shares, ends = [], set()
    rows = zip(segments(batch_of(loader, 200)), documents_of(loader, 200), windows, strict=True)
    for parts, texts, window in rows:
        for number, ((read, given, said), text) in enumerate(zip(parts, texts, strict=True)):
            prefix, rest = read[1 + len(marker) :], said[:-1]
            assert read[: 1 + len(marker)] == [0, *marker]
            assert (prefix + rest, given) == (text, [0, *rest])
            is_over = number + 1 < len(texts) or 0 in window[-2:].tolist()
            assert said[-1] == (0 if is_over else IGNORED_LABEL)
            ends.add(said[-1])
            shares += [len(prefix) / len(text)] if len(text) > 9 else []
    assert ends == {0, IGNORED_LABEL}
    low, high = (0.2, 0.8) if kind == "continue" else (0.0, 1.0)
    assert low - 0.1 <= min(shares) < max(shares) <= high + 0.1


def test_language_tokens_are_those_of_the_group(
    open_loader: Callable[..., CorruptingLoader], reserved_tokenizer: TextTokenizer
) -> None:
    loader = open_loader({"kind": "infill", "language_tokens": True, "permute_sentences": False})
    _, groups = loader.read_windows(np.arange(32))
    assert len(set(groups.tolist())) > 1
    batch = batch_of(loader)
    assert batch.labels.shape[1] <= CONTEXT
    rows = zip(segments(batch), documents_of(loader), groups, strict=True)
    for parts, texts, group in rows:
        token = reserved_tokenizer.token_id(language_token(loader.groups[group]))
        assert [read[-1] for read, _, _ in parts] == [token] * len(parts)
        said = [said for _, _, said in parts]
        assert said[:-1] == [[*text, token, 0] for text in texts[: len(said) - 1]]
        # The tokens that are added take the room of the row's last ones.
        assert said[-1][-2:] == [token, 0]
        assert texts[len(said) - 1][: len(said[-1]) - 2] == said[-1][:-2]
        assert sum(map(len, texts)) - sum(len(one) - 2 for one in said) <= 2 * len(texts)


def test_shapes_are_those_of_the_whole_run(open_loader: Callable[..., CorruptingLoader]) -> None:
    loader = open_loader()
    shapes = {
        (batch.input_ids.shape, batch.labels.shape)
        for batch in (loader.batch(index) for index in (0, 1, 77))
    }
    assert shapes == {((32, loader.pair_shape.encoder), (32, loader.pair_shape.decoder))}
    assert loader.pair_shape.encoder % 16 == 0
    assert loader.pair_shape.encoder <= loader.pair_shape.decoder == CONTEXT


def test_the_usual_mixture_is_that_of_alexatm(
    open_loader: Callable[..., CorruptingLoader], reserved_tokenizer: TextTokenizer
) -> None:
    loader = open_loader()
    marker = reserved_tokenizer.token_id(CONTINUE_TOKEN)
    assert marker is not None
    marked = batch_of(loader, 1_000).input_ids.eq(marker).any(dim=1)
    assert float(marked.float().mean()) == pytest.approx(0.2, abs=0.04)


def test_attention_across_documents(open_loader: Callable[..., CorruptingLoader]) -> None:
    """Rows of denoising are one segment, with positions counted through; continuations are not."""
    loader = open_loader(cross_document_attention=True)
    apart = open_loader()
    one, many = batch_of(loader), batch_of(apart)
    assert torch.equal(one.input_ids, many.input_ids)
    assert torch.equal(one.labels, many.labels)
    several = many.segment_ids.max(dim=1).values > 0
    continues = (one.segment_ids == many.segment_ids).all(dim=1) & several
    assert 0 < int(continues.sum()) < int(several.sum())
    denoised = one.segment_ids[several & ~continues]
    assert int(denoised.max()) == 0
    assert torch.equal(one.position_ids, segment_positions(one.segment_ids))
    assert int(one.position_ids.max()) > int(many.position_ids.max())


def test_padding(open_loader: Callable[..., CorruptingLoader]) -> None:
    batch = batch_of(open_loader({"kind": "continue"}))
    read, said = batch.segment_ids.eq(-1), batch.decoder_segment_ids.eq(-1)
    assert read.any()
    assert said.any()
    assert set(batch.input_ids[read].tolist()) == set(batch.decoder_input_ids[said].tolist()) == {1}
    assert (batch.labels[said] == IGNORED_LABEL).all()
    assert not batch.position_ids[read].any()
    assert not batch.decoder_position_ids[said].any()
    assert torch.equal(batch.position_ids, segment_positions(batch.segment_ids))
    # Padding is at the end alone.
    assert (read.int().diff(dim=1) >= 0).all()
    assert (said.int().diff(dim=1) >= 0).all()


def test_one_long_row_does_not_widen_all_but_an_objective_does() -> None:
    def of_lengths(read: list[int], given: list[int]) -> Pairs:
        rows = np.arange(len(read))
        texts = [Ragged.from_lists([[0] * size for size in sizes]) for sizes in (read, given)]
        return Pairs(rows, texts[0], texts[1], texts[1], apart=True)

    usual = of_lengths([17] * 299 + [90], [40] * 298 + [90] * 2)
    assert fit_shape([usual], 96) == PairShape(32, 48)
    assert fit_shape([usual, of_lengths([70], [3])], 96) == PairShape(80, 48)
    assert fit_shape([of_lengths([90], [16])], 50) == PairShape(50, 16)


def test_what_does_not_fit_is_left_out() -> None:
    """Whole documents at the end of a row; of a single one its end."""
    texts = Ragged.from_lists([[0, 5], [0, 6, 7], [0, 8], [0, 9, 10, 11, 12]])
    pairs = Pairs(np.array([1, 1, 1, 2]), texts, texts, texts, apart=True)
    batch = pack_pairs(
        [pairs], PairShape(5, 4), num_rows=3, pad_id=1, cross_document_attention=False
    )
    assert batch.input_ids.tolist() == [[1] * 5, [0, 5, 1, 1, 1], [0, 9, 10, 11, 12]]
    assert batch.decoder_input_ids.tolist() == [[1] * 4, [0, 5, 1, 1], [0, 9, 10, 11]]
    assert batch.labels.tolist() == [[-100] * 4, [0, 5, -100, -100], [0, 9, 10, 11]]


def test_rows_of_pairs(open_loader: Callable[..., CorruptingLoader]) -> None:
    batch = batch_of(open_loader())
    part = batch.rows(3, 5).to("cpu").padded(4)
    assert part.num_rows == 4
    assert torch.equal(part.labels[:2], batch.labels[3:5])
    assert torch.equal(part.decoder_input_ids[3], batch.decoder_input_ids[3])
    assert (part.labels[2:] == IGNORED_LABEL).all()


def test_groups_that_do_not_tell_the_language(
    documents: Artifact,
    reserved_artifact: Artifact,
    reserved_tokenizer: TextTokenizer,
    tmp_path: Any,
) -> None:
    from hunmin.data.shards import write_shards

    values = {"mix_by": "none", "objectives": [{"kind": "infill", "language_tokens": True}]}
    spec = DataSpec.model_validate(values | {"num_workers": 1})
    tokens = write_shards(spec, documents, reserved_artifact, tmp_path / "tokens")
    with pytest.raises(InputError, match=r"(?s)data\.mix_by.*do not tell the language"):
        make_loader(tokens, spec, reserved_tokenizer, Layout.SEQUENCE, batch_size=1)


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ({"kind": "continue"}, "continue"),
        ({"kind": "spans"}, "spans"),
        ({"kind": "infill"}, "mask"),
    ],
)
def test_tokens_that_are_missing(
    tokens: Artifact, tokenizer: TextTokenizer, kind: Kind, needed: str
) -> None:
    spec = DataSpec.model_validate({"objectives": [{"kind": "denoise"}, kind]})
    with pytest.raises(VocabularyError, match=rf"(?s)objectives\.1.*reserve: \[{needed}\]"):
        make_loader(tokens, spec, tokenizer, Layout.SEQUENCE, batch_size=1)


def test_more_spans_than_sentinels(open_loader: Callable[..., CorruptingLoader]) -> None:
    """Told before training, not by the first long document."""
    with pytest.raises(InputError, match=r"may have more spans(?s:.*)raise mean_span"):
        open_loader({"kind": "spans"}, context=4096)
    assert open_loader({"kind": "spans", "mean_span": 8}, context=4096).pair_shape.decoder > 0


def prefix_rule(window: list[int], labels: list[int]) -> list[int]:
    """How many tokens of each document of a row are not scored, checking that all others are."""
    unscored, count = [], 0
    for token, label in zip(window[1:], labels, strict=True):
        if label == IGNORED_LABEL:
            assert token != 0
            count += 1
        else:
            assert label == token
        if token == 0:
            unscored.append(count)
            count = 0
    return [*unscored, count]


def test_a_decoder_is_given_the_beginning_of_each_document(
    reserved_tokens: Artifact, reserved_tokenizer: TextTokenizer
) -> None:
    spec = DataSpec.model_validate(
        {"context": CONTEXT, "objectives": [{"kind": "prefix"}, {"kind": "causal"}]}
    )
    loader = make_loader(
        reserved_tokens, spec, reserved_tokenizer, Layout.NEXT_TOKEN, batch_size=64
    )
    batch, plain = loader.batch(0), TokenLoader(reserved_tokens, spec, batch_size=64).batch(0)
    assert torch.equal(batch.input_ids, plain.input_ids)
    windows, _ = loader.read_windows(np.arange(64))
    counts = [
        prefix_rule(window, labels)
        for window, labels in zip(windows.tolist(), batch.labels.tolist(), strict=True)
    ]
    causal = [not any(row) for row in counts]
    assert 16 < sum(causal) < 48
    # A prefix has one token at least.
    assert all(all(row[:-1]) for row in counts if any(row))

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.evaluation.byte_models import (
    FALLBACK_DISCOUNTS,
    NgramModel,
    OrderZeroModel,
    kneser_ney_discounts,
)
from hunmin.evaluation.counts import CountTable, NgramCounter
from hunmin.evaluation.symbols import END_SYMBOL, NUM_SYMBOLS, iterate_keys, text_bytes

KOREAN = [
    "거실 불을 켜 줘",
    "거실 불을 꺼 줘",
    "안방 불을 켜 줘",
    "turn on the light",
    "",
    "불",
] * 3


def count(texts, order, batch_size=1000):
    counter = NgramCounter(order)
    for start in range(0, len(texts), batch_size):
        counter.add(*text_bytes(pa.array(texts[start : start + batch_size], pa.string())))
    return counter


def symbols_of(text):
    return [*text.encode(), END_SYMBOL]


class SlowKneserNey:
    """The equations of Chen & Goodman, one n-gram at a time."""

    def __init__(self, texts, order):
        grams = Counter()
        for text in texts:
            padded = [END_SYMBOL] * (order - 1) + symbols_of(text)
            grams.update(tuple(padded[i : i + order]) for i in range(len(padded) - order + 1))
        self.levels = [grams]
        for _ in range(order - 1):
            self.levels.append(Counter(gram[1:] for gram in self.levels[-1]))
        self.levels.reverse()

    def probability(self, gram):
        if not gram:
            return 1 / NUM_SYMBOLS
        counts = self.levels[len(gram) - 1]
        lower = self.probability(gram[1:])
        discounts = kneser_ney_discounts(np.array(list(counts.values())))
        after = {g: c for g, c in counts.items() if g[:-1] == gram[:-1]}
        if not after:
            return lower
        total = sum(after.values())
        removed = sum(discounts[min(c, 3)] for c in after.values())
        kept = counts[gram] - discounts[min(counts[gram], 3)] if gram in counts else 0.0
        return (kept + removed * lower) / total


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_matches_the_equations_taken_one_ngram_at_a_time(order):
    model = NgramModel.from_counts(count(KOREAN, order).table(), order)
    slow = SlowKneserNey(KOREAN, order)
    unseen = ["거실 창문 열어", "turn off", ""]
    nats = model.document_nats(*text_bytes(pa.array(unseen)))
    for text, found in zip(unseen, nats, strict=True):
        padded = [END_SYMBOL] * (order - 1) + symbols_of(text)
        grams = [tuple(padded[i : i + order]) for i in range(len(padded) - order + 1)]
        assert found == pytest.approx(-sum(math.log(slow.probability(g)) for g in grams))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(max_size=20), min_size=1, max_size=12),
    context=st.binary(max_size=8),
    order=st.integers(1, 7),
)
def test_probabilities_of_every_context_sum_to_one(texts, context, order):
    table = count(texts, order).table()
    for model in (NgramModel.from_counts(table, order), OrderZeroModel.from_counts(table)):
        distribution = model.distribution(context)
        assert distribution.shape == (NUM_SYMBOLS,)
        assert distribution.min() > 0
        assert distribution.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("order", [1, 5])
def test_document_score_is_the_product_of_its_distributions(order):
    model = NgramModel.from_counts(count(KOREAN, order).table(), order)
    text = "거실 불"
    data = text.encode()
    steps = [model.distribution(data[:i])[s] for i, s in enumerate(symbols_of(text))]
    nats = model.document_nats(*text_bytes(pa.array([text])))
    assert nats[0] == pytest.approx(-np.log(steps).sum())


def test_order_zero_counts_bytes_and_ends():
    model = OrderZeroModel.from_counts(count(["aab", "a"], 5).table())
    distribution = model.distribution(b"anything")
    total = 6 + NUM_SYMBOLS / 2
    assert distribution[ord("a")] == pytest.approx(3.5 / total)
    assert distribution[ord("b")] == pytest.approx(1.5 / total)
    assert distribution[END_SYMBOL] == pytest.approx(2.5 / total)
    nats = model.document_nats(*text_bytes(pa.array(["ab", ""])))
    expected = [-np.log(distribution[[97, 98, 256]]).sum(), -np.log(distribution[256])]
    assert nats == pytest.approx(expected)


def test_order_zero_is_the_same_from_counts_of_any_order():
    distributions = [
        OrderZeroModel.from_counts(count(KOREAN, order).table()).distribution(b"")
        for order in (1, 3, 5)
    ]
    np.testing.assert_array_equal(distributions[0], distributions[1])
    np.testing.assert_array_equal(distributions[0], distributions[2])


def test_counts_do_not_depend_on_how_documents_are_batched():
    whole = count(KOREAN, 5).table()
    pieces = count(KOREAN, 5, batch_size=1).table()
    np.testing.assert_array_equal(whole.keys, pieces.keys)
    np.testing.assert_array_equal(whole.counts, pieces.counts)
    assert whole.counts.sum() == sum(len(symbols_of(text)) for text in KOREAN)


def test_table_may_be_asked_for_between_batches():
    counter = count(KOREAN[:4], 3)
    counter.table()
    counter.add(*text_bytes(pa.array(KOREAN[4:])))
    np.testing.assert_array_equal(counter.table().counts, count(KOREAN, 3).table().counts)
    assert (counter.num_documents, counter.num_bytes) == (
        len(KOREAN),
        sum(len(text.encode()) for text in KOREAN),
    )


def test_merge_adds_counts():
    left = CountTable.from_keys(np.array([5, 1, 5], np.uint64))
    right = CountTable.from_keys(np.array([9, 5], np.uint64))
    merged = left.merge(right)
    assert merged.keys.tolist() == [1, 5, 9]
    assert merged.counts.tolist() == [1, 3, 1]


@given(texts=st.lists(st.text(max_size=30), max_size=6), chunk=st.integers(1, 40))
def test_keys_do_not_depend_on_the_size_of_a_piece(texts, chunk):
    data, lengths = text_bytes(pa.array(texts, pa.string()))
    whole = [*iterate_keys(data, lengths, 4)]
    pieces = [*iterate_keys(data, lengths, 4, chunk_symbols=chunk)]
    empty = np.zeros(0, np.uint64)
    np.testing.assert_array_equal(np.concatenate([empty, *whole]), np.concatenate([empty, *pieces]))
    assert sum(map(len, whole)) == sum(len(symbols_of(text)) for text in texts)


def test_no_context_reaches_into_the_document_before():
    data, lengths = text_bytes(pa.array(["ab", "cd"]))
    keys = np.concatenate([*iterate_keys(data, lengths, 3)])
    unpacked = [[int(k) >> 18, (int(k) >> 9) & 511, int(k) & 511] for k in keys]
    end, a, b, c, d = END_SYMBOL, 97, 98, 99, 100
    assert unpacked == [
        [end, end, a], [end, a, b], [a, b, end],
        [end, end, c], [end, c, d], [c, d, end],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_bytes_reads_any_arrow_string(kind):
    column = pa.array(["skip", "가나", None, "", "z"], pa.string()).cast(kind).slice(1)
    data, lengths = text_bytes(column)
    assert bytes(data) == "가나z".encode()
    assert lengths.tolist() == [6, 0, 0, 1]


def test_text_bytes_of_nothing():
    assert [part.size for part in text_bytes(pa.array([], pa.string()))] == [0, 0]
    assert text_bytes(pa.array(["", ""]))[1].tolist() == [0, 0]


def test_discounts_follow_the_counts_of_counts():
    counts = np.array([1] * 8 + [2] * 3 + [3] * 2 + [4] + [9])
    share = 8 / (8 + 2 * 3)
    expected = [0, 1 - 2 * share * 3 / 8, 2 - 3 * share * 2 / 3, 3 - 4 * share * 1 / 2]
    assert kneser_ney_discounts(counts) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [[1, 1], [1, 2, 3], [5, 6], [1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]])
def test_discounts_fall_back_where_the_estimate_is_not_valid(counts):
    assert kneser_ney_discounts(np.array(counts)).tolist() == [0.0, *FALLBACK_DISCOUNTS]


def test_five_bytes_of_context_beat_none_on_real_text(shared_data):
    import zstandard

    with zstandard.open(shared_data / "ha_intents" / "ko.tests.jsonl.zst", "rt", "utf-8") as file:
        texts = pa.array([line[:200] for line in file.read().splitlines()])
    held_out = np.arange(len(texts)) % 10 == 0
    counter = NgramCounter(5)
    counter.add(*text_bytes(texts.filter(pa.array(~held_out))))
    data, lengths = text_bytes(texts.filter(pa.array(held_out)))
    order_zero = OrderZeroModel.from_counts(counter.table()).document_nats(data, lengths)
    ngram = NgramModel.from_counts(counter.table(), 5).document_nats(data, lengths)
    assert ngram.sum() < 0.5 * order_zero.sum()

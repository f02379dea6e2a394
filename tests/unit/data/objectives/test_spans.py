"""T5's layout of spans, its sizes, and the way back to the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data.objectives.ragged import Documents, Ragged
from hunmin.data.objectives.randomness import document_keys
from hunmin.data.objectives.spans import SpanFilling, chunk_sizes, noise_flags, restore

from .conftest import MakeDocuments

# Not in ascending order: their order of use is what counts.
SENTINELS = tuple(range(199, 99, -1))


def flags(lengths: list[int], density: float = 0.15, mean_span: float = 3.0) -> list[np.ndarray]:
    rows = Ragged.from_lengths(np.zeros(sum(lengths)), np.array(lengths))
    keys = document_keys(0, "test", 0, 0, len(lengths))
    return np.split(noise_flags(rows, density, mean_span, keys), rows.offsets[1:-1])


def runs(noise: np.ndarray) -> np.ndarray:
    """Lengths of the runs of noise."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], noise.astype(int), [0]])))
    return edges[1::2] - edges[::2]


@given(
    length=st.integers(2, 600),
    density=st.floats(0.01, 0.99),
    mean_span=st.floats(1, 20),
)
def test_counts_follow_the_definition(length: int, density: float, mean_span: float) -> None:
    (noise,) = flags([length], density, mean_span)
    num_noise = min(max(round(length * density), 1), length - 1)
    num_spans = min(max(round(num_noise / mean_span), 1), num_noise, length - num_noise)
    assert noise.sum() == num_noise
    assert len(runs(noise)) == num_spans
    assert not noise[0]
    assert noise[-1]


def test_partitions_are_uniform() -> None:
    # 3 spans of 6 noised tokens among 20: C(5,2) partitions of the noise, C(13,2) of the rest.
    layouts = np.stack(flags([20] * 40_000, 0.3, 2.0))
    spans = np.stack([runs(layout) for layout in layouts[:10_000]])
    _, counts = np.unique(spans, axis=0, return_counts=True)
    assert len(counts) == 10
    assert np.all(np.abs(counts - 1_000) < 5 * np.sqrt(900))
    _, counts = np.unique(layouts, axis=0, return_counts=True)
    assert len(counts) == 10 * 78
    expected = 40_000 / 780
    # Chi-square with 779 degrees of freedom, 5 standard deviations.
    assert ((counts - expected) ** 2 / expected).sum() < 779 + 5 * np.sqrt(2 * 779)


def test_the_published_sizes() -> None:
    assert chunk_sizes(512) == (568, 114)
    tokens, targets = chunk_sizes(512, random_roll=True)
    assert (tokens, targets) == (567, 115)


@pytest.mark.parametrize("roll", [False, True])
def test_a_chunk_fills_the_inputs_and_never_more(roll: bool, make_documents: MakeDocuments) -> None:
    length, num_targets = chunk_sizes(512, random_roll=roll)
    result = SpanFilling(SENTINELS, random_roll=roll)(make_documents([length] * 300), 0, 0)
    # One of the 512 is the end token. A turned layout cuts no span in some rows.
    inputs, targets = set(result.inputs.lengths.tolist()), set(result.targets.lengths.tolist())
    assert inputs == ({510, 511} if roll else {511})
    assert targets == ({114, 115} if roll else {114})
    assert max(targets) == num_targets


def test_inputs_that_hold_no_span_are_refused() -> None:
    with pytest.raises(InputError, match="too short for a span"):
        chunk_sizes(2)


def test_the_layout_is_written_with_sentinels() -> None:
    documents = Documents.from_lists([[200, 201, 202, 203, 204, 205], [], [206]])
    noise = np.array([False, True, True, False, True, False, True])
    result = SpanFilling((150, 149, 148)).fill(documents, noise)
    assert result.inputs.to_lists() == [[200, 150, 203, 149, 205], [], [150]]
    assert result.targets.to_lists() == [[150, 201, 202, 149, 204, 148], [], [150, 206, 149]]
    assert result.scored.all()


@pytest.mark.parametrize("roll", [False, True])
def test_every_length_from_0_to_600_comes_back(roll: bool, make_documents: MakeDocuments) -> None:
    documents = make_documents(range(601))
    for epoch in range(3):
        result = SpanFilling(SENTINELS, random_roll=roll)(documents, epoch, 0)
        assert restore(result.inputs, result.targets, SENTINELS).to_lists() == documents.to_lists()


@given(
    lengths=st.lists(st.integers(0, 600), max_size=5),
    density=st.floats(0.01, 1.0),
    mean_span=st.floats(3, 20),
    first=st.integers(0, 2**40),
)
def test_any_setting_can_be_undone(
    lengths: list[int], density: float, mean_span: float, first: int
) -> None:
    sentinels = tuple(range(1_000, 1_400))
    documents = Documents.from_lists([range(length) for length in lengths])
    result = SpanFilling(sentinels, density, mean_span)(documents, 0, first)
    restored = restore(result.inputs, result.targets, sentinels)
    assert restored.to_lists() == documents.to_lists()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 10, 20])
def test_short_utterances_are_noised_anywhere(length: int, make_documents: MakeDocuments) -> None:
    n = 20_000
    hidden = hidden_places(make_documents([length] * n), n, length)
    share = min(max(round(0.15 * length), 1), length) / length
    # Single spans: after the roll every place is noised equally often; 5 standard deviations.
    assert np.all(np.abs(hidden.mean(axis=0) - share) <= 5 * np.sqrt(share * (1 - share) / n))


def hidden_places(documents: Documents, n: int, length: int) -> np.ndarray:
    """Which places went to the targets: tokens are replaced by their places to find them."""
    places = documents.with_tokens(200 + documents.places)
    result = SpanFilling(SENTINELS)(Documents(places.tokens, places.offsets), 0, 0)
    hidden = np.zeros((n, length), dtype=bool)
    is_text = result.targets.tokens >= 200
    hidden[result.targets.rows[is_text], result.targets.tokens[is_text] - 200] = True
    return hidden


def test_without_the_roll_only_the_end_is_noised() -> None:
    assert {tuple(noise) for noise in flags([5] * 200)} == {(False, False, False, False, True)}


def test_more_spans_than_sentinels_are_refused(make_documents: MakeDocuments) -> None:
    with pytest.raises(InputError, match="more spans than there are sentinels"):
        SpanFilling(SENTINELS[:5])(make_documents([600]), 0, 0)


def test_a_document_with_a_sentinel_is_refused() -> None:
    with pytest.raises(InputError, match="contains a sentinel"):
        SpanFilling(SENTINELS)(Documents.from_lists([[300, 150]]), 0, 0)


@pytest.mark.parametrize("sentinels", [(), (7,), (7, 7, 8)])
def test_sentinels_must_be_several_and_different(sentinels: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="different sentinels"):
        SpanFilling(sentinels)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="density"):
        SpanFilling(SENTINELS, density=1.5)
    with pytest.raises(InputError, match="mean_span"):
        SpanFilling(SENTINELS, mean_span=0.5)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    inputs = Ragged.from_lists([[300, 199, 301]])
    with pytest.raises(InputError, match="not in order"):
        restore(inputs, Ragged.from_lists([[198, 5, 199]]), SENTINELS)
    with pytest.raises(InputError, match="do not belong together"):
        restore(inputs, Ragged.from_lists([[199, 5, 198, 6, 197]]), SENTINELS)
    with pytest.raises(InputError, match="do not belong together"):
        restore(inputs, Ragged.from_lists([[5, 199, 6, 198]]), SENTINELS)

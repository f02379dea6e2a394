"""Rows of different lengths keep every token, whatever is done to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data.objectives.ragged import Documents, Ragged, join, single, stack

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=6)


@given(rows=ROWS)
def test_lists_come_back(rows: list[list[int]]) -> None:
    ragged = Ragged.from_lists(rows)
    assert ragged.to_lists() == rows
    assert len(ragged) == len(rows)
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.places.tolist() == [place for row in rows for place in range(len(row))]
    assert ragged.rows.tolist() == [number for number, row in enumerate(rows) for _ in row]


@given(rows=ROWS)
def test_counting_and_keeping_work_row_by_row(rows: list[list[int]]) -> None:
    ragged = Ragged.from_lists(rows)
    even = ragged.tokens % 2 == 0
    assert ragged.keep(even).to_lists() == [[t for t in row if t % 2 == 0] for row in rows]
    assert ragged.count(even).tolist() == [sum(t % 2 == 0 for t in row) for row in rows]
    numbers = [sum(t % 2 == 0 for t in row[: i + 1]) for row in rows for i in range(len(row))]
    assert ragged.numbered(even).tolist() == numbers


@given(rows=ROWS, data=st.data())
def test_rows_are_taken_in_any_order(rows: list[list[int]], data: st.DataObject) -> None:
    numbers = st.lists(st.integers(0, len(rows) - 1), max_size=9) if rows else st.just([])
    order = data.draw(numbers)
    taken = Ragged.from_lists(rows).take(np.array(order, dtype=np.int64))
    assert taken.to_lists() == [rows[number] for number in order]


@given(rows=ROWS, other=ROWS)
def test_rows_are_joined_side_by_side_and_stacked(
    rows: list[list[int]], other: list[list[int]]
) -> None:
    stacked = stack(Ragged.from_lists(rows), Ragged.from_lists(other))
    assert stacked.to_lists() == rows + other
    pairs = list(zip(rows, other, strict=False))
    joined = join(*(Ragged.from_lists([pair[i] for pair in pairs]) for i in (0, 1, 0)))
    assert joined.to_lists() == [a + b + a for a, b in pairs]


def test_a_single_token_is_there_or_not() -> None:
    rows = single(np.array([5, 6, 7]), np.array([True, False, True]))
    assert rows.to_lists() == [[5], [], [7]]


def test_taken_documents_keep_what_is_known_about_them() -> None:
    starts = np.array([True, False, True, True])
    documents = Documents(np.arange(4), np.array([0, 3, 3, 4]), starts, np.array([7, 8, 9]))
    taken = documents.take(np.array([2, 0]))
    assert taken.to_lists() == [[3], [0, 1, 2]]
    assert taken.sentence_starts is not None
    assert taken.language_ids is not None
    assert taken.sentence_starts.tolist() == [True, True, False, True]
    assert taken.language_ids.tolist() == [9, 7]


@pytest.mark.parametrize("offsets", [[], [0, 2], [1, 3], [0, 3, 2, 3]])
def test_offsets_that_do_not_divide_the_tokens_are_refused(offsets: list[int]) -> None:
    with pytest.raises(InputError, match="do not divide the tokens"):
        Ragged(np.arange(3), np.array(offsets, dtype=np.int64))


def test_facts_about_other_documents_are_refused() -> None:
    with pytest.raises(InputError, match=r"sentence_starts[\s\S]*\(2,\)[\s\S]*\(3,\)"):
        Documents(np.arange(3), np.array([0, 3]), np.array([True, False]))
    with pytest.raises(InputError, match="language_ids"):
        Documents(np.arange(3), np.array([0, 3]), None, np.array([1, 2]))

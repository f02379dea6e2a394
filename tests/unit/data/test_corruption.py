"""Windows cut into documents, and corruption that a later version must not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.data.corruption import Corruptor, cut_windows
from hunmin.data.objectives.base import Layout
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.load import TextTokenizer


def slow_pieces(row: list[int], room: int) -> list[tuple[int, list[int]]]:
    """The obvious way: walk over the row, leaving out what would not fit once pieces have grown."""
    pieces: list[tuple[int, list[int]]] = []
    length, inside = 0, False
    for place, token in enumerate(row):
        if token == 0:
            length, inside = length + 1, False
            continue
        length += 1 + (0 if inside else room)
        if length <= len(row):
            if not inside:
                pieces.append((place, []))
            pieces[-1][1].append(token)
        inside = True
    return pieces


@given(
    rows=st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 2), min_size=width, max_size=width), min_size=1, max_size=4
        )
    ),
    room=st.integers(0, 2),
)
def test_cutting_agrees_with_the_slow_rule(rows: list[list[int]], room: int) -> None:
    pieces = cut_windows(np.array(rows), 0, room=room)
    expected = [
        (row, start, text)
        for row, tokens in enumerate(rows)
        for start, text in slow_pieces(tokens, room)
    ]
    found = list(
        zip(pieces.rows.tolist(), pieces.starts.tolist(), pieces.text.to_lists(), strict=True)
    )
    assert found == expected
    assert pieces.stops.tolist() == [start + len(text) for _, start, text in expected]
    assert int(pieces.is_text.sum()) == len(pieces.text.tokens)


@pytest.mark.parametrize(
    ("context", "dropped"),
    [(15, [[1000], [1007], [1023, 1024]]), (63, [[1005], [1014], [1026, 1027]])],
)
def test_corruption_never_changes_by_accident(
    reserved_tokenizer: TextTokenizer, context: int, dropped: list[list[int]]
) -> None:
    """A resumed run of an earlier version must see the same documents corrupted alike."""
    spec = DataSpec.model_validate({"context": context, "objectives": [{"kind": "denoise"}]})
    corruptor = Corruptor(spec, reserved_tokenizer, Layout.SEQUENCE, ["ko"])
    windows = np.arange(1000, 1030).reshape(2, 15)
    windows[0, 6] = windows[1, 0] = 0
    samples, groups = np.array([5, 10**12]), np.zeros(2, dtype=np.int64)
    (part,) = corruptor.corrupt(windows, samples, groups)
    rows = zip(part.pieces.text.to_lists(), part.result.inputs.to_lists(), strict=True)
    assert [sorted({*text} - {*kept}) for text, kept in rows] == dropped

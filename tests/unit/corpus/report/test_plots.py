"""Pictures: numbers become lengths, nothing stands on anything else."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hunmin.core.figures import new_figure
from hunmin.corpus.report.bars import format_power, largest
from hunmin.corpus.report.flow import MAX_REASONS, flow_steps
from hunmin.corpus.report.numbers import format_share, shortened
from hunmin.corpus.report.plots import drawings_of, matrix_of, splits_line


@pytest.mark.parametrize("name", ["huge_input", "single_input", "empty_input", "real_input"])
def test_no_label_stands_on_another_or_outside(name: str, request: pytest.FixtureRequest) -> None:
    value = request.getfixturevalue(name)
    statistics = value[0] if isinstance(value, tuple) else value
    for plot, drawing in drawings_of(statistics).items():
        with new_figure(*drawing.size) as figure:
            drawing.draw(figure)
            boxes = label_boxes(figure)
            width, height = figure.bbox.size
        for text, box in boxes:
            assert min(box.x0, box.y0) >= 0, (plot, text)
            assert max(box.x1 - width, box.y1 - height) <= 0, (plot, text)
        for (one, first), (other, second) in itertools.combinations(boxes, 2):
            assert not first.padded(-1).overlaps(second.padded(-1)), (plot, one, other)


def label_boxes(figure: Any) -> list[tuple[str, Any]]:
    """Text and box in pixels of every label of a figure."""
    figure.draw_without_rendering()
    texts = [*figure.texts]
    for axes in figure.axes:
        titles = (axes.title, axes._left_title, axes._right_title)
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()] if axes.axison else []
        texts += [*axes.texts, *ticks, *titles]
    visible = (text for text in texts if text.get_text() and text.get_visible())
    return [(text.get_text(), text.get_window_extent()) for text in visible]


def test_branches_tell_all_that_was_dropped(huge_input: dict[str, Any]) -> None:
    for entry, step in zip(huge_input["flow"], flow_steps(huge_input["flow"]), strict=True):
        dropped = entry.get("dropped", {}).values()
        branches = [branch for branch in step.branches if not branch.is_cut]
        assert len(branches) <= MAX_REASONS
        assert sum(b.utf8_bytes for b in branches) == sum(d["utf8_bytes"] for d in dropped)
        assert sum(b.documents for b in branches) == sum(d["documents"] for d in dropped)
        assert sum(b.utf8_bytes for b in step.branches if b.is_cut) == entry.get("removed_bytes", 0)
    assert flow_steps(huge_input["flow"])[2].branches[11].reason == "29 other reasons"


def test_pictures_are_left_out_with_their_numbers(bare_input: dict[str, Any]) -> None:
    assert drawings_of(bare_input) == {}
    without = {**bare_input, "languages_found": {"ko": {}}, "lengths": {"ko": {"3": 0}}, "flow": []}
    assert drawings_of(without) == {}


def test_matrix_sums_to_one_and_keeps_the_diagonal(huge_input: dict[str, Any]) -> None:
    rows, columns = matrix_of(huge_input["languages_found"])
    assert columns[-1] == "other"
    assert [name for name, _, _ in rows] == columns[: len(rows)]
    for name, total, shares in rows:
        assert total == sum(huge_input["languages_found"][name].values())
        assert sum(shares) == pytest.approx(1)


def test_matrix_of_one_language() -> None:
    assert matrix_of({"ko": {"ko": 3, "en": 1}}) == ([("ko", 4, [0.75, 0.25])], ["ko", "en"])


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 5, "0.0 %"),
        (1, 10**9, "< 0.1 %"),
        (1, 8, "12.5 %"),
        (10**9 - 1, 10**9, "> 99.9 %"),
        (5, 5, "100.0 %"),
        (0, 0, "–"),
    ],
)
def test_shares_never_round_to_nothing_or_all(part: int, whole: int, text: str) -> None:
    assert format_share(part, whole) == text


def test_names_fit_into_pictures() -> None:
    assert shortened("duplicate") == "duplicate"
    assert shortened("비슷한 $1") == r"??? \$1"
    assert len(shortened("x" * 100, 29)) == 29


def test_largest_leaves_the_rest_to_one_row() -> None:
    rows = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 2.0}
    assert largest(rows, 4) == (["b", "c", "d", "a"], [])
    assert largest(rows, 3) == (["b", "c"], ["d", "a"])


def test_powers_and_splits() -> None:
    assert [format_power(n) for n in (0, 9, 10, 14, 20, 31)] == [
        "1",
        "512",
        "1K",
        "16K",
        "1M",
        "2G",
    ]
    total = {"train_documents": 1234, "validation_documents": 5, "test_documents": 0}
    assert splits_line(total) == "train 1,234 · validation 5"

"""What figures share: one line that says what marks mean."""

from __future__ import annotations

from matplotlib.colors import to_hex

from hunmin.core.figures import BLUE, MUTED, new_figure, shorten_name, write_marker_legend


def test_a_legend_names_marks_in_their_colours() -> None:
    markers = {
        "before": {"marker": "o", "color": MUTED, "markerfacecolor": "white"},
        "after": {"marker": "D", "color": BLUE},
    }
    with new_figure(4, 2) as figure:
        write_marker_legend(figure, markers, (0.1, 0.9))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["before", "after"]
    assert [to_hex(text.get_color()).upper() for text in legend.get_texts()] == [MUTED, BLUE]
    assert [line.get_marker() for line in legend.get_lines()] == ["o", "D"]
    assert legend.get_lines()[0].get_markerfacecolor() == "white"


def test_long_names_of_rows_are_cut() -> None:
    assert shorten_name("a" * 26) == "a" * 26
    assert shorten_name("a" * 27) == "a" * 25 + "…"

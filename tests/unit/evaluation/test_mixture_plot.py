"""The picture of a mixture: every group a row, what is repeated too often in another colour."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from hunmin.core.figures import BLUE, ORANGE, new_figure
from hunmin.data.mixing import MixturePlan, PlannedGroup, plan_mixture
from hunmin.data.spec import DataSpec
from hunmin.evaluation.mixture_plot import _draw_epochs, _draw_shares, plot_mixture


def plan_of(num_tokens: dict[str, int]) -> MixturePlan:
    spec = DataSpec(temperature=0.5, weights={"xx": 0})
    return plan_mixture({"xx": 50, **num_tokens}, spec, run_tokens=20_000)


def test_rows_tell_tokens_samples_and_epochs() -> None:
    plan = plan_of({"ko": 10_000, "sw": 400})
    rows = sorted(plan.groups, key=lambda group: -group.tokens)
    with new_figure(6, 3) as figure:
        shares, epochs = figure.subplots(1, 2)
        shares.set_xscale("log")
        _draw_shares(shares, rows, 10_450)
        _draw_epochs(epochs, rows)
    assert [label.get_text() for label in shares.get_yticklabels()] == ["ko", "sw", "xx"]
    # A point and a line for each share; nothing is sampled of the language that is left out.
    assert len(shares.lines) == 3 + 3 + 1
    widths = [bar.get_width() for bar in epochs.patches]
    assert widths == [group.epochs for group in rows]
    colors = [to_hex(bar.get_facecolor()).upper() for bar in epochs.patches]
    assert colors == [BLUE, ORANGE, BLUE]
    assert epochs.get_xlim()[1] > rows[1].epochs


def test_many_groups_are_cut_and_drawn_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hunmin.evaluation.mixture_plot.MAX_ROWS", 10)
    number = 12
    groups = tuple(PlannedGroup(f"g{n}", n + 1, 1 / number, 0.1) for n in range(number))
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        plot_mixture(MixturePlan(groups, 1_000), [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()

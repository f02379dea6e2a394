"""Weak and strong scaling as pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.catalogue.models import find_model
from hunmin.planner.catalogue.software import find_software
from hunmin.planner.prediction import Prediction
from hunmin.planner.report.scaling_picture import draw_scaling
from hunmin.planner.scaling import strong_scaling, weak_scaling
from hunmin.planner.search.candidates import Fixed, Request
from hunmin.planner.search.search import search


@pytest.fixture(scope="module")
def best() -> Prediction:
    fixed = Fixed(tensor=1, micro_batch=2, recompute="blocks")
    cluster, software = find_cluster("p4d:4"), find_software("hunmin")
    return search(Request(find_model("gpt3-13b"), cluster, software, fixed=fixed)).best


def written(picture: Path) -> set[str]:
    """Return the texts of a picture: letters are drawn, each text stands in a comment."""
    return set(re.findall(r"<!-- (.*?) -->", picture.read_text(encoding="utf-8")))


def test_nodes_groups_and_efficiencies_are_written(best: Prediction, tmp_path: Path) -> None:
    scaling = weak_scaling(best, [1, 2, 4, 8, 16])
    paths = [tmp_path / "a.svg", tmp_path / "b.svg", tmp_path / "c.png"]
    draw_scaling(scaling, "gpt3-13b on p4d", paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[2].stat().st_size > 5_000
    groups = scaling.partition_groups
    last = [series.efficiency[-1] for series in scaling.series]
    expected = {
        "gpt3-13b on p4d: weak scaling",
        "nodes of 8 devices",
        *(series.title for series in scaling.series),
        *(f"{share:.0%}" for share in last if share is not None),
        *(
            str(size)
            for size in groups.each(lambda one: one.strategy.layout.partition_group)
            if size
        ),
        "16",
    }
    assert expected <= written(paths[0])
    sizes = groups.each(lambda one: one.strategy.layout.partition_group)
    texts = re.findall(r"<!-- (.*?) -->", paths[0].read_text(encoding="utf-8"))
    ticks = 2 * groups.nodes.count(sizes[-1] or 0)
    assert texts.count(str(sizes[-1])) == ticks + sizes.count(sizes[-1])


def test_nodes_without_room_are_left_out(best: Prediction, tmp_path: Path) -> None:
    scaling = strong_scaling(best, [1, 2, 4, 64, 1024, 4096])
    draw_scaling(scaling, "gpt3-13b", [tmp_path / "a.svg"])
    assert scaling.partition_groups.points[-1].prediction is None
    assert "4,096" not in written(tmp_path / "a.svg")
    assert "64" in written(tmp_path / "a.svg")


def test_nothing_that_fits_is_an_empty_picture(best: Prediction, tmp_path: Path) -> None:
    scaling = strong_scaling(best, [4096, 8192])
    draw_scaling(scaling, "gpt3-13b", [tmp_path / "a.svg"])
    assert "8,192" in written(tmp_path / "a.svg")

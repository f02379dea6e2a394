"""Ranks that were started differently refuse to train, all with the same words."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks

from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.parallel.watch.agreement import (
    check_agreement,
    check_places,
    check_run_folder,
    environment_facts,
    gather_places,
)
from hunmin.parallel.world import World


def this_world() -> World:
    local, per_node = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return World(dist.get_rank(), dist.get_world_size(), local, per_node, torch.device("cpu"))


def agree(odd_rank: int | None) -> str:
    world = this_world()
    facts = {"train": {"seed": 17}, **environment_facts()}
    if world.rank == odd_rank:
        facts |= {"train": {"seed": 18}, "versions": {**facts["versions"], "torch": "2.9.0"}}
    try:
        check_agreement(world, facts)
    except ArtifactMismatchError as error:
        return str(error)
    return "agreed"


def test_equal_ranks_agree() -> None:
    assert run_ranks(4, agree, None, ranks_per_node=2) == ["agreed"] * 4


def test_a_rank_with_another_recipe_and_version_is_named_on_every_rank() -> None:
    told = run_ranks(4, agree, 3, ranks_per_node=2)
    assert len(set(told)) == 1
    assert told[0].startswith("train.seed, versions.torch: ranks do not agree on what to do")
    assert "train.seed: 17 on ranks 0-2 at " in told[0]
    assert "(node 0), " in told[0]
    assert ", 18 on rank 3 at " in told[0]
    assert f'versions.torch: "{torch.__version__}" on ranks 0-2' in told[0]
    assert '"2.9.0" on rank 3' in told[0]
    assert "same installation on every node" in told[0]


def start_unequal_nodes() -> str:
    world = this_world()
    os.environ["GROUP_RANK"] = "0" if world.rank < 3 else "1"
    with pytest.raises(InputError) as refused:
        check_places(gather_places(world))
    return str(refused.value)


def test_unequal_nodes_are_refused_on_every_rank() -> None:
    told = run_ranks(4, start_unequal_nodes, ranks_per_node=2)
    assert len(set(told)) == 1
    assert "3 on " in told[0]
    assert "1 on " in told[0]


def look_at_folder(folders: list[Path]) -> str:
    world = this_world()
    started = time.monotonic()
    try:
        check_run_folder(world, folders[world.node], seconds=0.5)
    except InputError as error:
        return str(error)
    finally:
        world.barrier()
    return "same" if time.monotonic() - started < 30 else "late"


def test_one_folder_on_all_nodes(tmp_path: Path) -> None:
    assert (
        run_ranks(4, look_at_folder, [tmp_path / "new" / "run"] * 2, ranks_per_node=2)
        == ["same"] * 4
    )
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_a_folder_of_ones_own_is_refused_on_every_rank(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    told = run_ranks(4, look_at_folder, [tmp_path / "a", tmp_path / "b"], ranks_per_node=2)
    assert all("not the same folder on every node" in words for words in told)
    assert all("not seen on" in words and "(node 1)" in words for words in told)
    assert not any("(node 0)" in words for words in told)
    assert all("--run-dir" in words for words in told)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_by_every_rank(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    told = run_ranks(2, look_at_folder, [tmp_path / "file" / "run"] * 2, ranks_per_node=1)
    assert all("the first rank cannot write here" in words for words in told)

"""Copies in the nodes' memory: what is lost with a node, and what is not."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.support.checkpoints import build, error_of, everything, same, train
from tests.support.distributed import run_ranks

from hunmin.parallel.checkpoint import MemoryCopies, Ranks, memory_files
from hunmin.parallel.layout import Layout
from hunmin.training.checkpoint import CheckpointFolder, resume_newest
from hunmin.training.state import TrainState


def open_run(folder: Path, group: int) -> tuple[CheckpointFolder, MemoryCopies]:
    """Two ranks a node; each node has a memory file system of its own."""
    ranks = Ranks.join(timeout=timedelta(seconds=60))
    checkpoints = CheckpointFolder(folder / "checkpoints", "identity")
    memory = folder / f"node-{ranks.rank // 2}"
    memory.mkdir(parents=True, exist_ok=True)
    layout = Layout(ranks.size, 2, group)
    return checkpoints, MemoryCopies(checkpoints.run_id(), layout, ranks, root=memory)


def copy_twice(folder: Path, group: int) -> Any:
    """Save step 1 to disk, copy steps 2 to 4 into memory, and end as a kill would."""
    checkpoints, copies = open_run(folder, group)
    model, optimizer = build(group)
    torch.manual_seed(dist.get_rank())
    train(model, optimizer, 0, 1)
    checkpoints.save(model, optimizer, TrainState(step=1))
    for step in (2, 3, 4):
        train(model, optimizer, step - 1, 1)
        assert checkpoints.copy(copies, model, optimizer, TrainState(step=step)) > 0
    return everything(model, optimizer), torch.rand(3).tolist()


def go_on(folder: Path, group: int, spoil: bool = False) -> Any:
    checkpoints, copies = open_run(folder, group)
    model, optimizer = build(group)
    if spoil and dist.get_rank() == 1:
        for file in copies.folder.iterdir():
            file.write_bytes(file.read_bytes()[:-1])
    dist.barrier()
    state = resume_newest(checkpoints, model, optimizer, copies=copies)
    assert state is not None
    arrays = everything(model, optimizer)
    return state.step, arrays, torch.rand(3).tolist(), checkpoints.newest_step


def memory_of(folder: Path, node: int) -> list[str]:
    return sorted(path.name for path in (folder / f"node-{node}").glob("*/*"))


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("copied")
    return folder, run_ranks(4, copy_twice, folder, 2, ranks_per_node=2)


@pytest.fixture
def lost(copied: tuple[Path, Any], tmp_path: Path) -> tuple[Path, Any]:
    """The same files, to lose some of."""
    shutil.copytree(copied[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, copied[1]


def test_each_node_holds_its_shards_of_two_steps(copied) -> None:
    for node in (0, 1):
        names = memory_of(copied[0], node)
        assert names == [
            f"step-{step:08d}.p2.t1.shard-{shard:05d}.safetensors"
            for step in (3, 4)
            for shard in (0, 1)
        ]


def test_a_new_node_gets_its_shards_from_another_and_no_disk_is_read(lost) -> None:
    folder, saved = lost
    shutil.rmtree(folder / "node-0")
    shutil.rmtree(folder / "checkpoints" / "step-00000001")
    results = run_ranks(4, go_on, folder, 2, ranks_per_node=2)
    for (step, arrays, drawn, on_disk), (then, numbers) in zip(results, saved, strict=True):
        assert (step, on_disk) == (4, None)
        assert same(arrays, then)
        assert drawn == numbers
    assert len({tuple(drawn) for _, _, drawn, _ in results}) == 4
    assert [name for name in memory_of(folder, 0) if "00000004" in name] == [
        name for name in memory_of(folder, 1) if "00000004" in name
    ]


def test_a_step_that_is_not_complete_gives_way_to_the_one_before(lost) -> None:
    folder, _ = lost
    for node in (0, 1):
        next((folder / f"node-{node}").glob("*/step-00000004.p2.t1.shard-00001*")).unlink()
    assert {step for step, *_ in run_ranks(4, go_on, folder, 2, ranks_per_node=2)} == {3}


def test_fewer_copies_of_the_model_go_on_from_memory(lost) -> None:
    folder, saved = lost
    for step, arrays, *_ in run_ranks(2, go_on, folder, 2, ranks_per_node=2):
        assert step == 4
        assert same(arrays, saved[0][0])


def test_a_shard_without_a_holder_or_another_group_means_the_disk(lost, capfd) -> None:
    folder, _ = lost
    results = run_ranks(4, say_why, folder, 4, ranks_per_node=2)
    assert {step for step, _ in results} == {1}
    assert "partition groups of 2, tensor 1; these are 4, tensor 1" in results[0][1]
    for file in folder.glob("node-*/*/*shard-00001*"):
        file.unlink()
    results = run_ranks(4, say_why, folder, 2, ranks_per_node=2)
    assert {step for step, _ in results} == {1}
    assert "no node is left that held shard 1 of step 4" in results[0][1]


def say_why(folder: Path, group: int) -> tuple[int, str]:
    import logging

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("hunmin").addHandler(handler)
    return go_on(folder, group)[0], "\n".join(lines)


def test_a_broken_copy_means_the_disk(lost) -> None:
    folder, _ = lost
    results = run_ranks(4, go_on, folder, 2, True, ranks_per_node=2)
    assert {(step, on_disk) for step, _, _, on_disk in results} == {(1, 1)}


def test_a_new_run_in_a_new_folder_knows_nothing_of_the_copies(lost) -> None:
    folder, _ = lost
    shutil.rmtree(folder / "checkpoints")
    assert run_ranks(4, find_nothing, folder, ranks_per_node=2) == [True] * 4


def find_nothing(folder: Path) -> bool:
    checkpoints, copies = open_run(folder, 2)
    return resume_newest(checkpoints, *build(2), copies=copies) is None


def lack_space(folder: Path) -> Any:
    checkpoints, copies = open_run(folder, 2)
    model, optimizer = build(2)
    train(model, optimizer, 0, 1)
    usage = shutil.disk_usage
    if dist.get_rank() // 2 == 1:
        memory_files.shutil.disk_usage = lambda path: usage(path)._replace(free=100_000)
    error = error_of(lambda: checkpoints.copy(copies, model, optimizer, TrainState(step=1)))
    memory_files.shutil.disk_usage = usage
    checkpoints.copy(copies, model, optimizer, TrainState(step=1))
    copies.clean()
    return error, copies.folder.exists()


def test_a_small_memory_file_system_says_what_it_needs(tmp_path: Path) -> None:
    for (name, message), exists in run_ranks(4, lack_space, tmp_path, ranks_per_node=2):
        assert name == "DiskFullError"
        assert "too small for in-memory copies (rank 2 on" in message
        assert "at least" in message
        assert "--shm-size" in message
        assert not exists

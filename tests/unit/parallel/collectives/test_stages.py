from __future__ import annotations

import threading

import pytest
import torch
import torch.distributed as dist

from hunmin.parallel.collectives.stages import StageRunner

CPU = torch.device("cpu")


def test_stages_run_in_the_order_they_were_asked_for() -> None:
    runner, gate = StageRunner(), threading.Event()
    done: list[int] = []

    def first() -> None:
        gate.wait(20)
        done.append(1)

    works = [runner.run(first, CPU, async_op=True)]
    works.append(runner.run(lambda: done.append(2), CPU, async_op=True))
    assert not works[0].is_completed()
    assert done == []
    gate.set()
    runner.run(lambda: done.append(3), CPU)
    assert done == [1, 2, 3]
    assert all(work.wait() for work in works)


def test_what_is_returned_is_what_torch_waits_for() -> None:
    work = StageRunner().run(lambda: None, CPU, async_op=True)
    assert isinstance(work, dist.Work)
    assert work.wait()
    assert StageRunner().run(lambda: None, CPU) is None


def test_an_error_of_a_stage_is_raised_where_it_is_waited_for() -> None:
    def fail() -> None:
        raise RuntimeError("connection closed by peer")

    runner = StageRunner()
    work = runner.run(fail, CPU, async_op=True)
    later = runner.run(lambda: None, CPU, async_op=True)
    with pytest.raises(RuntimeError, match="closed by peer"):
        work.wait()
    assert later.wait()


def test_the_one_who_waits_is_noted() -> None:
    noted: list[int] = []
    work = StageRunner().run(lambda: None, CPU, async_op=True, on_wait=lambda: noted.append(1))
    assert noted == []
    work.wait()
    assert noted == [1]


def test_inference_mode_goes_along() -> None:
    with torch.inference_mode():
        tensor = torch.zeros(2)
        StageRunner().run(lambda: tensor.fill_(1), CPU, async_op=True).wait()
    assert tensor.tolist() == [1, 1]


@pytest.mark.gpu
def test_a_stream_runs_stages_in_the_background() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda")
    values = torch.zeros(1 << 20, device=device)
    work = StageRunner().run(lambda: values.add_(1), device, async_op=True)
    assert work.wait()
    assert values.sum().item() == values.numel()
    assert work.is_completed()

"""Work spread over processes."""

from __future__ import annotations

import os

import pytest

from hunmin.core.errors import StageFailedError
from hunmin.core.processes import Workers, map_in_order


def process_id(_: object) -> int:
    return os.getpid()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_order(num_workers: int) -> None:
    found = map_in_order(abs, range(-50, 0), num_workers, problem="", hint="")
    assert list(found) == list(range(50, 0, -1))


def test_one_worker_is_this_process() -> None:
    assert list(map_in_order(process_id, [0], 1, problem="", hint="")) == [os.getpid()]


def test_items_are_read_only_as_far_as_needed() -> None:
    read = []

    def items() -> object:
        for item in range(1000):
            read.append(item)
            yield item

    found = map_in_order(abs, items(), 2, problem="", hint="")  # type: ignore[arg-type]
    assert next(found) == 0
    assert len(read) <= 6
    found.close()


def test_errors_of_the_work_come_through_and_death_is_told() -> None:
    with pytest.raises(TypeError):
        list(map_in_order(abs, ["text"], 2, problem="", hint=""))  # type: ignore[list-item]
    with pytest.raises(StageFailedError, match=r"it died(.|\n)*do less"):
        list(map_in_order(os._exit, [3], 2, problem="it died", hint="do less"))


def test_workers_stay_for_other_work_and_start_anew_after_a_death() -> None:
    workers = Workers(2, problem="it died", hint="do less")
    try:
        first = set(workers.map_in_order(process_id, range(20)))
        assert list(workers.map_in_order(abs, [-2, 1])) == [2, 1]
        assert set(workers.map_in_order(process_id, range(20))) <= first
        assert os.getpid() not in first
        with pytest.raises(StageFailedError, match=r"it died(.|\n)*do less"):
            list(workers.map_in_order(os._exit, [3]))
        assert not set(workers.map_in_order(process_id, range(20))) & first
    finally:
        workers.close()


def test_a_single_worker_of_many_works_is_this_process() -> None:
    assert list(Workers(1, problem="", hint="").map_in_order(process_id, [0])) == [os.getpid()]

"""Where ranks lie, what time it is there, and how long they may wait: refused before training."""

from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.parallel.watch.agreement import (
    Place,
    check_places,
    check_timeout,
    disagreement,
    flatten,
    name_ranks,
    warn_of_clocks,
)


def places(nodes: str, *, hosts: int = 99, clock: float = 0.0) -> list[Place]:
    """`places("0011")`: four ranks on two nodes."""
    return [
        Place(rank, f"host-{int(node) % hosts}", int(node), clock)
        for rank, node in enumerate(nodes)
    ]


@pytest.mark.parametrize("nodes", ["0", "0000", "0011", "01", "1100"])
def test_good_places(nodes: str) -> None:
    check_places(places(nodes))


def test_emulated_nodes_share_a_host() -> None:
    check_places(places("0011", hosts=1))
    with pytest.raises(InputError, match=r"equally many[\s\S]*3 on host-0 \(node 0\), 1 on host-0"):
        check_places(places("0001", hosts=1))


def test_unequal_nodes_are_refused_with_their_numbers() -> None:
    with pytest.raises(InputError, match=r"2 on host-0 \(node 0\), 4 on host-1 \(node 1\)"):
        check_places(places("001111"))


def test_ranks_dealt_out_in_turn_are_refused() -> None:
    with pytest.raises(InputError, match=r"mixed nodes[\s\S]*rank 1 on host-1[\s\S]*block"):
        check_places(places("0101"))
    with pytest.raises(InputError, match="not neighbours"):
        check_places(places("0110"))


@pytest.mark.parametrize("good", [1, 2, 4, 8])
def test_racks_and_halves_of_nodes_may_count_as_nodes(good: int) -> None:
    check_places(places("00001111"), ranks_per_node=good)


def test_odd_pieces_of_nodes_are_refused() -> None:
    with pytest.raises(InputError, match=r"ranks_per_node: partition[\s\S]*3, where[\s\S]*4 ranks"):
        check_places(places("00001111"), ranks_per_node=3)


def test_clocks_apart_are_a_warning() -> None:
    late = [*places("00"), Place(2, "host-1", 1, 42.4)]
    warning = warn_of_clocks(late)
    assert warning is not None
    assert "clock of host-1 (node 1) is 42 s ahead of that of host-0 (node 0)" in warning
    assert warn_of_clocks([*places("00"), Place(2, "host-1", 1, 4.9)]) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_time_out_must_be_above_0(seconds: float) -> None:
    with pytest.raises(InputError, match=r"parallel.timeout: a time-out is above 0"):
        check_timeout(seconds, {})


def test_a_time_out_must_outlast_what_was_measured() -> None:
    check_timeout(31.0, {"step": 2.0, "checkpoint": 30.5})
    with pytest.raises(InputError) as refused:
        check_timeout(30.0, {"step": 2.0, "checkpoint": 41.2})
    assert "30 s; the slowest checkpoint took 41.2 s" in str(refused.value)
    assert "set it to 130 or more" in str(refused.value)


def test_facts_become_dotted_keys() -> None:
    facts = {"train": {"optimizer": {"learning_rate": 1e-3}, "trackers": []}, "note": {}}
    assert flatten(facts) == {
        "train.optimizer.learning_rate": "0.001",
        "train.trackers": "[]",
        "note": "{}",
    }


def test_a_disagreement_names_keys_values_and_who_has_them() -> None:
    everyone = [{"a": "1", "b": "2", "c": '"x"'}] * 6 + [{"a": "1", "b": "3"}] * 2
    error = disagreement(everyone, places("00112233"))
    assert "b, c: ranks do not agree" in str(error)
    assert "b: 2 on ranks 0-5 at host-0 (node 0), host-1 (node 1), …, 3 on" in str(error)
    assert 'c: "x" on ranks 0-5' in str(error)
    assert "(absent) on ranks 6-7" in str(error)


def test_a_disagreement_in_everything_stays_short() -> None:
    everyone = [{f"key-{k}": str(rank) * 500 for k in range(50)} for rank in range(8)]
    text = str(disagreement(everyone, places("00112233")))
    assert "and 47 more keys: key-3, key-4" in text
    assert len(text) < 2000


def test_names_of_ranks() -> None:
    assert name_ranks([3]) == "rank 3"
    assert name_ranks([0, 1, 2, 5]) == "ranks 0-2, 5"
    assert name_ranks(list(range(0, 20, 2))) == "ranks 0, 2, 4, 6, …"

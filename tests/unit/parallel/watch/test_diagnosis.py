"""Who is to blame, from what the ranks last said of themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunmin.parallel.watch.failures import diagnose, how_it_goes_on
from hunmin.parallel.watch.heartbeat import Pulse

STEP = 40


def pulse(rank: int, **changes: object) -> Pulse:
    place = {"host": f"host-{rank // 2}", "node": rank // 2}
    running = Pulse(rank, **place, beat=9, step=STEP, phase="backward", seconds=3, status="running")
    return replace(running, **changes)


def looks(
    changes: dict[int, dict[str, object]], *, still: tuple[int, ...] = (), size: int = 8
) -> tuple[list[Pulse | None], list[Pulse | None]]:
    before = [pulse(rank, **changes.get(rank, {})) for rank in range(size)]
    now = [p if p.rank in still else replace(p, beat=p.beat + 3) for p in before]
    return list(before), list(now)


FAILED = {"status": "failed"}


def test_a_silent_rank_is_blamed_and_its_victims_are_not() -> None:
    # Victims have said that they failed; some of them are gone already.
    before, now = looks({1: FAILED, 4: FAILED}, still=(1, 5))
    diagnosis = diagnose(pulse(4), before, now)
    assert diagnosis.problem == "rank 5 does not answer"
    assert diagnosis.details == ("rank 5 on host-2 (node 2): last heard of in step 40, backward",)
    assert "look at host-2 (is it up" in diagnosis.hint


def test_a_lost_node_is_named_with_all_its_ranks() -> None:
    before, now = looks({}, still=(6, 7))
    diagnosis = diagnose(pulse(0), before, now)
    assert diagnosis.problem == "ranks 6, 7 do not answer"
    assert diagnosis.ranks == (6, 7)
    assert [line.split(":")[0] for line in diagnosis.details] == [
        "rank 6 on host-3 (node 3)",
        "rank 7 on host-3 (node 3)",
    ]


def test_a_rank_that_never_said_anything() -> None:
    before, now = looks({})
    before[3] = now[3] = None
    assert diagnose(pulse(0), before, now).details == ("rank 3: never said anything",)


def test_an_error_comes_before_silence() -> None:
    ended = {"status": "ended", "note": "OutOfMemoryError: 80 GB are not enough"}
    before, now = looks({2: ended}, still=(2, 3))
    diagnosis = diagnose(pulse(0), before, now)
    assert diagnosis.problem == "rank 2 ended with an error"
    assert diagnosis.details == (
        "rank 2 on host-1 (node 1): OutOfMemoryError: 80 GB are not enough",
    )


def test_a_rank_that_left() -> None:
    before, now = looks({2: {"status": "finished", "step": 39}}, still=(2,))
    diagnosis = diagnose(pulse(0), before, now)
    assert diagnosis.problem == "rank 2 left while others go on"
    assert diagnosis.details == ("rank 2 on host-1 (node 1): left after step 39",)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"step": 39}, "in step 39, backward, for 3 s"),
        ({"phase": "evaluation", "seconds": 600}, "in step 40, evaluation, for 600 s"),
    ],
)
def test_a_rank_that_lags_behind(changes: dict[str, object], detail: str) -> None:
    diagnosis = diagnose(pulse(0), *looks({6: changes}))
    assert diagnosis.problem == "rank 6 is behind"
    assert diagnosis.ranks == (6,)
    assert diagnosis.details == (f"rank 6 on host-3 (node 3): {detail}",)


def test_all_alive_and_waiting_is_the_network() -> None:
    diagnosis = diagnose(pulse(0), *looks({0: FAILED, 1: FAILED}))
    assert "every rank is alive: the network" in diagnosis.problem
    assert diagnosis.ranks == ()
    assert "host-0 (node 0), host-1 (node 1), host-2" in diagnosis.details[0]
    assert "NCCL_SOCKET_IFNAME" in diagnosis.hint


def test_many_ranks_take_a_few_lines() -> None:
    before, now = looks({}, still=tuple(range(8, 64)), size=64)
    diagnosis = diagnose(pulse(0), before, now)
    assert diagnosis.problem == "ranks 8, 9, 10, 11, 12, 13, 14, 15, … do not answer"
    assert len(diagnosis.details) == 5
    assert diagnosis.details[-1] == "and 52 more"


def test_torchrun_starts_again_while_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS", raising=False)
    assert "give the same command again" in how_it_goes_on()
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert how_it_goes_on() == "torchrun starts the ranks again, from the last checkpoint"
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    assert "give the same command again" in how_it_goes_on()

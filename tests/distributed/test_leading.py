"""The first rank leads the others through the stages; the store lives in its process here."""

from __future__ import annotations

import logging
import time

from tests.support.distributed import run_ranks

from hunmin.core.logs import rank
from hunmin.pipeline import ranks
from hunmin.pipeline.ranks import Leader, follow
from hunmin.pipeline.stage import Stage
from hunmin.pipeline.stages import STAGES


def _lead_and_leave_at_once(seconds_of_others: float) -> list[str]:
    """Rank 0 has nothing left to do while the others still take part in the last stage."""
    told: list[str] = []

    def take_part(stage: Stage) -> None:
        time.sleep(seconds_of_others * rank())
        told.append(stage.name)

    if rank() > 0:
        follow(take_part)
        return told
    leader = Leader()
    leader.start()
    leader.announce(STAGES["train"])
    leader.end()
    return told


def test_the_store_outlives_the_slowest_rank() -> None:
    assert run_ranks(3, _lead_and_leave_at_once, 0.7, start_group=False) == [
        [],
        ["train"],
        ["train"],
    ]


def _end_without_a_rank(handler_level: int) -> list[str]:
    from hunmin.parallel.world import meeting_place

    meeting_place()
    if rank() > 0:
        return []
    ranks._SECONDS_TO_LEAVE = 1
    records: list[logging.LogRecord] = []
    handler = logging.Handler(handler_level)
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    ranks.logger.addHandler(handler)
    Leader().end()
    return [record.getMessage() for record in records]


def test_a_rank_that_does_not_say_goodbye_is_a_warning() -> None:
    first, _ = run_ranks(2, _end_without_a_rank, logging.WARNING, start_group=False)
    assert len(first) == 1
    assert first[0].startswith("not every rank was heard of at the end of the run")

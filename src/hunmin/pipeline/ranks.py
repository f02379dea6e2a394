"""How the first rank leads the others through the stages.

    rank 0      corpus ─ tokenizer ─ data ─┬─ train ─┬─ evaluate ─ generate ─┐
    rank 1..    wait ──────────────────────┴─ train ─┴─ wait ────────────────┴─ end

They wait at torchrun's store, not in a collective: preparing a corpus may take hours, and the first
rank starts worker processes meanwhile, which a process group would not survive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from hunmin.core.logs import rank, world_size
from hunmin.pipeline.stage import Stage
from hunmin.pipeline.stages import STAGES

logger = logging.getLogger(__name__)

_KEY = "hunmin/next-stage/{}"
_LEFT = "hunmin/left/{}"
_END = "end"
_PATIENCE = timedelta(days=30)
_SECONDS_TO_LEAVE = 60


@dataclass
class Leader:
    """What the first rank tells the others; with one process it tells nobody."""

    _told: int = 0

    def start(self) -> None:
        """Meet the other ranks: before long work, since they wait only some minutes for that."""
        if world_size() > 1:
            from hunmin.parallel.world import meeting_place

            meeting_place()

    def announce(self, stage: Stage) -> None:
        """Tell the other ranks to take part in a stage."""
        self._tell(stage.name)

    def end(self) -> None:
        """Tell the other ranks that there is nothing more to do, and see them off.

        Note:
            Without torchrun the store lives in this process: who has not read the end when it goes
            would take it for a failure.
        """
        self._tell(_END)
        if world_size() > 1:
            _see_off([_LEFT.format(number) for number in range(1, world_size())])

    def _tell(self, name: str) -> None:
        if world_size() == 1:
            return
        from hunmin.parallel.world import meeting_place

        meeting_place().set(_KEY.format(self._told), name)
        self._told += 1


def _see_off(keys: list[str]) -> None:
    from torch.distributed import DistError

    from hunmin.parallel.world import meeting_place

    try:
        meeting_place().wait(keys, timedelta(seconds=_SECONDS_TO_LEAVE))
    except DistError as error:
        logger.warning("not every rank was heard of at the end of the run: %s", error)


def follow(take_part: Callable[[Stage], None]) -> None:
    """Take part in the stages that the first rank announces, until it announces the end.

    Args:
        take_part: Does this rank's part of a stage.

    Note:
        When the first rank fails, torchrun ends the others.
    """
    from hunmin.parallel.world import meeting_place

    number = 0
    while True:
        key = _KEY.format(number)
        meeting_place().wait([key], _PATIENCE)
        name = meeting_place().get(key).decode()
        if name == _END:
            meeting_place().set(_LEFT.format(rank()), "")
            return
        take_part(STAGES[name])
        number += 1

"""How the first rank leads the others through the stages.

    rank 0      corpus ─ tokenizer ─ data ─┬─ train ─┬─ evaluate ─ generate ─┐
    rank 1..    wait ──────────────────────┴─ train ─┴─ wait ────────────────┴─ end

They wait at torchrun's store, not in a collective: preparing a corpus may take hours, and the first
rank starts worker processes meanwhile, which a process group would not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from hunmin.core.logs import world_size
from hunmin.pipeline.stages import STAGES, Stage

_KEY = "hunmin/next-stage/{}"
_END = "end"
_PATIENCE = timedelta(days=30)


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
        """Tell the other ranks that there is nothing more to do."""
        self._tell(_END)

    def _tell(self, name: str) -> None:
        if world_size() == 1:
            return
        from hunmin.parallel.world import meeting_place

        meeting_place().set(_KEY.format(self._told), name)
        self._told += 1


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
            return
        take_part(STAGES[name])
        number += 1

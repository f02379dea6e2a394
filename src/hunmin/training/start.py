"""What several ranks check before they build anything: the same recipe, in the right places."""

from __future__ import annotations

from collections.abc import Mapping

from hunmin.parallel.watch.agreement import (
    FOLDER_SECONDS,
    check_agreement,
    check_places,
    check_run_folder,
    check_timeout,
    environment_facts,
    gather_places,
    warn_of_clocks,
)
from hunmin.parallel.world import World
from hunmin.training.goodput import FILE_NAME, read_goodput
from hunmin.training.job import TrainJob


def check_start(job: TrainJob, world: World) -> None:
    """Refuse to start where ranks would hang or train something else.

    Args:
        job: What this rank was told to train.
        world: All ranks.

    Raises:
        InputError: Ranks lie where the layout does not put them, the run folder is not shared, or
            the time-out is too short.
        ArtifactMismatchError: Ranks were given different recipes, data or versions.

    Note:
        Collective; every rank raises the same.
    """
    if world.size == 1:
        return
    per_node = job.parallel.ranks_per_node
    places = gather_places(world)
    check_places(places, ranks_per_node=None if per_node == "auto" else per_node)
    if world.is_first:
        warn_of_clocks(places)
    check_agreement(world, {**job.facts(), **environment_facts()})
    patience = min(FOLDER_SECONDS, job.parallel.timeout / 2)
    check_run_folder(world, job.folder, seconds=patience)
    check_timeout(job.parallel.timeout, world.gather(_slowest(job))[0])


def _slowest(job: TrainJob) -> Mapping[str, float]:
    """Return what took how long in earlier sittings of the run."""
    if not (job.folder / FILE_NAME).is_file():
        return {}
    return read_goodput(job.folder).slowest

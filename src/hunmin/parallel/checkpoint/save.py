"""Saving: at once, or beside the training in a thread with a process group of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

from hunmin.core.errors import CollectiveError, HunminError, StageFailedError
from hunmin.core.logs import get_logger
from hunmin.parallel.checkpoint.ranks import Ranks
from hunmin.parallel.checkpoint.staging import (
    Planner,
    StagedPlanner,
    StagedTensors,
    StagingBuffers,
)
from hunmin.parallel.checkpoint.storage import CheckpointContent, ShardWriter

logger = get_logger(__name__)

_EXPLAINED = (CheckpointException, RuntimeError)
"""What torch raises on every rank when one failed, and when one was lost."""


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that is safe on disk.

    Args:
        path: Its folder.
        step: Of the state in it.
        blocking_seconds: How long training stood still for it on this rank.
        total_seconds: From the start to the completion marker.
    """

    path: Path
    step: int
    blocking_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class SaveJob:
    """A checkpoint to be written.

    Args:
        path: Where the finished folder lies.
        step: Of the state.
        content: What the first rank adds to the tensors.
    """

    path: Path
    step: int
    content: CheckpointContent


def save_staged(
    path: Path, staged: StagedTensors, content: CheckpointContent, ranks: Ranks
) -> None:
    """Write a checkpoint of all ranks, whole or not at all.

    Args:
        path: Where the finished folder lies.
        staged: This rank's part.
        content: What the first rank adds.
        ranks: Who writes it.

    Raises:
        DiskFullError: No space was left on some rank; older checkpoints are untouched.
        StageFailedError: It failed for another reason; the message names rank and file.
        CollectiveError: A rank was lost meanwhile.

    Note:
        Collective; every rank raises the same error.
    """
    writer = ShardWriter(path, content)
    planner = StagedPlanner(staged)
    try:
        if ranks.size == 1:
            _save_alone(writer, planner)
        else:
            save_distributed({}, storage_writer=writer, planner=planner, process_group=ranks.group)
    except BaseException as error:
        writer.discard(error)
        if isinstance(error, HunminError) or not isinstance(error, _EXPLAINED):
            raise
        raise _explain(error, path) from error


def _save_alone(writer: ShardWriter, planner: StagedPlanner) -> None:
    planner.set_up_planner({}, is_coordinator=True)
    plans, metadata = planner.create_global_plan([planner.create_local_plan()])
    plan = planner.finish_plan(writer.prepare_global_plan(plans)[0])
    writer.finish(metadata, [writer.write_data(plan, planner).wait()])


def _explain(error: BaseException, path: Path) -> HunminError:
    """Return what the first rank that failed has to say."""
    if isinstance(error, CheckpointException):
        rank, (cause, _) = min(error.failures.items())
        if isinstance(cause, HunminError):
            return cause
        return StageFailedError(
            f"a checkpoint could not be saved (rank {rank})", where=path, given=repr(cause)
        )
    return CollectiveError(
        "a rank was lost while a checkpoint was saved; older checkpoints are untouched",
        where=path,
        given=str(error).splitlines()[0],
        hint="start the run again: it goes on from the newest checkpoint",
    )


class CheckpointSaver:
    """Saves one checkpoint after another, at most one at a time.

    Args:
        ranks: Who saves, to agree in the main thread.
        apart: The same ranks with a process group of their own, for the thread; None to save
            at once.

    Note:
        All methods are collective and are called in the main thread.
    """

    def __init__(self, ranks: Ranks, apart: Ranks | None = None) -> None:
        self._ranks = ranks
        self._apart = apart
        self._planner = Planner()
        self._buffers = StagingBuffers()
        self._running: Future[SavedCheckpoint] | None = None
        self._finished: list[SavedCheckpoint] = []

    def save(self, job: SaveJob, tensors: Mapping[str, Tensor]) -> None:
        """Save, or begin to: `collect` tells when a checkpoint is safe.

        Args:
            job: What to write where.
            tensors: Plain tensors and DTensors by name.

        Raises:
            HunminError: This checkpoint, or the one still being written, could not be saved.
        """
        started = time.perf_counter()
        if self._apart is None:
            save_staged(job.path, self._planner.stage(tensors), job.content, self._ranks)
            seconds = time.perf_counter() - started
            self._finished.append(SavedCheckpoint(job.path, job.step, seconds, seconds))
            return
        self._await_earlier(job)
        staged = self._buffers.copy(self._planner.stage(tensors))
        self._running = Future()
        arguments = (self._running, job, staged, self._apart, started, time.perf_counter())
        threading.Thread(
            target=_save_beside, args=arguments, name="checkpoint", daemon=True
        ).start()

    def _await_earlier(self, job: SaveJob) -> None:
        if self._running is None:
            return
        started = time.perf_counter()
        self._finished = self.collect(wait=True)
        seconds = time.perf_counter() - started
        if seconds > 1 and self._ranks.is_first:
            logger.warning(
                "the checkpoint of step %d had to wait %.0f s for the one before: checkpoints take "
                "longer to write than the steps between them",
                job.step,
                seconds,
            )

    def collect(self, *, wait: bool) -> list[SavedCheckpoint]:
        """Return the checkpoints that became safe since the last call.

        Args:
            wait: Wait for the one being written.

        Returns:
            The same ones on every rank, oldest first.

        Raises:
            HunminError: One could not be saved; all ranks raise it, in the same call.

        Note:
            Costs one small collective while a checkpoint is being written, and nothing else.
        """
        if self._running is not None and (wait or self._is_done_everywhere(self._running)):
            running, self._running = self._running, None
            error = running.exception()  # waits; bounded by the time-out of the process group
            failures = [found for found in self._ranks.gather(error) if found is not None]
            if failures:
                raise failures[0]
            self._finished.append(running.result())
        finished, self._finished = self._finished, []
        return finished

    def _is_done_everywhere(self, running: Future[SavedCheckpoint]) -> bool:
        return self._ranks.smallest(int(running.done())) == 1

    def abandon(self, *, seconds: float) -> None:
        """Give the checkpoint being written some time to end, whatever becomes of it.

        Args:
            seconds: At most.

        Note:
            Not collective: for a rank that is about to end because of another error.
        """
        if self._running is not None:
            try:
                self._running.exception(timeout=seconds)
            except TimeoutError:
                logger.warning("a checkpoint was still being written when the run ended")
            self._running = None


def _save_beside(
    future: Future[SavedCheckpoint],
    job: SaveJob,
    staged: StagedTensors,
    ranks: Ranks,
    started: float,
    staged_at: float,
) -> None:
    """Run in the thread: nothing may be raised here, for nobody would hear of it."""
    try:
        save_staged(job.path, staged, job.content, ranks)
    except HunminError as error:
        future.set_exception(error)
    except BaseException as error:  # noqa: BLE001
        future.set_exception(
            StageFailedError("a checkpoint could not be saved", where=job.path, given=repr(error))
        )
    else:
        total = time.perf_counter() - started
        future.set_result(SavedCheckpoint(job.path, job.step, staged_at - started, total))

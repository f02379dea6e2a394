"""The callbacks of a training run, in the order they are called."""

from __future__ import annotations

from collections.abc import Iterator

from hunmin.parallel.collectives.meter import CommunicationMeter
from hunmin.parallel.watch.heartbeat import Heartbeat
from hunmin.parallel.world import World
from hunmin.training.callbacks.callback import Callback
from hunmin.training.callbacks.checkpointing import Checkpointer, MemoryCopier
from hunmin.training.callbacks.communication import CommunicationRecorder, rank_metrics_file
from hunmin.training.callbacks.console import ConsoleProgress
from hunmin.training.callbacks.evaluation import EarlyStop, Evaluator
from hunmin.training.callbacks.goodput import GoodputRecorder
from hunmin.training.callbacks.heartbeats import HeartbeatMarks
from hunmin.training.callbacks.profiler import TraceProfiler
from hunmin.training.callbacks.records import MetricsRecorder
from hunmin.training.callbacks.stragglers import StragglerWatch
from hunmin.training.callbacks.trackers import build_tracker
from hunmin.training.job import TrainJob


def standard_callbacks(
    job: TrainJob,
    world: World,
    heartbeat: Heartbeat,
    meter: CommunicationMeter | None,
    *,
    started: float,
) -> list[Callback]:
    """Return the callbacks that a recipe asks for.

    Args:
        job: What to train.
        world: All ranks.
        heartbeat: Of this rank.
        meter: Counts this rank's collectives; None in one process.
        started: When this sitting began, seconds since 1970.

    Returns:
        Those that measure first, then those that record and show, the checkpoints last: a
        checkpoint holds the evaluation of its step.
    """
    spec = job.train
    recorder = MetricsRecorder(job.folder / "metrics.jsonl", spec.log_every)
    checkpointer = Checkpointer(
        spec.checkpoint_every, spec.keep_checkpoints, keep_best=spec.export == "best"
    )
    goodput = GoodputRecorder(
        job.folder,
        started=started,
        blocked_seconds=lambda: checkpointer.blocking_seconds,
        write=recorder.write,
    )
    return [
        goodput,
        HeartbeatMarks(heartbeat),
        recorder,
        *(build_tracker(tracker, job.folder) for tracker in spec.trackers),
        ConsoleProgress(),
        *_watching(job, world, meter, recorder),
        *_evaluation(job),
        checkpointer,
        *_copies(job, world),
    ]


def _evaluation(job: TrainJob) -> Iterator[Callback]:
    if job.train.evaluate_every is not None:
        yield Evaluator(job.train.evaluate_every)
    if job.train.early_stop is not None:
        yield EarlyStop(job.train.early_stop)


def _copies(job: TrainJob, world: World) -> Iterator[Callback]:
    if job.train.copy_to_memory_every is not None and world.size > 1:
        yield MemoryCopier(job.train.copy_to_memory_every)


def _watching(
    job: TrainJob, world: World, meter: CommunicationMeter | None, recorder: MetricsRecorder
) -> Iterator[Callback]:
    watch = job.train.watch
    if watch.profile is not None:
        yield TraceProfiler(watch.profile, world, job.folder)
    if meter is None or not watch.communication:
        return
    communication = CommunicationRecorder(
        meter,
        recorder.write,
        every=job.train.log_every,
        own_file=rank_metrics_file(job.folder, world) if watch.every_rank else None,
    )
    yield communication
    if watch.stragglers is not None:
        yield StragglerWatch(
            watch.stragglers,
            world,
            waited_seconds=communication.waited_seconds,
            write=recorder.write,
        )

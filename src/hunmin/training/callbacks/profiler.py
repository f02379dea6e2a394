"""A trace of a few steps by torch's profiler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.profiler import ProfilerActivity, profile

from hunmin.core.logs import get_logger
from hunmin.parallel.world import World
from hunmin.training.callbacks.callback import Callback
from hunmin.training.watch_spec import ProfileSpec

if TYPE_CHECKING:
    from hunmin.training.loop import StepResult

logger = get_logger(__name__)


class TraceProfiler(Callback):
    """Trace some steps into FOLDER/profile/rank-00003.json.gz.

    Args:
        spec: Which steps, and how much of them.
        world: All ranks.
        folder: The folder that holds metrics.jsonl.

    Note:
        A sitting that begins after the first of these steps traces nothing. The traced steps are
        slower; their losses are the same.
    """

    def __init__(self, spec: ProfileSpec, world: World, folder: Path) -> None:
        self._spec = spec
        self._path = folder / "profile" / f"rank-{world.rank:05d}.json.gz"
        self._wanted = spec.ranks == "all" or world.is_first
        self._profile: profile | None = None

    def before_step(self) -> None:
        """Begin before the first of the steps."""
        is_first = self.trainer.state.step + 1 == self._spec.first_step
        if self._wanted and is_first and self._profile is None:  # a rollback may come by twice
            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self._profile = profile(
                activities=activities,
                profile_memory=self._spec.memory,
                with_stack=self._spec.stacks,
            )
            self._profile.start()

    def after_step(self, result: StepResult) -> None:
        """End after the last of the steps."""
        if result.step >= self._spec.first_step + self._spec.num_steps - 1:
            self._write()

    def close(self) -> None:
        """Keep what was traced if the run ends earlier."""
        self._write()

    def _write(self) -> None:
        if self._profile is None:
            return
        running, self._profile = self._profile, None
        self._wanted = False
        running.stop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        running.export_chrome_trace(str(self._path))
        logger.info("trace for chrome://tracing or ui.perfetto.dev: %s", self._path)

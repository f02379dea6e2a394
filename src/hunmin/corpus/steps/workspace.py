"""Where a build keeps what it has done: a folder for each step, a marker for each task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import InputError
from hunmin.core.hashing import stable_hash
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.corpus.engines.engine import Engine

logger = get_logger(__name__)
Task = TypeVar("Task")
Facts = dict[str, Any]
_JOB, _DONE = "job.json", ".done.json"

COMPRESSION = "lz4"
"""Of Parquet files that the next step reads and that are deleted then: quick rather than small."""


@dataclass(frozen=True)
class Workspace:
    """The folder of an unfinished build.

    Note:
        It lies beside the artifact, on the same disk: finished parts are moved into the artifact.
        On a cluster all machines must see it under the same path.
    """

    path: Path
    """The folder."""

    @classmethod
    def beside(cls, output: Path) -> Workspace:
        """Return the workspace of an artifact."""
        return cls(output.with_name(f".{output.name}.building"))

    def resume(self, job: Any) -> None:
        """Open the workspace, with what an interrupted build of the same job has left.

        Args:
            job: A JSON value: all that decides the result.
        """
        fingerprint = stable_hash(job)
        marker = self.path / _JOB
        known = json.loads(marker.read_text("utf-8"))["job"] if marker.is_file() else None
        if known == fingerprint:
            logger.info("going on with the interrupted build in %s", self.path)
            return
        self.remove()
        atomic_write_text(marker, json.dumps({"job": fingerprint}) + "\n")

    def step(self, name: str) -> Path:
        """Return the folder of a step."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def remove_if_empty(self) -> None:
        """Delete it if no task is done yet."""
        if self.path.is_dir() and not any(self.path.rglob(f"*{_DONE}")):
            self.remove()

    def remove(self) -> None:
        """Delete everything."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise InputError(
                "the place of unfinished work is taken",
                where=self.path,
                hint="move away what lies there",
            )
        if self.path.is_dir():
            shutil.rmtree(self.path)


@dataclass(frozen=True)
class Marked(Generic[Task]):
    """Work that leaves a marker with its facts once all its files are written."""

    work: Callable[[str, Task], Facts]
    """Does the task of a name."""
    folder: Path
    """Where the markers go."""

    def __call__(self, named: tuple[str, Task]) -> Facts:
        """Do a task and write its marker."""
        name, task = named
        facts = self.work(name, task)
        write_marker(self.folder, name, facts)
        return facts


def write_marker(folder: Path, name: str, facts: Facts) -> None:
    """Say that a task is done, once all its files are written."""
    atomic_write_text(folder / f"{name}{_DONE}", json.dumps(facts, ensure_ascii=False))


def read_marker(folder: Path, name: str) -> Facts | None:
    """Return the facts of a task that is done; None if it is not."""
    marker = folder / f"{name}{_DONE}"
    if not marker.is_file():
        return None
    facts: Facts = json.loads(marker.read_text("utf-8"))
    return facts


def run_tasks(
    work: Callable[[str, Task], Facts],
    tasks: Mapping[str, Task],
    folder: Path,
    engine: Engine | None,
    *,
    title: str,
) -> dict[str, Facts]:
    """Do what is not done yet of a step.

    Args:
        work: Picklable; writes its files under the task's name.
        tasks: By name.
        folder: Of the step.
        engine: Where the tasks run; None for this process, which is quicker for little work.
        title: For the progress bar.

    Returns:
        The facts of each task, those done earlier too, in the order of the tasks.
    """
    found = {name: read_marker(folder, name) for name in tasks}
    done = {name: facts for name, facts in found.items() if facts is not None}
    missing = [(name, task) for name, task in tasks.items() if name not in done]
    if done and missing:
        logger.info("%s: %d of %d are done already", title, len(done), len(tasks))
    marked = Marked(work, folder)
    results = map(marked, missing) if engine is None else engine.run(marked, missing)
    with progress(title, total=len(tasks), unit="shards", start=len(done)) as bar:
        for (name, _), facts in zip(missing, results, strict=True):
            done[name] = facts
            bar.advance(1)
    return {name: done[name] for name in tasks}

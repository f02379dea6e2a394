"""Run the stages of a recipe in order, and skip those whose result is up to date."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact, read_manifest
from hunmin.core.atomic import atomic_write_text
from hunmin.core.environment import describe_environment, source_commit
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
)
from hunmin.core.extras import require
from hunmin.core.logs import get_logger, rank
from hunmin.core.recipe import LoadedRecipe
from hunmin.core.units import format_duration
from hunmin.pipeline.dry_run import plan_run
from hunmin.pipeline.fingerprint import (
    Fingerprint,
    StageRecord,
    fingerprint_stage,
    read_records,
    reason_to_run,
    section_values,
    write_record,
)
from hunmin.pipeline.ranks import Leader, follow
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stage import Stage, StageContext
from hunmin.pipeline.stages import STAGES, wanted_stages

logger = get_logger(__name__)


@dataclass(frozen=True)
class StageOutcome:
    """What became of a stage.

    Args:
        stage: Its name.
        artifact: What it wrote, now or earlier.
        reason: Why it ran; None if it was skipped.
        seconds: How long it took, now or earlier.
    """

    stage: str
    artifact: Artifact
    reason: str | None
    seconds: float


@dataclass
class PipelineRun:
    """One sitting with a recipe.

    Args:
        loaded: The recipe.
        folder: The run folder.
        tell: Called with one line per stage.
    """

    loaded: LoadedRecipe[Recipe]
    folder: Path
    tell: Callable[[str], None] = logger.info
    outcomes: dict[str, StageOutcome] = field(default_factory=dict)
    _until: str | None = field(default=None, init=False)
    _leader: Leader = field(default_factory=Leader, init=False)

    def execute(self, *, until: str | None = None, force: bool = False) -> list[StageOutcome]:
        """Run what must run.

        Args:
            until: The last stage; None for all the recipe asks for.
            force: Run the last stage even if its result is up to date.

        Returns:
            The outcome of every wanted stage, in order.

        Raises:
            InputError: Another process works in the same run folder, or the recipe has no stage.

        Note:
            Of several processes that torchrun started, the first does all stages and tells the
            others when to take part in one; they return an empty list.
        """
        self._until = until
        if rank() > 0:
            source_commit()  # now, as the first rank does: ranks compare what they run
            follow(self._take_part)
            return []
        self._leader.start()
        stages = wanted_stages(self.loaded.spec, until)
        if not stages:
            raise InputError(
                "the recipe has no stage to run",
                where=self.loaded.path,
                allowed=f"at least one section of {', '.join(STAGES)}",
            )
        with exclusive(self.folder):
            self._write_run_files()
            for stage in stages:
                if self._replacement(stage) is None:
                    self._run_or_skip(stage, force=force and stage is stages[-1])
            self._leader.end()
        return list(self.outcomes.values())

    def _take_part(self, stage: Stage) -> None:
        """Do this rank's part of a stage; the first rank looks after its inputs and records."""
        inputs = self._inputs(stage)
        stage.run(self._context(stage, inputs))

    def _inputs(self, stage: Stage) -> dict[str, Artifact]:
        return {name: self.artifact(name) for name in stage.needs_of(self.loaded.spec)}

    def _context(self, stage: Stage, inputs: Mapping[str, Artifact]) -> StageContext:
        recipe = self.loaded.spec
        before = stage.model_stage(recipe)
        return StageContext(
            recipe=recipe,
            folder=self.folder,
            inputs=inputs,
            output=self.folder / stage.folder,
            record=section_values(stage, recipe),
            model=None if before is None else inputs[before],
        )

    def _run_or_skip(self, stage: Stage, *, force: bool) -> None:
        inputs = self._inputs(stage)
        output = self.folder / stage.folder
        record = read_records(self.folder).get(stage.name)
        finished = _finished_artifact(output, stage.kind)
        now = self._fingerprint(stage, inputs, record if finished is not None else None)
        reason = "you asked for it" if force else reason_to_run(now, record, finished)
        if reason is not None:
            self._run(stage, inputs, now, reason)
        elif finished is not None and record is not None:
            self.tell(f"{stage.name}: up to date, skipped ({output})")
            self.outcomes[stage.name] = StageOutcome(stage.name, finished, None, record.seconds)

    def _fingerprint(
        self, stage: Stage, inputs: Mapping[str, Artifact], record: StageRecord | None
    ) -> Fingerprint:
        """Of a finished stage whose sources are gone, its result is what there is."""
        try:
            return fingerprint_stage(stage, self.loaded.spec, inputs)
        except MissingInputError as error:
            if record is None:
                raise
            logger.warning(
                "%s: its result is used although its source is gone: %s", stage.name, error.problem
            )
            return record.fingerprint

    def _run(
        self, stage: Stage, inputs: Mapping[str, Artifact], now: Fingerprint, reason: str
    ) -> None:
        for package in stage.packages:
            require(package, extra="train")
        self._write_plan()
        output = self.folder / stage.folder
        self.tell(f"{stage.name}: running, because {reason}")
        started = time.monotonic()
        for artifact in inputs.values():
            load_artifact(artifact.path, artifact.manifest.kind, verify=True)
        if stage.runs_on_all_ranks:
            self._leader.announce(stage)
        artifact = stage.run(self._context(stage, inputs))
        seconds = round(time.monotonic() - started, 2)
        write_record(self.folder, stage.name, StageRecord(now, artifact.digest, seconds))
        self.tell(f"{stage.name}: done in {format_duration(seconds)} ({output})")
        self.outcomes[stage.name] = StageOutcome(stage.name, artifact, reason, seconds)

    def artifact(self, name: str) -> Artifact:
        """Return the artifact of a stage: of this sitting, of another run, or on disk."""
        if name in self.outcomes:
            return self.outcomes[name].artifact
        replacement = self._replacement(STAGES[name])
        if replacement is not None:
            _refuse_foreign_tokenizer(name, replacement)
            return load_artifact(replacement, STAGES[name].kind, verify=False)
        return load_artifact(self.folder / STAGES[name].folder, STAGES[name].kind, verify=False)

    def _replacement(self, stage: Stage) -> Path | None:
        path: Path | None = getattr(self.loaded.spec.use, stage.name, None)
        return path

    def _write_run_files(self) -> None:
        spec = self.loaded.spec.model_dump(mode="json")
        # A null inside a section may replace another default: only missing sections are left out.
        given = {key: value for key, value in spec.items() if value is not None}
        text = yaml.safe_dump(given, allow_unicode=True, sort_keys=False)
        atomic_write_text(self.folder / "recipe.yaml", text)
        environment = json.dumps(describe_environment(), indent=2)
        atomic_write_text(self.folder / "environment.json", environment)

    def _write_plan(self) -> None:
        """Write what `--dry-run` shows, with all that is known by now."""
        values = [asdict(value) for value in plan_run(self.loaded, self.folder, self._until)]
        text = json.dumps({"values": values}, indent=2, ensure_ascii=False)
        atomic_write_text(self.folder / "plan.json", text)


def _refuse_foreign_tokenizer(name: str, folder: Path) -> None:
    """A model folder has a tokenizer, but no record of it that later stages could refer to."""
    is_foreign = name == "tokenizer" and (folder / "tokenizer.json").is_file()
    if is_foreign and not (
        (folder / MANIFEST_NAME).is_file() and read_manifest(folder).kind == "tokenizer"
    ):
        raise ArtifactKindError(
            "this folder holds a model with its tokenizer; a stage needs the tokenizer alone",
            where="use.tokenizer",
            given=folder,
            allowed="the folder of a tokenizer, such as runs/quickstart/tokenizer",
            hint=f"hunmin tokenizer import {folder} --output FOLDER, and name that folder",
        )


def _finished_artifact(path: Path, kind: str) -> Artifact | None:
    """Return the artifact if all its files are there; checksums are compared when it is read."""
    try:
        return load_artifact(path, kind, verify=False)
    except (MissingInputError, ArtifactKindError):
        return None
    except CorruptArtifactError as error:
        logger.warning("%s", error)
        return None


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process.

    Args:
        folder: The run folder; made if missing.

    Yields:
        Nothing.

    Raises:
        InputError: Another process holds it, or no folder can be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise InputError(
            "no folder can be made here", where=folder, hint="name another place with --run-dir"
        ) from error
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "another hunmin is at work in this run folder",
                where=folder,
                hint="wait for it, or give this run another place with --run-dir",
            ) from error
        yield
